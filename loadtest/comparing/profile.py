"""Runs one load against one server under perf, and prints where its CPU time goes.

Needs Linux perf (Debian: linux-perf) and the right to use it (root, or kernel.perf_event_paranoid <= 1). Kernel time is named
by the system call that it was spent in; user time by library, and inside the gateway by room, from the debug information."""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import candidates, measure, scenarios
from .machine import ROOT, Skip, find_tool

LIBRARIES = [("libssl", "TLS"), ("libcrypto", "TLS"), ("libcurl", "curl"), ("libnghttp2", "curl"),
             ("libwebsockets", "libwebsockets"), ("libuv", "libuv"), ("libjson-c", "parsing"), ("ld-linux", "libc"),
             ("libutf8proc", "normalizing"), ("[vdso]", "clock")]
ALLOCATOR = re.compile(r"malloc|free$|_free|calloc|realloc|^_int_|unlink_chunk|tcache|brk")
ENCODING = re.compile(r"encode|write|writer|emit|put_|sink|escape|frame")
ROOMS = [("protocols/llm_log", "answer log"), ("protocols/llm_builder", "answer log"), ("protocols/", "parsing"),
         ("gateway/server", "gateway: server"), ("gateway/session", "gateway: session"),
         ("gateway/pipeline", "gateway: pipeline"), ("gateway/response", "gateway: response"),
         ("gateway/upstream", "gateway: upstream"), ("gateway/", "gateway: other"), ("common/", "gateway: common")]
# The compiler may leave out the outer frame of a system call, so its inner ones count too.
SYSTEM_CALL = re.compile(r"^(?:__x64_sys_|__se_sys_|__do_sys_|(?:do|vfs|ksys|__sys)_(?=(?:p?(?:read|write)v?|sendto|sendmsg|recvfrom|"
                         r"recvmsg|epoll_p?wait|epoll_ctl|poll)$))(\w+)$")


def arguments():
    p = argparse.ArgumentParser(prog="profile.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--candidate", default="sluice-ws", help="sluice-ws, sluice-http, nginx or gin (sluice-ws)")
    p.add_argument("--scenario", default="stream", choices=["stream", "article", "burst", "lanes", "churn"])
    p.add_argument("--clients", type=int, default=200, help="connections (200)")
    p.add_argument("--seconds", type=int, default=8, help="how long perf records")
    p.add_argument("--tls", action="store_true", help="TLS towards the clients")
    p.add_argument("--frequency", type=int, default=999, metavar="HZ")
    p.add_argument("--build", type=Path, action="append", metavar="DIR")
    p.add_argument("--sluice", type=Path, default=os.environ.get("SLUICE_BIN"))
    p.add_argument("--top", type=int, default=25, metavar="N", help="symbols to list")
    p.add_argument("--keep", type=Path, metavar="FILE", help="keep perf's recording there")
    p.set_defaults(workers=1, gomaxprocs=None, syscalls=False, mock_listen="127.0.0.1:0")
    o = p.parse_args()
    o.build = o.build or sorted((ROOT / "build").glob("*"), key=lambda d: (d.name != "release", -d.stat().st_mtime))
    return o


def symbol_rooms(binary):
    """{function: source file under the tree}; empty without debug information."""
    done = subprocess.run(["nm", "-l", "--defined-only", str(binary)], capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        m = re.match(r"\S+ [tT] (\S+)\t(\S+):\d+$", line)
        if m:
            found[m[1].split(".")[0]] = m[2].removeprefix(str(ROOT) + "/")
    return found


def process_tree(pid):
    pids = [pid]
    for p in pids:
        for task in Path(f"/proc/{p}/task").glob("*/children"):
            pids += [int(c) for c in task.read_text().split()]
    return pids


def samples(recording):
    """One list of (symbol, library) a sample, innermost first."""
    text = subprocess.run(["perf", "script", "-i", str(recording), "-F", "ip,sym,dso"], capture_output=True, text=True).stdout
    frames = []
    for line in text.splitlines() + [""]:
        m = re.match(r"\s+[0-9a-f]+ (.*) \((.*)\)$", line)
        if m:
            frames.append((m[1].split("+")[0], m[2]))
        elif frames:
            yield frames
            frames = []


def category(frames, binary, rooms):
    symbol, library = frames[0]
    if "kernel" in library or library.startswith("[k") or ".ko" in library:
        for name, _ in reversed(frames):
            m = SYSTEM_CALL.match(name)
            if m:
                return f"system call: {m[1]}"
            if name == "exit_to_user_mode_loop":
                return "preempted after a system call"
        return "kernel, other"
    base = os.path.basename(library)
    for part, name in LIBRARIES:
        if part in base:
            return name
    if base.startswith("libc.") or base.startswith("libc-"):
        return "allocator" if ALLOCATOR.search(symbol) else "libc"
    if base != os.path.basename(str(binary)):
        return base
    path = rooms.get(symbol.split(".")[0], "")
    for room, name in ROOMS:
        if path.startswith(room):
            return "encoding" if name == "parsing" and ENCODING.search(symbol) else name
    return "the program itself"


def count_syscalls(context, candidate, case):
    """Apart from the recording, since counting costs."""
    out = context.work / "count.json"
    context.syscalls = True
    subprocess.run(measure.load_command(context, case, candidate, out, ["--duration", "3s"]))
    context.syscalls = False
    return json.loads(out.read_text())["server"].get("syscalls_per_token")


def record(o, context, candidate, case, recording):
    out = context.work / "load.json"
    load = subprocess.Popen(measure.load_command(context, case, candidate, out))
    time.sleep(3)  # connected and ramped up
    pids = ",".join(str(p) for p in process_tree(candidate.pid(case.tls)))
    done = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(o.frequency), "-g", "-p", pids, "-o",
                           str(recording), "--", "sleep", str(o.seconds)], capture_output=True, text=True)
    load.wait()
    if not recording.exists():
        raise SystemExit(f"perf record failed: {done.stderr.strip()}")
    return json.loads(out.read_text())


