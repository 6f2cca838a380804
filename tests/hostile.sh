#!/usr/bin/env bash
# Hostile clients of all kinds beside honest ones:  tests/hostile.sh [SECONDS [HOSTILE [HONEST]]]
# By default 20 s, 200 and 50, as CI runs it; the long form is  tests/hostile.sh 600 1000 50
# The honest ones may lose nothing, no process may die, and a worker's memory may not grow past what it had with the
# honest ones alone by more than 64 MB; from 60 s on the p99 of their first tokens may at most double.
set -euo pipefail
cd "$(dirname "$0")/.."
exec node tests/hostile/run.mjs "${1:-20}" "${2:-200}" "${3:-50}"
