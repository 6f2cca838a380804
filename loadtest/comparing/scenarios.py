"""What is measured. A case is one scenario at one size; it says what the load client does for each candidate."""

import resource
from dataclasses import dataclass, field

# As many sessions as a process may have descriptors, but for what it needs itself: nginx begins to close idle connections when
# fewer than a sixteenth are free, and Gin keeps some to the model. More than 50,000 tell nothing new.
MOST_IDLE = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] * 17 // 20, 50000)
STREAM_TOKENS = 64

SIZES = {
    "quick": dict(article=dict(requests=200, sessions=[20], latency=20), stream=[10], stream_tls=[10], seconds=1,
                  gap=5, latency=20, width=dict(sessions=[5, 20], rate=1000, seconds=1), added=dict(rates=[40], seconds=1, windows=1),
                  idle=[40], idle_tls=[40], idle_hold=100, churn=dict(requests=100, sessions=10), churn_idle=[],
                  burst=dict(sessions=20, tokens=500, every=200, seconds=1), slow=dict(sessions=20, readers=[0, 2], seconds=1),
                  lanes=dict(sessions=2, seconds=1)),
    "normal": dict(article=dict(requests=10000, sessions=[100, 500], latency=200), stream=[200, 1000], stream_tls=[1000],
                   seconds=8, gap=20, latency=200, width=dict(sessions=[200, 1000], rate=20000, seconds=8),
                   added=dict(rates=[150, 1000, 1400], seconds=2, windows=3), idle=[5000], idle_tls=[5000], idle_hold=1000,
                   churn=dict(requests=3000, sessions=50), churn_idle=[],
                   burst=dict(sessions=100, tokens=1000, every=400, seconds=5),
                   slow=dict(sessions=1000, readers=[0, 1], seconds=8), lanes=dict(sessions=40, seconds=8)),
    "full": dict(article=dict(requests=10000, sessions=[100, 500], latency=200), stream=[200, 1000, 5000],
                 stream_tls=[1000], seconds=10, gap=20, latency=200, width=dict(sessions=[200, 1000, 5000], rate=20000, seconds=10),
                 added=dict(rates=[150, 1000, 1400], seconds=2, windows=6), idle=[MOST_IDLE], idle_tls=[MOST_IDLE], idle_hold=2000,
                 churn=dict(requests=40000, sessions=50), churn_idle=[15000],
                 burst=dict(sessions=1000, tokens=1000, every=4000, seconds=12),
                 slow=dict(sessions=1000, readers=[0, 1, 10], seconds=10), lanes=dict(sessions=60, seconds=10)),
}
ARTICLE_TOKENS = 16
ARTICLE_TEXT_BYTES = 2000


@dataclass
class Case:
    scenario: str
    label: str
    question: str  # what the case tells, for the report
    how: str  # how it is measured
    mode: dict  # candidate kind (http, ws) -> the load client's mode
    args: list
    tls: bool = False
    size: int = 0
    idle: bool = False
    background: int = 0  # idle sessions held meanwhile
    ideal_ms: float = 0  # how long an answer takes when nobody is late
    windows: int = 0  # so many short runs for each run, of which those count that the host did not disturb
    skip: dict = field(default_factory=dict)  # candidate name -> reason

    @property
    def connections(self):
        """As many as a server must be able to take."""
        return int(self.args[self.args.index("--sessions") + 1]) + self.background

    @property
    def key(self):
        return f"{self.scenario} {self.label}".strip()


SSE = {"http": "chat-sse", "ws": "ws"}
JSON = {"http": "chat-json", "ws": "ws"}


def model(**settings):
    return "mock:" + "+".join(f"{k}={v}" for k, v in settings.items())


