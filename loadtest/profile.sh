#!/bin/sh
# Where the CPU of a streamed token goes: the stream scenario under perf, and its shares by category.
#   loadtest/profile.sh [--help]
exec env PYTHONPATH="$(dirname "$0")" PYTHONDONTWRITEBYTECODE=1 python3 -m comparing.profile "$@"
