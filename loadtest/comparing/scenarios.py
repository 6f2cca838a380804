"""What is measured. A case is one scenario at one size; it says what the load client does for each candidate."""

from dataclasses import dataclass, field

SIZES = {
    "quick": dict(article=dict(requests=200, sessions=[20], latency=20), stream=[10], stream_tls=[10], seconds=1,
                  gap=5, latency=20, idle=[40], idle_tls=[40], idle_hold=100, churn=dict(requests=100, sessions=10),
                  churn_idle=[], burst=dict(sessions=10, tokens=500, every=200, seconds=1), lanes=dict(sessions=2, seconds=1),
                  added=dict(rate=40, seconds=1)),
    "normal": dict(article=dict(requests=10000, sessions=[100, 500], latency=200), stream=[200, 1000], stream_tls=[1000],
                   seconds=8, gap=20, latency=200, idle=[5000], idle_tls=[5000], idle_hold=1000,
                   churn=dict(requests=3000, sessions=50), churn_idle=[],
                   burst=dict(sessions=100, tokens=1000, every=400, seconds=5), lanes=dict(sessions=40, seconds=8),
                   added=dict(rate=150, seconds=8)),
    "full": dict(article=dict(requests=10000, sessions=[100, 500], latency=200), stream=[200, 1000, 5000],
                 stream_tls=[1000], seconds=10, gap=20, latency=200, idle=[15000], idle_tls=[15000], idle_hold=2000,
                 churn=dict(requests=40000, sessions=50), churn_idle=[15000],
                 burst=dict(sessions=1000, tokens=1000, every=4000, seconds=12), lanes=dict(sessions=60, seconds=10),
                 added=dict(rate=150, seconds=10)),
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
    skip: dict = field(default_factory=dict)  # candidate name -> reason

    @property
    def key(self):
        return f"{self.scenario} {self.label}".strip()


SSE = {"http": "chat-sse", "ws": "ws"}
JSON = {"http": "chat-json", "ws": "ws"}


def model(**settings):
    return "mock:" + ",".join(f"{k}={v}" for k, v in settings.items())


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


def stream(s):
    cases = []
    for tls, sizes in ((False, s["stream"]), (True, s["stream_tls"])):
        for n in sizes:
            skip = {}
            if n > 200:
                skip["fastapi"] = "over 200 paced streams it is saturated many times over, and measures only its backlog"
            cases.append(Case(
                "stream", f"{n} clients" + (", TLS" if tls else ""), "What does one streamed token cost?",
                f"{n} clients, each one answer after another of 64 tokens, one each {s['gap']} ms after {s['latency']} ms; "
                f"starts spread over one answer's time; {s['seconds']} s. CPU: of the server's process tree, divided by "
                "the tokens that arrived." + (" TLS 1.3 towards the clients, plain to the model." if tls else ""),
                SSE, ["--model", model(tokens=64, gap=s["gap"], latency=s["latency"]), "--sessions", n, "--duration",
                      f"{s['seconds']}s", "--ramp", f"{64 * s['gap'] + s['latency']}ms"], tls=tls, size=n, skip=skip,
                ideal_ms=s["latency"] + 63 * s["gap"]))
    return cases


def added(s):
    a = s["added"]
    return [Case("added", "", "How much later does a token come than on the direct call?",
                 f"Open loop, {a['rate']} requests a second (Poisson), answers of 32 tokens {s['gap']} ms apart that begin at "
                 "once; first token: from when the request was due to its first token; transit: from the mock's sending "
                 "of a token (stamped in it) to its arrival. Subtract the direct row.",
                 SSE, ["--model", model(tokens=32, gap=s["gap"], stamp=1), "--sessions", max(200, a["rate"] * 2), "--rate",
                       a["rate"], "--poisson", "--duration", f"{a['seconds']}s", "--warmup", 20], size=a["rate"],
                 skip={"fastapi": "it cannot keep that rate"} if a["rate"] > 60 else {})]


def idle(s):
    cases = []
    for tls, sizes in ((False, s["idle"]), (True, s["idle_tls"])):
        for n in sizes:
            cases.append(Case(
                "idle", f"{n} sessions" + (", TLS" if tls else ""), "What does a session that says nothing hold?",
                f"{n} connections opened in 5 steps, each held {s['idle_hold']} ms; over HTTP each makes one short request "
                "first, over WebSocket it is authenticated by its upgrade. Bytes a session: least-squares slope of the "
                "process tree's RSS over the steps.",
                JSON, ["--idle", "--steps", 5, "--hold", f"{s['idle_hold']}ms", "--model", model(tokens=1), "--sessions", n],
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
            + ("; 5 % of the clients read 4 KiB each 100 ms, and are not in the latencies." if slow else "."),
            SSE, ["--model", model(tokens=b["tokens"], latency=b["every"]), "--sessions", b["sessions"], "--duration",
                  f"{b['seconds']}s", "--ramp", f"{b['every']}ms", "--slow-readers", slow, "--drain", "120s"], size=int(slow * 100),
            skip={"fastapi": "it is saturated by the relay of single lines"} if b["sessions"] > 50 else {}))
    return cases


def lanes(s):
    n = s["lanes"]
    return [Case("lanes", f"16 on each of {n['sessions']} sockets", "What do 16 answers at once on one socket cost?",
                 f"{n['sessions']} sockets, 16 answers of 64 tokens at once on each, {s['gap']} ms between tokens; {n['seconds']} s. "
                 "Only WebSocket has lanes.",
                 {"ws": "ws"}, ["--model", model(tokens=64, gap=s["gap"], latency=s["latency"]), "--sessions", n["sessions"],
                                "--lanes", 16, "--duration", f"{n['seconds']}s", "--ramp",
                                f"{64 * s['gap'] + s['latency']}ms"], size=n["sessions"],
                 ideal_ms=s["latency"] + 63 * s["gap"])]


SCENARIOS = {"article": article, "stream": stream, "added": added, "idle": idle, "churn": churn, "burst": burst,
             "lanes": lanes}


def cases(names, size, overrides):
    sizes = {**SIZES[size], **overrides}
    return [case for name in names for case in SCENARIOS[name](sizes)]