def article(s):
    a = s["article"]
    cases = []
    for n in a["sessions"]:
        skip = {}
        if n > 200:
            skip["fastapi"] = "httpx looks through all its connections for each request, and would take minutes"
        cases.append(Case(
            "article", f"{n} at once", "What does one validated, normalized request and its JSON answer cost?",
            f"{a['requests']} requests of {ARTICLE_TEXT_BYTES} bytes of text over {n} kept connections, closed loop; the model "
            f"answers {ARTICLE_TOKENS} tokens after {a['latency']} ms, so that {n * 1000 // a['latency']} requests a second are "
            "the most there can be. CPU: of the server's process tree over those requests.",
            JSON, ["--model", model(tokens=ARTICLE_TOKENS, latency=a["latency"]), "--sessions", n, "--requests",
                   a["requests"], "--prompt-bytes", ARTICLE_TEXT_BYTES, "--ramp", f"{a['latency']}ms", "--warmup", n],
            size=n, ideal_ms=a["latency"], skip=skip))
    return cases


def paced(sessions, gap, latency, seconds):
    """(arguments, ideal time) of clients that ask for one answer after another, their starts spread over one answer's time."""
    ideal = latency + (STREAM_TOKENS - 1) * gap
    return ["--model", model(tokens=STREAM_TOKENS, gap=gap, latency=latency), "--sessions", sessions, "--duration",
            f"{int(seconds * 1000)}ms", "--ramp", f"{ideal}ms"], ideal


def stream(s):
    cases = []
    for tls, sizes in ((False, s["stream"]), (True, s["stream_tls"])):
        for n in sizes:
            skip = {}
            if n > 200:
                skip["fastapi"] = "over 200 paced streams it is saturated many times over, and measures only its backlog"
            args, ideal = paced(n, s["gap"], s["latency"], s["seconds"])
            cases.append(Case(
                "stream", f"{n} clients" + (", TLS" if tls else ""), "What does one streamed token cost?",
                f"{n} clients, each one answer after another of {STREAM_TOKENS} tokens, one each {s['gap']} ms after {s['latency']} ms; "
                f"starts spread over one answer's time; {s['seconds']} s. CPU: of the server's process tree, divided by "
                "the tokens that arrived." + (" TLS 1.3 towards the clients, plain to the model." if tls else ""),
                SSE, args, tls=tls, size=n, skip=skip, ideal_ms=ideal))
    return cases


def width(s):
    w = s["width"]
    cases = []
    for n in w["sessions"]:
        gap = n * 1000 // w["rate"]
        args, ideal = paced(n, gap, gap, STREAM_TOKENS * gap / 1000 + w["seconds"])
        cases.append(Case(
            "width", f"{n} streams", "Does a token cost more when it is one of many streams?",
            f"{n} clients with a token each {gap} ms: about {w['rate']} tokens a second whatever their number, so that only the "
            f"number of streams differs; answers of {STREAM_TOKENS} tokens. Measured for {w['seconds']} s from when all have begun.",
            SSE, [*args, "--steady"], size=n, ideal_ms=ideal,
            skip={"fastapi": "it cannot keep that rate"} if w["rate"] > 5000 else {}))
    return cases


def added(s):
    a = s["added"]
    return [Case("added", f"{rate}/s", "How much later does the first token come than on the direct call?",
                 f"Open loop, {rate} requests a second (Poisson), answers of 32 tokens {s['gap']} ms apart that begin at "
                 "once; first token: from when the request was due to its first token; transit: from the mock's sending "
                 f"of a token (stamped in it) to its arrival. Windows of {a['seconds']} s in turns; added: less the direct call's "
                 "in the same turn. Windows of which the host took more than 0.2 % are set aside.",
                 SSE, ["--model", model(tokens=32, gap=s["gap"], stamp=1), "--sessions", max(200, rate * 2), "--rate",
                       rate, "--poisson", "--duration", f"{a['seconds']}s", "--warmup", max(20, rate)], size=rate, windows=a["windows"],
                 skip={"fastapi": "it cannot keep that rate"} if rate > 60 else {}) for rate in a["rates"]]


