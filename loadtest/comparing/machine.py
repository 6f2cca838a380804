"""Processes, ports and facts about this machine."""

import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent
LISTENING = re.compile(r"listening.*?address=\"?([\d.]+:\d+)\"?(?:.*?tls=(true|false))?")


class Skip(Exception):
    """A candidate or tool that is not to be had here, and why."""


def find_tool(name, build_dirs):
    for directory in build_dirs:
        path = Path(directory).resolve() / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise Skip(f"{name} is not built (looked in {', '.join(str(d) for d in build_dirs)})")


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process of ours, with its log in a file."""

    def __init__(self, name, command, work, env=None):
        self.name = name
        self.command = [str(c) for c in command]
        self.log = Path(work) / f"{name}.log"
        self.log_file = open(self.log, "wb")
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log_file,
            env={**os.environ, **(env or {})}, cwd=work)
        self.output = ""

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def fail(self, why):
        tail = self.log.read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.name}: {why}\n{' '.join(self.command)}\n{tail}")

    def wait_listening(self, count=1, seconds=30):
        """Reads the log until it names `count` listening addresses: [(address, tls)]."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = LISTENING.findall(self.log.read_text(errors="replace"))
            if len(set(found)) >= count:
                return [(address, tls == "true") for address, tls in dict.fromkeys(found)]
            if not self.alive():
                self.fail(f"ended with status {self.process.returncode} before it listened")
            time.sleep(0.02)
        self.fail(f"does not listen after {seconds} s")

    def wait_port(self, port, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if not self.alive():
                    self.fail(f"ended with status {self.process.returncode} before it listened")
                time.sleep(0.02)
        self.fail(f"does not listen after {seconds} s")

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL for what does not end; answers what it printed."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
        self.log_file.close()
        self.output = out.decode(errors="replace") if out else ""
        return self.output


class Awake:
    """A process for each processor that runs only when nothing else would, so that none goes to sleep. Waking one
    costs whoever writes to it, on a virtual machine an exit to the host."""

    def __init__(self):
        self.processes = []

    def start(self):
        for cpu in sorted(os.sched_getaffinity(0)):
            p = subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL)
            self.processes.append(p)
            os.sched_setaffinity(p.pid, {cpu})
            os.sched_setscheduler(p.pid, os.SCHED_IDLE, os.sched_param(0))

    def stop(self):
        for p in self.processes:
            p.kill()
            p.wait()


def processor_time():
    """(all, stolen by the host) since the start, in ticks of all processors."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[7]


def make_certificate(work):
    """A self-signed certificate for 127.0.0.1; the load client does not check it."""
    certificate, key = Path(work) / "cert.pem", Path(work) / "key.pem"
    if not certificate.exists():
        if not shutil.which("openssl"):
            raise Skip("the openssl command is missing")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", str(key), "-out", str(certificate), "-days", "30", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True)
    return certificate, key


def command_output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return (done.stdout + done.stderr).strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def facts():
    cpu = ""
    try:
        cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        pass
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
        "tcp": command_output("cat", "/proc/sys/net/ipv4/tcp_congestion_control"),
        "commit": command_output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "date": time.strftime("%Y-%m-%d"),
    }
