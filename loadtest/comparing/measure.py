"""Runs cases: each candidate in turn, and all turns again (A B A B), each time a fresh server."""

import json
import shlex
import statistics
import subprocess
import sys
import time

from .machine import Server, find_tool, make_certificate, processor_time

METRICS = {  # name -> (path in the load client's JSON, title, unit, lower is better)
    "requests_per_s": (("requests_per_s",), "requests", "/s", False),
    "cpu_us_per_request": (("server", "cpu_us_per_request"), "CPU per request", "us", True),
    "cpu_us_per_token": (("server", "cpu_us_per_token"), "CPU per token", "us", True),
    "first_p50": (("first_token_ms", "p50"), "first token p50", "ms", True),
    "first_p99": (("first_token_ms", "p99"), "first token p99", "ms", True),
    "added_p50": (("added_ms", "p50"), "first token, added p50", "ms", True),
    "added_p99": (("added_ms", "p99"), "first token, added p99", "ms", True),
    "transit_p50": (("transit_ms", "p50"), "token transit p50", "ms", True),
    "transit_p99": (("transit_ms", "p99"), "token transit p99", "ms", True),
    "gap_p99": (("gap_ms", "p99"), "token gap p99", "ms", True),
    "gap_p999": (("gap_ms", "p999"), "token gap p99.9", "ms", True),
    "answer_p50": (("answer_ms", "p50"), "whole answer p50", "ms", True),
    "answer_p99": (("answer_ms", "p99"), "whole answer p99", "ms", True),
    "connect_p99": (("connect_ms", "p99"), "connect p99", "ms", True),
    "idle_rss_kb": (("server", "at_first", "rss_kb"), "RSS before any client, all processes", "KB", True),
    "idle_largest_kb": (("server", "at_first", "largest_rss_kb"), "RSS before any client, largest process", "KB", True),
    "idle_pss_kb": (("server", "at_first", "pss_kb"), "PSS before any client", "KB", True),
    "peak_rss_kb": (("server", "peak", "rss_kb"), "RSS at peak", "KB", True),
    "session_bytes": (("server", "rss_bytes_per_session"), "RSS per session", "B", True),
    "session_pss_bytes": (("server", "pss_bytes_per_session"), "PSS per session", "B", True),
    "switches_per_token": (("server", "switches_per_token"), "context switches per token", "", True),
    "tokens_per_s": (("server", "tokens_per_s"), "tokens", "/s", False),
    "syscalls_per_request": (("server", "syscalls_per_request"), "system calls per request", "", True),
    "syscalls_per_token": (("server", "syscalls_per_token"), "system calls per token", "", True),
    "busy": (("server", "busy"), "CPU used, of one core", "%", True),
    "pace": (("pace",), "whole answer p50, of the ideal", "", True),
    "tokens_per_event": (("tokens_per_event",), "tokens per event", "", True),
    "client_cpu_s": (("client_cpu_s",), "load client's CPU", "s", True),
}
OF_SERVER = {name for name, (path, *_) in METRICS.items() if path[0] == "server"}


class Context:
    """What all candidates share: the mock provider, a certificate, options."""

    def __init__(self, options, work):
        self.work = work
        self.workers = options.workers
        self.gomaxprocs = options.gomaxprocs
        self.load = find_tool("sluice-load", options.build)
        self.mock_binary = find_tool("mock-llm", options.build)
        self.sluice = options.sluice
        self.syscalls = options.syscalls
        self.certificate, self.certificate_key = make_certificate(work)
        self.mock = self.mock_tls = None
        self.mock_listen = options.mock_listen

    def start_mock(self):
        self.mock = Server("mock", [self.mock_binary, "--listen", self.mock_listen], self.work)
        self.mock_address = self.mock.wait_listening()[0][0]
        self.mock_url = f"http://{self.mock_address}"
        self.mock_tls = Server("mock-tls", [self.mock_binary, "--listen", "127.0.0.1:0", "--tls-cert", self.certificate,
                                            "--tls-key", self.certificate_key], self.work)
        self.mock_tls_url = f"https://{self.mock_tls.wait_listening()[0][0]}"

    def stop(self):
        for server in (self.mock, self.mock_tls):
            if server:
                server.stop()


