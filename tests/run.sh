#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests:  tests/run.sh [unit|e2e|browser|schema|fuzz|torture|lint|load|hostile|all]...
#   unit     the C units, built plain and with AddressSanitizer and UndefinedBehaviorSanitizer; and a build by clang
#   e2e      Node's tests of the real program, over both builds, and over one whose requests must all wait
#   browser  the chat page and its client module, over both
#   schema   the published JSON Schemas against the validators         load     the load harness's smoke test
#   fuzz     each fuzz target for 2 seconds: enough to see that they build and that no seed breaks one
#   torture  one call fails at a time: a sample of them (tests/torture/README.md)
#   hostile  hostile clients beside honest ones, for 20 seconds
#   lint     formatting, clang-tidy, and who may include what
# Ends with a line "N passed, N failed" and a status that is not 0 when anything failed. Logs: build/logs/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. .ci/packages.sh

logs=$PWD/build/logs
jobs=$(nproc)
passed=0
failed=0
broken=()

say() {
    printf '\n== %s\n' "$*"
}

# verdict NAME STATUS: one check of our own.
verdict() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok: $1"
    else
        failed=$((failed + 1))
        broken+=("$1")
        echo "FAILED: $1"
    fi
}

# build NAME: what follows needs it, but for clang's.
build() {
    local log=$logs/build-$1.log
    make_"$1" >"$log" 2>&1
    local status=$?
    [ $status -eq 0 ] || grep -E -A 6 'FAILED|error|Error' "$log" | head -n 80
    verdict "build/$1" $status
    [ $status -eq 0 ] || [ "$1" = clang ] || finish
}

preset() {
    cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs"
}

make_dev() {
    preset dev
}

make_asan() {
    preset asan
}

# The program alone: the units do without the waiting.
make_suspended() {
    cmake --preset suspended && cmake --build --preset suspended -j "$jobs" --target sluice intruder
}

make_clang() {
    cmake -S . -B build/clang -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DSLUICE_WERROR=ON &&
        cmake --build build/clang -j "$jobs" -- -k 0
}

