#!/usr/bin/env bash
# Holds the arrows between the rooms:  tests/arrows.sh [BUILD]
# Which room's headers may be included from where is one table; the other is checked twice, by the include lines
# and, in the libraries of BUILD (build/dev), by what they call: a header that comes along with another gives
# nobody the right to use it. Prints each offending line; its status says whether there was one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
build=${1:-build/dev}

# Room: the rooms that it may include and call.
declare -A may=(
    [common]=''
    [protocols]='common'
    [gateway/config]='common protocols'
    [gateway/web]='common'
    [gateway/loop]='common'
    [gateway/ops]='common'
    [gateway/upstream]='common protocols gateway/config gateway/loop'
    [gateway/response]='common protocols gateway/config gateway/upstream'
    [gateway/pipeline]='common protocols gateway/config gateway/response'
    [gateway/session]='common protocols gateway/config gateway/loop gateway/ops gateway/pipeline'
    [gateway/server]='common protocols gateway/config gateway/loop gateway/ops gateway/session gateway/web'
    [gateway]='common protocols gateway/config gateway/loop gateway/ops gateway/web gateway/upstream gateway/response gateway/pipeline gateway/session gateway/server'
    [loadtest]='common'
)
# Room: its headers that others may include, where not all are. What is not named here is the room's own.
declare -A shows=(
    [gateway/config]='config.h'
    [gateway/ops]='request.h metrics.h'
    [gateway/web]='web.h'
    [gateway/upstream]='upstream.h'
    [gateway/response]='response.h'
    [gateway/pipeline]='pipeline.h'
    [gateway/session]='session.h exchange.h ws_endpoint.h'
    [gateway/server]='server.h door.h tickets.h'
)
# "FROM TO": what FROM may call of TO beyond the table, as a pattern of whole names.
declare -A excepted=(
    # A turn holds its answer and its reader.
    ['gateway/session gateway/response']='cursor_.*|response_(cancel|forget_request|unref)'
)

bad=0
offends() {
    echo "$1"
    bad=1
}

# room_of PATH: where a file or a header lies.
room_of() {
    case $1 in
        gateway/*/*) room=${1#gateway/} room=gateway/${room%%/*} ;;
        *) room=${1%%/*} ;;
    esac
}

includes() {
    local file line header from to
    while IFS=: read -r file line header; do
        header=${header#*\"} header=${header%%\"*}
        room_of "$file"
        from=$room
        # A name without a folder is a file of the same one.
        if [[ $header == */* ]]; then room_of "$header"; fi
        to=$room
        [ "$from" != "$to" ] || continue
        if [[ -z ${may[$from]+there} ]]; then
            offends "$file:$line: the room $from is not in the table of tests/arrows.sh"
        elif [[ " ${may[$from]} " != *" $to "* ]]; then
            offends "$file:$line: $from may not include $header: it knows only ${may[$from]:-itself}"
        elif [[ -n ${shows[$to]+there} && " ${shows[$to]} " != *" ${header##*/} "* ]]; then
            offends "$file:$line: $header is $to's own: others include ${shows[$to]}"
        fi
    done < <(grep -rnE '^ *# *include *"' --include='*.c' --include='*.h' common protocols gateway loadtest)
}

# symbols KIND: "NAME ROOM" for each that a room's library defines, or has not.
symbols() {
    local room lib
    for room in "${!may[@]}"; do
        # It is no part of the program, and may have names of its own.
        [ "$room" != loadtest ] || continue
        lib=$build/${room%/*}/libsluice_${room##*/}.a
        [[ $room == */* ]] || lib=$build/$room/libsluice_$room.a
        [ -f "$lib" ] || continue
        nm $1 "$lib" 2>/dev/null | awk -v room="$room" 'NF > 1 && $NF !~ /:$/ {print $NF, room}'
    done | sort -u
}

calls() {
    local name from to
    while read -r name from to; do
        [ "$from" != "$to" ] || continue
        [[ " ${may[$from]} " != *" $to "* ]] || continue
        [[ $name =~ ^(${excepted["$from $to"]:-.^})$ ]] || offends "$from calls $name, which is $to's: it knows only ${may[$from]:-itself}"
    done < <(join <(symbols -u) <(symbols '--defined-only -g'))
}

includes
if [ -d "$build" ]; then calls; fi
exit $bad