def load_command(context, case, candidate, out, extra=()):
    command = [context.load, "--url", candidate.url(case.tls), "--mode", case.mode["ws" if candidate.websocket else "http"],
               "--key", candidate.key, "--json", out, "--quiet", *case.args, *extra]
    if candidate.measured:
        command += ["--server-pid", candidate.pid(case.tls)]
    if case.idle and not candidate.websocket:
        command.append("--touch")
    if context.syscalls:
        command.append("--syscalls")
    return [str(c) for c in command]


class Background:
    """Idle sessions that another load client holds."""

    def __init__(self, context, case, candidate):
        self.server = None
        if not case.background:
            return
        command = [context.load, "--url", candidate.url(case.tls), "--mode", "ws" if candidate.websocket else "chat-json",
                   "--key", candidate.key, "--model", "mock:tokens=1", "--idle", "--steps", 1, "--sessions",
                   case.background, "--hold", "100ms", "--duration", "60m", "--sources", 8]
        if not candidate.websocket:
            command.append("--touch")
        self.server = Server("background", command, context.work)
        self.wanted = f"holding sessions={case.background}\n"
        deadline = time.monotonic() + 120
        while self.wanted not in self.server.log.read_text():
            if not self.server.alive() or time.monotonic() > deadline:
                self.server.fail(f"does not hold {case.background} sessions")
            time.sleep(0.05)

    def stop(self):
        """What was wrong, or None."""
        if not self.server:
            return None
        alive = self.server.alive()
        self.server.stop()
        return None if alive and "error" not in self.server.log.read_text() else "idle sessions were lost"


def measure(context, case, candidate, turn=0):
    """One run: the load client's JSON, and what to tell of it."""
    out = context.work / "load.json"
    out.unlink(missing_ok=True)
    candidate.start(case)
    background, result = None, {}
    try:
        background = Background(context, case, candidate)
        command = load_command(context, case, candidate, out, ["--seed", turn + 1])
        all_before, stolen_before = processor_time()
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        all_after, stolen_after = processor_time()
        result = json.loads(out.read_text()) if out.exists() else {}
        result["stolen"] = (stolen_after - stolen_before) / max(1, all_after - all_before)
        if case.ideal_ms and result.get("ok"):
            result["pace"] = result["answer_ms"]["p50"] / case.ideal_ms
        if result.get("deltas"):
            result["tokens_per_event"] = result["tokens"] / result["deltas"]
        if result.get("server", {}).get("seconds"):
            result["server"]["busy"] = 100 * result["server"]["cpu_s"] / result["server"]["seconds"]
        if context.syscalls and "syscalls" not in result.get("server", {}) and done.stderr:
            warn(f"  {done.stderr.strip()}")
        result["exit"] = done.returncode
        result["command"] = shlex.join(["sluice-load", *command[1:]])
        if done.returncode and not result.get("errors"):
            result["errors"] = {(done.stderr.strip() or "the load client failed")[-200:]: 1}
    finally:
        problems = [background.stop() if background else None, candidate.stop()]
        for problem in filter(None, problems):
            result["exit"] = 1
            result["errors"] = {**result.get("errors", {}), problem: 1}
    return result


def value(result, metric):
    at = result
    for step in METRICS[metric][0]:
        at = at.get(step) if isinstance(at, dict) else None
    return at


def why_not(case, candidate):
    if not case.tls and candidate.only_tls:
        return "speaks TLS only"
    if case.tls and not candidate.tls:
        return "has no TLS of its own here"
    if ("ws" if candidate.websocket else "http") not in case.mode:
        return "has no lanes"
    if case.idle and candidate.name == "direct":
        return "the mock holds no sessions worth measuring"
    return case.skip.get(candidate.name)


