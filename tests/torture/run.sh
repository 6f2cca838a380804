#!/usr/bin/env bash
# Every call fails once, in every scenario:  tests/torture/run.sh ['KIND: SCENARIO']
# Builds build/asan first. README.md says what must hold.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/logs
{ cmake --preset asan && cmake --build --preset asan -j "$(nproc)" --target sluice-torture; } >build/logs/build-torture.log 2>&1 || {
    tail -n 40 build/logs/build-torture.log
    exit 1
}
export SLUICE_BUILD=asan TORTURE=full
if [ $# -gt 0 ]; then export TORTURE_ONLY=$1; fi
exec node --test --test-reporter=spec tests/torture/torture.test.mjs