def idle(s):
    cases = []
    for tls, sizes in ((False, s["idle"]), (True, s["idle_tls"])):
        for n in sizes:
            cases.append(Case(
                "idle", f"{n} sessions" + (", TLS" if tls else ""), "What does a session that says nothing hold?",
                f"{n} connections opened in 5 steps, each held {s['idle_hold']} ms; over HTTP each makes one short request "
                "first, over WebSocket it is authenticated by its upgrade. Bytes a session: least-squares slope of the "
                "process tree's RSS over the steps.",
                JSON, ["--idle", "--steps", 5, "--hold", f"{s['idle_hold']}ms", "--model", model(tokens=1), "--sessions", n,
                       "--sources", 8],
                tls=tls, size=n, idle=True))
    return cases


def churn(s):
    c = s["churn"]
    cases = []
    for background in [0, *s["churn_idle"]]:
        cases.append(Case(
            "churn", f"beside {background} idle" if background else "", "What does a visit cost: connect, one short answer, leave?",
            f"{c['requests']} connections, {c['sessions']} at a time; each asks for 4 tokens and closes. Latency counts from "
            "the connect." + (f" Meanwhile {background} idle sessions are held." if background else ""),
            SSE, ["--churn", "--model", model(tokens=4), "--sessions", c["sessions"], "--requests", c["requests"],
                  "--sources", 16, "--warmup", c["sessions"]], size=background, background=background,
            skip={"fastapi": "it would take many minutes"} if c["requests"] > 5000 else {}))
    return cases


def burst(s):
    b = s["burst"]
    cases = []
    for slow in (0, 0.05):
        cases.append(Case(
            "burst", "5 % slow readers" if slow else "all fast", "Do slow readers disturb the fast ones?",
            f"{b['sessions']} clients, answers of {b['tokens']} tokens sent all at once {b['every']} ms after each request"
            + ("; 5 % of the clients read 4 KiB each 100 ms, and are not in the latencies. A gateway that sends waiting tokens as "
               "one has less to send them, and is done earlier." if slow else "."),
            SSE, ["--model", model(tokens=b["tokens"], latency=b["every"]), "--sessions", b["sessions"], "--duration",
                  f"{b['seconds']}s", "--ramp", f"{b['every']}ms", "--slow-readers", slow, "--drain", "120s"], size=int(slow * 100),
            skip={"fastapi": "it is saturated by the relay of single lines"} if b["sessions"] > 50 else {}))
    return cases


def slow(s):
    w = s["slow"]
    args, ideal = paced(w["sessions"], s["gap"], s["latency"], w["seconds"])
    return [Case(
        "slow", f"{readers} of {w['sessions']}", "What do clients that cannot keep up cost the others?",
        f"{w['sessions']} clients with a token each {s['gap']} ms"
        + (f"; {readers} of them read 512 bytes each 100 ms, less than is sent to them, and are not in the latencies." if readers
           else ", and all of them read at once."),
        SSE, [*args, "--slow-readers", readers / w["sessions"], "--slow-bytes", 512, "--drain", "120s"], size=readers, ideal_ms=ideal,
        skip={"fastapi": "it is saturated many times over"} if w["sessions"] > 200 else {}) for readers in w["readers"]]


def lanes(s):
    n = s["lanes"]
    args, ideal = paced(n["sessions"], s["gap"], s["latency"], n["seconds"])
    return [Case("lanes", f"16 on each of {n['sessions']} sockets", "What do 16 answers at once on one socket cost?",
                 f"{n['sessions']} sockets, 16 answers of {STREAM_TOKENS} tokens at once on each, {s['gap']} ms between tokens; "
                 f"{n['seconds']} s. Only WebSocket has lanes.",
                 {"ws": "ws"}, [*args, "--lanes", 16], size=n["sessions"], ideal_ms=ideal)]


SCENARIOS = {"article": article, "stream": stream, "width": width, "added": added, "idle": idle, "churn": churn, "burst": burst,
             "slow": slow, "lanes": lanes}


def chosen(names, size, overrides):
    """One list of cases for each scenario named."""
    sizes = {**SIZES[size], **overrides}
    return [SCENARIOS[name](sizes) for name in names]
