"""The servers that are scraped."""

import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from .tools import Missing, build_go, build_rust, say, target

FAMILY = b"tencent_live_stream_disconnects_total{"


class Server:
    """A server that runs, and stands still unless it is its turn, so that it takes nothing from the others."""

    def __init__(self, stack, name, command, log):
        self.name = name
        say(f"starting {name}")
        with log.open("wb") as errors:
            self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=errors)
        stack.callback(self.end)
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening "):
            raise Missing(f"{name} did not start: {log.read_text(errors='replace')}")
        self.address = line.split()[1]
        self.stand_still()

    def end(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()

    def stand_still(self):
        """Stops it where it is."""
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self):
        self.process.send_signal(signal.SIGCONT)
        return self

    def __exit__(self, *_):
        self.stand_still()

    def page(self, coding="identity"):
        """A page of it."""
        connection = HTTPConnection(self.address, timeout=600)
        connection.request("GET", "/metrics", headers={"Accept-Encoding": coding})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise Missing(f"{self.name} answers {answer.status}")
        return body

    def resident(self):
        """Bytes of memory that it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def start(stack: ExitStack, chosen, count):
    """Builds and starts all of them: the program of the scrapers, and the servers by name, ours first."""
    folder = target() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    go = None if chosen.without_go else build_go(folder)
    rust = build_rust()
    folder = Path(tempfile.mkdtemp(prefix="http-", dir=folder))
    stack.callback(shutil.rmtree, folder)
    servers = {}

    def add(name, *command):
        servers[name] = Server(stack, name, command, folder / f"{name.replace(' ', '_')}.log")

    add("ours", rust, "ours", folder / "state", count, "--commits", chosen.commits)
    with servers["ours"] as ours:
        for coding, name in [("identity", "page"), ("gzip", "page.gz")]:
            (folder / name).write_bytes(ours.page(coding))
    add("static file", rust, "file", folder / "page", folder / "page.gz")
    add("prometheus crate", rust, "prometheus", count)
    if go:
        with (folder / "series").open("wb") as series:
            subprocess.run([rust, "series", str(count)], stdout=series, check=True)
        add("client_golang", go, folder / "series")
    for server in servers.values():
        same_series(server, count)
    return rust, servers


def same_series(server, count):
    """Checks that a server shows `count` series of the stream counter, and no two of them alike."""
    say(f"checking that {server.name} shows all series")
    with server:
        lines = [line for line in server.page().split(b"\n") if line.startswith(FAMILY)]
    # Label by label, since some sort them by name. Values of ours have moved on.
    labels = {frozenset(line[len(FAMILY):line.rindex(b"}")].rstrip(b",").split(b'",')) for line in lines}
    if not len(lines) == len(labels) == count:
        raise Missing(f"{server.name} shows {len(lines)} lines of {len(labels)} series instead of {count}")

