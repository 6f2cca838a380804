"""Runs the same scenarios against Sluice, nginx, Gin, FastAPI and any URL, side by side, and writes a report.

Installs and builds what is missing first, but not when --build names a directory; what cannot be had is skipped with a
reason. See loadtest/README.md."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from . import candidates, goals, measure, report, scenarios
from .machine import ROOT, Awake, Skip, facts, find_tool


def names(text):
    return [n for n in text.split(",") if n]


def numbers(text):
    return [int(n) for n in names(text)]


def arguments():
    p = argparse.ArgumentParser(prog="compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = p.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="tiny sizes, one run: for CI")
    size.add_argument("--full", dest="size", action="store_const", const="full", help="5,000 streams, as many idle sessions as there may be descriptors")
    p.set_defaults(size="normal")
    p.add_argument("--scenarios", type=names, default=list(scenarios.SCENARIOS), metavar="A,B",
                   help="of " + ", ".join(scenarios.SCENARIOS))
    p.add_argument("--candidates", type=names, default=[], metavar="A,B",
                   help="of " + ", ".join(c.name for c in candidates.BUILT_IN) + " (all that are to be had)")
    p.add_argument("--also", action="append", default=[], metavar="NAME=URL[,KEY[,PID]]",
                   help="another server, already running in front of the mock (see --mock-listen); with PID its CPU and "
                        "memory are measured too")
    p.add_argument("--mock-listen", default="127.0.0.1:0", metavar="ADDRESS", help="a fixed address for the mock provider")
    p.add_argument("--runs", type=int, metavar="N", help="runs of each (3; 1 with --quick)")
    p.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes of each server (1)")
    p.add_argument("--gomaxprocs", type=int, metavar="N", help="for Gin (Go's own choice: all cores)")
    p.add_argument("--stream", type=numbers, metavar="N,N", help="clients of the stream scenario")
    p.add_argument("--stream-tls", type=numbers, metavar="N,N")
    p.add_argument("--idle", type=numbers, metavar="N,N", help="sessions of the idle scenario")
    p.add_argument("--idle-tls", type=numbers, metavar="N,N")
    p.add_argument("--seconds", type=int, metavar="N", help="length of a stream run")
    p.add_argument("--awake", action="store_true", help="keep all processors awake with processes that run only when nothing "
                   "else would: on a virtual machine the waking of a sleeping one is most of a small load's cost")
    p.add_argument("--syscalls", action="store_true", help="count system calls too (slows the servers a little)")
    p.add_argument("--build", type=Path, action="append", metavar="DIR", help="where mock-llm and sluice-load are "
                   "(build/release, or the newest build directory that has them)")
    p.add_argument("--sluice", type=Path, default=os.environ.get("SLUICE_BIN"), help="the gateway's program "
                   "($SLUICE_BIN, or from --build)")
    p.add_argument("--out", type=Path, default=ROOT / "build/loadtest/report", metavar="DIR")
    o = p.parse_args()
    unknown = [s for s in o.scenarios if s not in scenarios.SCENARIOS]
    unknown += [c for c in o.candidates if c not in {k.name for k in candidates.BUILT_IN}]
    if unknown:
        p.error(f"unknown: {', '.join(unknown)}")
    o.runs = o.runs or (1 if o.size == "quick" else 3)
    if not o.build:
        o.build = sorted((ROOT / "build").glob("*"), key=lambda d: (d.name != "release", -d.stat().st_mtime))
    return o


def overrides(o):
    chosen = {"stream": o.stream, "stream_tls": o.stream_tls, "idle": o.idle, "idle_tls": o.idle_tls, "seconds": o.seconds}
    return {k: v for k, v in chosen.items() if v is not None}


def entry(race):
    """A race as the report wants it."""
    case = race.case
    counted, windows = measure.counted(case, race.results)
    return {"scenario": case.scenario, "question": case.question, "how": case.how, "tls": case.tls, "size": case.size,
            "left_out": race.left_out, "windows": windows,
            "candidates": {c.name: {"metrics": measure.reduce(counted[c.name], c.measured), "measured": c.measured,
                                    "correct": measure.correct(race.results[c.name]), "runs": race.results[c.name]}
                           for c in race.racing}}


def compare(o, context, chosen, skipped):
    data = {"machine": facts(), "awake": o.awake, "runs": o.runs, "workers": o.workers, "skipped": skipped, "cases": {},
            "candidates": {c.name: {"what": c.what, "version": c.version()} for c in chosen}}
    for cases in scenarios.chosen(o.scenarios, o.size, overrides(o)):
        for races in measure.run_scenario(context, cases, chosen, o.runs, measure.warn):
            data["cases"].update((race.case.key, entry(race)) for race in races)
            data["goals"] = goals.table(data["cases"]) if o.size != "quick" else []
            report.write(data, o.out)  # after each turn, so that an interrupted comparison leaves what it has
    return data


def main():
    o = arguments()
    for number in (signal.SIGTERM, signal.SIGINT):  # take the servers along
        signal.signal(number, lambda *_: sys.exit("interrupted"))
    try:
        o.sluice = Path(o.sluice).resolve() if o.sluice else find_tool("sluice", o.build)
    except Skip as reason:
        measure.warn(f"skipped: sluice: {reason}")
        o.candidates = [c for c in o.candidates or [k.name for k in candidates.BUILT_IN] if not c.startswith("sluice")]
    with tempfile.TemporaryDirectory(prefix="compare-") as work:
        try:
            context = measure.Context(o, Path(work))
        except Skip as reason:
            sys.exit(f"{reason}; build first: cmake --preset release && cmake --build --preset release")
        awake = Awake()
        try:
            if o.awake:
                awake.start()
            context.start_mock()
            chosen, skipped = candidates.choose(context, o.candidates, o.also)
            data = compare(o, context, chosen, skipped)
        finally:
            awake.stop()
            context.stop()
    for path in report.write(data, o.out):
        measure.warn(f"wrote {path}")
    wrong = [f"{key}: {name}: {report.verdict(c)}" for key, case in data["cases"].items()
             for name, c in case["candidates"].items() if not c["correct"]]
    for line in wrong:
        measure.warn(f"not right: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
