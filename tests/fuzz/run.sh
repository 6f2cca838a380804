#!/usr/bin/env bash
# Builds the fuzz targets (clang) and runs each for some seconds:  tests/fuzz/run.sh [SECONDS [TARGET...]]
# One line a target. Exits with 1 when one found something: its input is then in build/fuzz/found/, and
# build/fuzz/TARGET FILE runs it again. What was learned stays in build/fuzz/corpus/ for the next run.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-10}
shift || true
fixtures=tests/fixtures
build=build/fuzz
jobs=$(nproc)

[ -f $build/build.ninja ] || cmake --preset fuzz >/dev/null
cmake --build $build --target fuzz -j "$jobs" >$build/fuzz-build.log 2>&1 || {
    tail -n 40 $build/fuzz-build.log
    exit 1
}

# What there is to begin with: the fixtures of the unit tests, and a few lines of our own.
rm -rf $build/seeds
mkdir -p $build/seeds/{json,sse,utf8,chat_stream,responses_stream,messages_stream,request,client_event,http1_request,http1_response,proxy_v2,ws,config,normalize,demo_json,log_import} $build/found
seeds=$build/seeds
cp $fixtures/json/cases/* $seeds/json/
cp $fixtures/sse/*.sse $seeds/sse/
cp $fixtures/sse/*.sse $seeds/utf8/
cp $fixtures/sse/*.sse $seeds/normalize/
printf ' \r\n\xe2\x80\x83e\xcc\x81\xc2\x85\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab\x7f \xef\xbb\xbf' >$seeds/normalize/marks
cp protocols/schema/*.json $seeds/demo_json/
cp $fixtures/chat/*.sse $seeds/chat_stream/
cp $fixtures/messages/*.sse $seeds/messages_stream/
cp $fixtures/responses/*.sse $seeds/responses_stream/
cp tests/fuzz/seeds/request/* $seeds/request/
cp tests/fuzz/seeds/config/* $seeds/config/
sed -n '0,/data:.*"response":/s/^data:.*"response":\(.*\)}$/\1/p' $fixtures/responses/whole.sse >$seeds/responses_stream/body
printf '%s' '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi","reasoning_content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}' >$seeds/chat_stream/body
printf '%s' '{"error":{"message":"no","type":"invalid_request_error","param":"model","code":"model_not_found"}}' |
    tee $seeds/chat_stream/error >$seeds/responses_stream/error
printf '%s' '{"id":"m","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"hi"},{"type":"tool_use","id":"a","name":"f","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}' >$seeds/messages_stream/body
printf '%s' '{"type":"error","error":{"type":"overloaded_error","message":"no"}}' >$seeds/messages_stream/error
# Two bytes for the state's length (none), then created, in_progress, item, part, delta, text_done, part_done, item_done, completed.
printf '%b' '\0\0' '\0\0\0\0\0\0\0\0' '\01\0\0\0\0\0\0\0' '\02\0\0\0\011\0\0\0\01\0\0\0\0\0\0\0m' '\03\0\0\0\0\0\0\0' \
    '\04\0\0\0\05\0\0\0hello' '\06\0\0\0\0\0\0\0' '\07\0\0\0\0\0\0\0' '\010\0\0\0\0\0\0\0' '\011\0\0\0\0\0\0\0' >$seeds/log_import/message
printf '%s' '{"type":"response.cancel","response_id":"resp_1"}' >$seeds/client_event/cancel
printf '%s' '{"type":"response.cancel","stream_id":"a.B-9_"}' >$seeds/client_event/lane
printf '%s' '{"type":"session.ping","id":"7","data":{"a":[1,"\u00e9"]}}' >$seeds/client_event/ping
printf '%s' '{"type":"response.create","model":"fast","input":"hi","stream_id":"x"}' >$seeds/client_event/create
printf 'GET /v1/models?a=b HTTP/1.1\r\nHost: h:80\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.0\r\n\r\n' >$seeds/http1_request/get
printf 'POST http://h/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcOPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n' >$seeds/http1_request/sized
printf '\r\nPOST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: x\r\n\r\n' >$seeds/http1_request/chunked
printf 'HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nHello\r\n0\r\nT: x\r\n\r\n' >$seeds/http1_response/chunked
printf 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nHello' >$seeds/http1_response/sized
printf 'HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n' >$seeds/http1_response/to_close
printf 'GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4, [::1]:5\r\nX-Forwarded-Proto: https\r\nForwarded: for="[::1]:5";proto=http, for=_x\r\n\r\n' >$seeds/http1_request/forwarded
printf '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\x7f\0\0\1\x7f\0\0\1\x12\x34\x01\xbb\x20\0\x05\1\0\0\0\0' >$seeds/proxy_v2/tls
printf '\x81\x85\x01\x02\x03\x04igohn\x89\x82aaaa\x00\x01\x8a\x80bbbb' >$seeds/ws/text
printf '\x01\x82\x00\x00\x00\x00\xc3\xa9\x89\x80\x00\x00\x00\x00\x00\x81\x00\x00\x00\x00\xe2\x80\x82\x00\x00\x00\x00\x82\xac' >$seeds/ws/fragments
printf '\x82\xfe\x00\x80\x00\x00\x00\x00%0128d\x88\x87\x00\x00\x00\x00\x03\xe8adieu' 0 >$seeds/ws/close
printf '\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00' >$seeds/ws/long

# The words that these formats are made of.
words() {
    { grep -ohE '"[A-Za-z0-9_.:/ -]{1,60}"' "$@" || true; } | sort -u
}
words -r protocols/schema $fixtures/chat $fixtures/responses $fixtures/messages tests/fuzz/seeds/request |
    sed 's/^"\(.*\)"$/"\\"\1\\""/' >$build/json.dict
words gateway/config/*.c protocols/http1/*.c >$build/text.dict

if [ $# -eq 0 ]; then
    for file in tests/fuzz/fuzz_*.c; do
        name=${file##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi
# Freed memory is kept apart for a while; much of it only costs page faults here.
export ASAN_OPTIONS=quarantine_size_mb=8

# fuzz_one TARGET
fuzz_one() {
    local name=$1 dict=json log=$build/fuzz_$1.log runs covered
    case $name in http1_request | http1_response | config | ws | utf8 | normalize) dict=text ;; esac
    mkdir -p "$build/corpus/$name"
    local status=0
    "$build/fuzz_$name" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -dict="$build/$dict.dict" -max_len=8192 \
        -artifact_prefix="$build/found/$name-" -print_final_stats=1 "$build/corpus/$name" "$seeds/$name" >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    if [ $status -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
        echo "ok: $name, $runs runs, $covered places"
        return 0
    fi
    # At once, so that what another target says does not come between.
    printf '%s\n' "FAILED: $name, see $log
$(grep -E 'not so:|not JSON|ERROR: |SUMMARY: |runtime error:|Test unit written' "$log" | head -n 10)"
    return 1
}
export -f fuzz_one
export build seconds seeds
# One target keeps one processor busy.
printf '%s\0' "$@" | xargs -0 -n 1 -P "$jobs" bash -c 'fuzz_one "$1"' fuzz_one || exit 1
