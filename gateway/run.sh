#!/usr/bin/env bash
# Builds the gateway and runs it with the demo provider: gateway/run.sh
# Other ports than 8443 and 8080: SLUICE_TLS_PORT=9443 SLUICE_PORT=9080 gateway/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/packages.sh

export SLUICE_TLS_PORT=${SLUICE_TLS_PORT:-8443} SLUICE_PORT=${SLUICE_PORT:-8080}
certificate=gateway/tls/localhost.crt
certificate_key=gateway/tls/localhost.key

need_packages "${build_packages[@]}" openssl curl # curl for the README's first session
need_modules tests

[[ -f build/release/build.ninja ]] || cmake --preset release
cmake --build --preset release --target sluice

if ! [[ -f $certificate_key ]] || ! openssl x509 -in "$certificate" -noout -checkend 86400 >/dev/null 2>&1; then
    mkdir -p gateway/tls
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
        -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' -keyout "$certificate_key" -out "$certificate" 2>/dev/null)
    echo "Made a self-signed certificate: $certificate"
fi

# In a session of its own, so that Ctrl-C reaches it through the trap only: once to drain, twice to stop at once.
exec {log}< <(exec setsid setpriv --pdeathsig TERM build/release/sluice serve --config gateway/demo.yaml 2>&1)
gateway=$!
trap 'kill -TERM "$gateway" 2>/dev/null || true' INT TERM HUP EXIT

serving=
while [[ -z $serving ]] && IFS= read -r line <&"$log"; do
    printf '%s\n' "$line"
    [[ $line != *'msg="serving"'* ]] || serving=yes
done
[[ $serving ]] || fail "the gateway did not start; the reason stands above. If a port is in use, choose others:
  SLUICE_TLS_PORT=9443 SLUICE_PORT=9080 gateway/run.sh"

cat <&"$log" &
rest_of_log=$!
node gateway/first-answer.mjs "wss://localhost:$SLUICE_TLS_PORT/v1/responses" "$certificate" sk-dev-only demo
cat <<TEXT

The chat page:  https://localhost:$SLUICE_TLS_PORT/ (the browser will ask about the self-signed certificate)
           or:  http://127.0.0.1:$SLUICE_PORT/
The key for it: sk-dev-only
Ctrl-C lets answers in flight finish and ends.
TEXT

status=0
while kill -0 "$gateway" 2>/dev/null; do
    status=0
    wait "$gateway" || status=$?
done
wait "$rest_of_log" || true
trap - EXIT
exit "$status"