finish() {
    local name
    say "result"
    for name in "${broken[@]}"; do echo "FAILED: $name"; done
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# unit NAME: the C units of build/NAME.
unit() {
    local log=$logs/unit-$1.log total bad
    say "units, build/$1"
    ctest --test-dir "build/$1" -j "$jobs" --timeout 300 --output-on-failure >"$log" 2>&1
    local status=$?
    [ $status -eq 0 ] || sed -n '/FAILED\|Failed\|Error/p;/^[0-9]*%/p' "$log" | tail -n 60
    read -r bad total < <(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log")
    if [ -z "${total:-}" ] || [ "$total" -eq 0 ]; then
        verdict "units of build/$1: none ran" 1
        return
    fi
    count "units of build/$1" $((total - bad)) "$bad"
}

# count NAME PASSED FAILED
count() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    [ "$3" -eq 0 ] || broken+=("$1: $3")
    echo "$1: $2 passed, $3 failed"
}

# node_tests NAME FILE...: one run of Node's runner; SLUICE_BUILD says which program it tests.
node_tests() {
    local name=$1 good bad
    shift
    local tap=$logs/$name.tap
    say "$name"
    # A file whose test failed may have left something open that keeps its process alive.
    timeout -k 10 900 node --test --test-reporter=spec --test-reporter-destination="$logs/$name.log" --test-reporter=tap --test-reporter-destination="$tap" \
        --test-concurrency=1 "$@" >"$logs/$name.out" 2>&1
    local status=$?
    good=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$tap" | tail -n 1)
    bad=$(awk '/^# (fail|cancelled) [0-9]+$/ {n += $3} END {print n + 0}' "$tap")
    if [ -z "$good" ] || [ "$good" -eq 0 ] || { [ $status -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        tail -n 40 "$logs/$name.out"
        bad=$((bad + 1))
    fi
    [ "$bad" -eq 0 ] || sed -n '/failing tests:/,$p' "$logs/$name.log" | head -n 200
    count "$name" "${good:-0}" "$bad"
}

both_builds() {
    local name=$1 which
    shift
    for which in dev asan; do
        SLUICE_BUILD=$which node_tests "$name-$which" "$@"
    done
}

# It builds with clang by itself; a longer run for people is tests/fuzz/run.sh.
fuzz() {
    local log=$logs/fuzz.log good bad
    say "fuzz targets"
    tests/fuzz/run.sh 2 >"$log" 2>&1
    local status=$?
    good=$(grep -c '^ok: ' "$log")
    bad=$(grep -c '^FAILED: ' "$log")
    if [ "$bad" -eq 0 ] && { [ $status -ne 0 ] || [ "$good" -eq 0 ]; }; then bad=1; fi
    [ "$bad" -eq 0 ] || grep -v '^ok: ' "$log" | tail -n 60
    count "fuzz targets" "$good" "$bad"
}

# Only `folder` includes what matches `pattern`.
only_in() {
    local found
    found=$(git grep -nE "#include *[<\"]($1)" -- '*.c' '*.h' ":!$2" ':!tests' ':!loadtest')
    [ -z "$found" ] || echo "$found"
    [ -z "$found" ]
}

# Judged by clang-format 14, Debian 12's: later ones lay out macros in another way.
formatted() {
    if ! clang-format --version | grep -q 'version 14\.'; then
        echo "not looked at: formatting, since this is not clang-format 14"
        return
    fi
    git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror >"$logs/format.log" 2>&1
    local status=$?
    [ $status -eq 0 ] || grep -E 'error:' "$logs/format.log" | cut -d: -f1 | sort | uniq -c | head -n 40
    verdict "formatted as .clang-format says" $status
}

lint() {
    say "lint"
    formatted

    only_in 'libwebsockets\.h|lws' gateway/server
    verdict "only gateway/server includes libwebsockets.h" $?
    only_in 'curl/' gateway/upstream
    verdict "only gateway/upstream includes curl/curl.h" $?
    tests/arrows.sh build/dev
    verdict "each room includes and calls only what it may" $?
    git ls-files '*.c' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 600 {print; long = 1} END {exit long}'
    verdict "no source file has more than 600 lines" $?
    tidy
    verdict "clang-tidy" $?
}

# All sources but the tests', and of them those that changed since they were last found clean.
tidy() {
    local stamp=build/clang/tidy file todo=() here
    mkdir -p "$stamp"
    here=$(cat .clang-tidy $(git ls-files '*.h') | sha256sum | cut -c 1-16)
    while IFS= read -r file; do
        local mark
        mark=$stamp/$here-$(sha256sum "$file" | cut -c 1-16)-${file//\//_}
        [ -f "$mark" ] || todo+=("$file" "$mark")
    done < <(git ls-files '*.c' ':!tests')
    [ ${#todo[@]} -gt 0 ] || return 0
    printf '%s\0' "${todo[@]}" | xargs -0 -n 2 -P "$jobs" sh -c \
        'clang-tidy -quiet -p build/clang "$1" >"$2.out" 2>/dev/null && mv "$2.out" "$2" || { cat "$2.out"; exit 1; }' tidy >"$logs/tidy.log" 2>&1
    local status=$?
    [ $status -eq 0 ] || grep -E 'error:|warning:' "$logs/tidy.log" | sort -u | head -n 60
    return $status
}

hostile() {
    say "hostile clients beside honest ones"
    tests/hostile.sh >"$logs/hostile.log" 2>&1
    local status=$?
    grep -E 'p99|^FAILED' "$logs/hostile.log"
    verdict "hostile clients" $status
}

load() {
    local bad good
    say "load harness, smoke"
    SLUICE_BIN=$PWD/build/dev/sluice loadtest/smoke.sh >"$logs/load.log" 2>&1
    local status=$?
    read -r good bad < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs/load.log" | tail -n 1)
    if [ -z "${good:-}" ] || { [ $status -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        good=0 bad=1
    fi
    [ "$bad" -eq 0 ] || tail -n 60 "$logs/load.log"
    count "load harness" "$good" "$bad"
}

wanted=" ${*:-all} "
wants() {
    [[ $wanted == *" all "* || $wanted == *" $1 "* ]]
}
for word in $wanted; do
    case $word in
        all | unit | e2e | browser | schema | fuzz | torture | lint | load | hostile) ;;
        *) fail "unknown: $word. One or more of: all unit e2e browser schema fuzz torture lint load hostile" ;;
    esac
done

mkdir -p "$logs"
packages=("${build_packages[@]}" openssl)
if wants unit || wants lint; then packages+=(clang clang-format clang-tidy); fi
# Like clang, the name of no version: it brings the runtime that fits, which clang only recommends.
if wants e2e; then packages+=(prometheus); fi
if wants torture; then packages+=(binutils); fi
if wants fuzz; then packages+=(clang libclang-rt-dev); fi
if wants browser && [ -z "${CHROMIUM:-}" ]; then packages+=(chromium); fi
if wants load; then packages+=(python3 python3-venv); fi
need_packages "${packages[@]}" || fail "packages are missing, see above"
if wants e2e || wants browser || wants schema || wants torture || wants hostile; then need_modules tests && need_newer_node || fail "npm modules are missing, see above"; fi

say "build"
build dev
if wants unit || wants e2e || wants browser || wants torture; then build asan; fi
if wants e2e; then build suspended; fi
if wants unit || wants lint; then build clang; fi

if wants unit; then
    unit dev
    unit asan
fi
if wants schema; then SLUICE_BUILD=dev node_tests schema tests/schema/*.test.mjs; fi
if wants e2e; then
    both_builds e2e tests/e2e/*.test.mjs tests/e2e/lib/*.test.mjs
    SLUICE_BUILD=suspended node_tests e2e-suspended tests/e2e/*.test.mjs
fi
if wants browser; then both_builds browser tests/browser/*.test.mjs; fi
if wants fuzz; then fuzz; fi
if wants torture; then SLUICE_BUILD=asan node_tests torture tests/torture/torture.test.mjs; fi
if wants lint; then lint; fi
if wants load && [ -x loadtest/smoke.sh ]; then load; fi
if wants hostile; then hostile; fi
finish
