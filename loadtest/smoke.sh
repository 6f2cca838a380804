#!/bin/bash
# Each scenario for a second at a tiny size, for CI: no token may be lost, doubled or reordered, and the report must be made. No time is
# asserted. And the other way round: the checks must fail when there is something to find.
#
#   loadtest/smoke.sh [more options of compare, e.g. --candidates direct,sluice-ws,gin]
#
# SLUICE_BIN: the gateway (default: build/*/sluice). TOOLS: the directory of mock-llm and sluice-load (default: that of SLUICE_BIN).
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
if [ -z "${SLUICE_BIN:-}" ]; then
    SLUICE_BIN=$(ls -t "$root"/build/*/sluice 2>/dev/null | head -1)
fi
if [ ! -x "${SLUICE_BIN:-}" ]; then
    echo "smoke: no sluice; build it or set SLUICE_BIN" >&2
    exit 2
fi
SLUICE_BIN=$(realpath "$SLUICE_BIN")
tools=$(realpath "${TOOLS:-$(dirname "$SLUICE_BIN")}")
export SLUICE_BIN
work=$(mktemp -d)
pids=()
passed=0
failed=0
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
    rm -rf "$work"
}
trap cleanup EXIT

verdict() { # NAME STATUS
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok: $1"
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
    fi
}

# Waits for the line that tells the port; answers it.
port_of() { # LOG PID
    for _ in $(seq 300); do
        port=$(sed -n 's/.*listening.*address="\{0,1\}127\.0\.0\.1:\([0-9]*\).*tls=false.*/\1/p' "$1" | head -1)
        [ -n "$port" ] && echo "$port" && return
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    cat "$1" >&2
    return 1
}

load() { "$tools/sluice-load" --quiet --key sk-dev-only --json "$work/load.json" "$@"; }

# The number behind a name of the last result.
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$work/load.json" | head -1; }

"$here/compare" --quick --build "$tools" --out "$work/report" "$@"
verdict "every scenario, every token" $?
[ -s "$work/report/report.html" ] && [ -s "$work/report/report.md" ] && [ -s "$work/report/report.json" ] &&
    grep -q '<svg' "$work/report/report.html" && ! grep -Eq '(src|href)=' "$work/report/report.html"
verdict "the report is made, and holds all it shows" $?

"$tools/mock-llm" >"$work/mock.out" 2>"$work/mock.log" &
pids+=($!)
mock=$(port_of "$work/mock.log" $!) || exit 1
cat >"$work/sluice.yaml" <<YAML
listen: [{address: "127.0.0.1:0"}]
workers: 1
providers: [{name: mock, dialect: chat_completions, base_url: "http://127.0.0.1:$mock/v1", allow_plaintext: true}]
models: [{name: "mock:*", targets: [{provider: mock, model: "mock:*"}]}]
keys: [{name: smoke, plaintext: sk-dev-only, models: ["*"]}]
YAML
"$SLUICE_BIN" serve --config "$work/sluice.yaml" 2>"$work/sluice.log" &
sluice_pid=$!
pids+=($sluice_pid)
sluice=$(port_of "$work/sluice.log" $sluice_pid) || exit 1

load --url "http://127.0.0.1:$mock" --model mock:tokens=9 --expect-tokens 10 --requests 3
[ $? -eq 1 ] && [ "$(number lost)" = 3 ]
verdict "a lost token is found" $?
load --url "http://127.0.0.1:$mock" --model mock:tokens=11 --expect-tokens 10 --requests 3
[ $? -eq 1 ] && [ "$(number extra)" = 3 ]
verdict "a token too many is found" $?
load --url "http://127.0.0.1:$mock" --model mock:tokens=20+cut=1 --requests 4
[ $? -eq 1 ] && [ "$(number ok)" = 0 ]
verdict "a cut answer is no answer, on the direct call" $?
for mode in ws chat-sse chat-json responses-sse responses-json; do
    load --url "http://127.0.0.1:$sluice" --mode "$mode" --model mock:tokens=20+gap=1+cut=1 --requests 4 --allow-errors &&
        [ "$(number ok)" = 0 ] && [ "$(number failed)" = 4 ]
    verdict "a provider that breaks off is never a whole answer: $mode" $?
    load --url "http://127.0.0.1:$sluice" --mode "$mode" --model mock:tokens=20+gap=1 --sessions 4 --requests 20 &&
        [ "$(number ok)" = 20 ]
    verdict "and the gateway answers on: $mode" $?
done
load --url "http://127.0.0.1:$sluice" --mode ws --model mock:tokens=40+gap=2+jitter=2 --sessions 12 --requests 48 --leavers 0.4 &&
    [ "$(number failed)" = 0 ] && [ "$(number left)" -gt 0 ]
verdict "clients that leave in the middle disturb nobody" $?
load --url "http://127.0.0.1:$sluice" --mode ws --key sk-wrong --model mock --requests 1 --allow-errors
[ "$(number ok)" = 0 ] && grep -q '"upgrade:401"' "$work/load.json"
verdict "a wrong key is refused" $?

# A server that accepts, and then keeps silent or hangs up.
stranger() { # silent|rude
    exec {port}< <(exec python3 -c '
import socket, sys
s, held = socket.create_server(("127.0.0.1", 0)), []
print(s.getsockname()[1], flush=True)
while True:
    held.append(s.accept()[0])
    if sys.argv[1] == "rude":
        held.pop().close()' "$1" 2>/dev/null)
    pids+=($!)
    read -r stranger <&"$port"
}

stranger silent
load --url "http://127.0.0.1:$stranger" --model mock --requests 2 --drain 300ms
[ $? -eq 1 ] && grep -q '"unfinished":1' "$work/load.json"
verdict "a server that never answers is given up" $?
load --url "http://127.0.0.1:$stranger" --model mock --warmup 1 --duration 1s --drain 300ms
[ $? -eq 1 ] && grep -q '"unfinished":' "$work/load.json"
verdict "and in the warm-up too" $?
stranger rude
load --url "http://127.0.0.1:$stranger" --mode chat-json --model mock --idle --sessions 5 --steps 1 --hold 300ms
[ $? -eq 1 ] && grep -q '"closed:by_server":5' "$work/load.json"
verdict "an idle session that the server closes is not held" $?

kill -TERM $sluice_pid
wait $sluice_pid
status=$?
[ $status -eq 0 ] && ! grep -Eq 'Sanitizer|runtime error' "$work/sluice.log"
verdict "the gateway ends well (status $status)" $?
[ $failed -eq 0 ] || tail -5 "$work/sluice.log" >&2
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