def show(o, candidate, case, result, syscalls, recording):
    binary = getattr(candidate, "binary", "")
    rooms = symbol_rooms(binary)
    shares, symbols, total = collections.Counter(), collections.Counter(), 0
    for frames in samples(recording):
        name = category(frames, binary, rooms)
        shares[name] += 1
        symbols[(name, *frames[0])] += 1
        total += 1
    if not total:
        raise SystemExit("perf recorded nothing: is the server idle, or perf not allowed?")
    server = result["server"]
    per_token = server["cpu_us_per_token"]
    print(f"{candidate.name}, {case.label}: {result['ok']} answers, {result['tokens']} tokens; "
          f"{server['cpu_us_per_request']:.0f} us CPU an answer, {per_token:.2f} us a token, "
          f"{'no count of' if syscalls is None else f'{syscalls:.2f}'} system calls a token, "
          f"{result['tokens'] / result['deltas']:.2f} tokens an event; {total} samples.\nAnswers took {result['answer_ms']['p50']:.0f} ms (p50)"
          + (f"; at pace they take {case.ideal_ms:.0f} ms" if case.ideal_ms else "") + ".\n")
    print("| where | share | us a token |\n|---|---|---|")
    groups = collections.Counter()
    for name, n in shares.items():
        groups[name.split(":")[0] if name.startswith("system call") else name] += n
    for name, n in groups.most_common():
        print(f"| {name} | {100 * n / total:.1f} % | {per_token * n / total:.2f} |")
        if name == "system call":
            for inner, k in shares.most_common():
                if inner.startswith("system call") and k * 200 > total:
                    print(f"| &nbsp;&nbsp;{inner[13:]} | {100 * k / total:.1f} % | {per_token * k / total:.2f} |")
    print("\n| symbol | in | share |\n|---|---|---|")
    for (name, symbol, _), n in symbols.most_common(o.top):
        print(f"| `{symbol}` | {name} | {100 * n / total:.1f} % |")


def choose_case(o):
    """The scenario's first case with as many clients, long enough to be recorded."""
    sizes = {**scenarios.SIZES["normal"], "stream": [o.clients], "stream_tls": [o.clients]}
    case = next(c for c in scenarios.SCENARIOS[o.scenario](sizes) if c.tls == o.tls or o.scenario != "stream")
    case.tls, case.label = o.tls, f"{o.scenario}, {o.clients} clients" + (", TLS" if o.tls else "")
    args = [str(a) for a in case.args]
    for name, wanted in (("--sessions", o.clients), ("--duration", f"{o.seconds + 4}s"), ("--requests", 0)):
        if name in args:
            args[args.index(name) + 1] = str(wanted)
        elif name == "--duration":
            args += [name, wanted]
    case.args = args
    return case


def main():
    o = arguments()
    kinds = {c.name: c for c in candidates.BUILT_IN}
    if o.candidate not in kinds or o.candidate == "direct":
        raise SystemExit(f"--candidate: one of {', '.join(kinds)}")
    with tempfile.TemporaryDirectory(prefix="profile-") as work:
        try:
            o.sluice = Path(o.sluice).resolve() if o.sluice else find_tool("sluice", o.build)
            context = measure.Context(o, Path(work))
        except Skip as reason:
            raise SystemExit(str(reason))
        case = choose_case(o)
        recording = (o.keep or Path(work) / "perf.data").resolve()
        try:
            context.start_mock()
            candidate = kinds[o.candidate](context)
            if reason := measure.why_not(case, candidate):
                raise SystemExit(f"{o.candidate} {reason}")
            candidate.start(case)
            try:
                syscalls = count_syscalls(context, candidate, case)
                result = record(o, context, candidate, case, recording)
            finally:
                candidate.stop()
        except Skip as reason:
            raise SystemExit(str(reason))
        finally:
            context.stop()
        show(o, candidate, case, result, syscalls, recording)
    return 0


if __name__ == "__main__":
    sys.exit(main())