def note_added(turn):
    """What each candidate's first token took more than the direct call's, in this turn."""
    floor = turn.get("direct", {}).get("first_token_ms")
    for name, result in turn.items():
        own = result.get("first_token_ms")
        if floor and own and name != "direct":
            result["added_ms"] = {q: own[q] - floor[q] for q in ("p50", "p99")}


class Race:
    """One case and what its candidates did: {candidate name: [results]}, {candidate name: why it was left out}."""

    def __init__(self, case, candidates):
        self.case = case
        self.left_out = {c.name: why for c in candidates if (why := why_not(case, c))}
        self.racing = [c for c in candidates if c.name not in self.left_out]
        self.results = {c.name: [] for c in self.racing}

    def take_turn(self, context, turn, turns, echo):
        results = {}
        for candidate in self.racing:
            started = time.monotonic()
            try:
                result = measure(context, self.case, candidate, turn)
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                result = {"exit": 1, "errors": {str(e).strip()[-300:]: 1}}
            results[candidate.name] = result
            echo(f"  {self.case.key:32} run {turn + 1}/{turns}  {candidate.name:12} {summary(result, self.case.idle)}  "
                 f"({time.monotonic() - started:.1f} s)")
        if self.case.windows:
            note_added(results)
        for name, result in results.items():
            self.results[name].append(result)


def run_scenario(context, cases, candidates, runs, echo):
    """All cases and candidates once, and again (A B A B), so that what is compared stands side by side; yields the races so far."""
    races = [Race(case, candidates) for case in cases]
    for race in races:
        for name, why in race.left_out.items():
            echo(f"  {race.case.key}: without {name}: {why}")
    turns = runs * max(1, cases[0].windows)
    for turn in range(turns):
        for race in races:
            race.take_turn(context, turn, turns, echo)
        yield races


QUIET = 0.002  # of the processors' time, taken by a virtual machine's host
QUIET_LEAST = 3


def counted(case, results):
    """(the results that the figures are made of, what to say of windows): of many windows those that the host left
    alone, or all when those are too few."""
    if not case.windows:
        return results, None
    turns = list(zip(*results.values()))
    quiet = [i for i, turn in enumerate(turns) if all(r.get("stolen", 0) <= QUIET for r in turn)]
    enough = len(quiet) >= min(QUIET_LEAST, len(turns))
    told = (len(quiet), len(turns), enough)
    return {name: [runs[i] for i in quiet] if enough else runs for name, runs in results.items()}, told


def summary(result, idle):
    parts = []
    for metric, text in (("requests_per_s", "{:.0f} req/s"), ("cpu_us_per_request", "{:.0f} us/req"),
                         ("cpu_us_per_token", "{:.2f} us/token"), ("first_p50", "first {:.2f} ms"),
                         ("session_bytes", "{:.0f} B/session")):
        v = value(result, metric)
        if v and (not idle or metric == "session_bytes"):
            parts.append(text.format(v))
    if result.get("errors"):
        parts.append("ERRORS " + ", ".join(f"{k} x{n}" for k, n in result["errors"].items()))
    if result.get("correct") is False:
        parts.append(f"WRONG TOKENS {result['token_errors']}")
    return ", ".join(parts)


def reduce(results, measured):
    """{metric: {median, min, max, runs}} over the runs of one candidate in one case."""
    reduced = {}
    for metric in METRICS:
        if metric in OF_SERVER and not measured:
            continue
        values = [v for r in results if isinstance(v := value(r, metric), (int, float))]
        if values and (any(values) or metric in ("session_bytes", "session_pss_bytes")):
            reduced[metric] = {"median": statistics.median(values), "min": min(values), "max": max(values),
                               "runs": len(values)}
    return reduced


def correct(results):
    """No run failed, and none had a wrong token."""
    return bool(results) and all(r.get("exit") == 0 and r.get("correct") for r in results)


def warn(text):
    print(text, file=sys.stderr, flush=True)
