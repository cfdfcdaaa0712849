"""What every test against real programs shares: starting them, asking them, stopping them.

A test is a function that takes a `Stage`; `run` gives it one, prints how it went, and ends every process whatever
happens. Nothing waits for a time: `wait_until` asks again until a condition holds or a deadline has passed.
"""

import ctypes
import gzip
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

ROOT = Path(__file__).resolve().parents[2]
STREAMS = "tencent_live_stream_disconnects_total"
DOMAINS = "tencent_live_disconnects_total"
SECRET_ID = "AKIDsimulatorsimulatorsimulator00000"
SECRET_KEY = "simulatorsimulatorsimulator00000"

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FORMATS = {
    "text": ("text/plain;version=0.0.4", TEXT, text_families),
    "openmetrics": ("application/openmetrics-text;version=1.0.0", OPENMETRICS, openmetrics_families),
}

# Ten disconnects a second on forty streams.
BUSY = """
platform: {domains: [{name: push.one.example.com, apps: [{name: live, streams: [{pattern: "room_{}", count: 40}]}]}]}
traffic: {disconnects_per_minute: 600, history: 1m}
"""

# Proxies of the environment are for reaching the world; everything here is on loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """A promise was broken; the message says which and by what."""


def check(holds, message):
    """Fails the test with `message` unless `holds`."""
    if not holds:
        raise Failed(message)


def check_equal(got, expected, what):
    """Fails the test, naming the differences, unless both mappings are equal; a missing count is 0."""
    got, expected = Counter(got), Counter(expected)
    wrong = [f"{key}: {got[key]:g} instead of {expected[key]:g}" for key in sorted(got | expected, key=str)
             if got[key] != expected[key]]
    check(not wrong, f"{what}: {len(wrong)} of {len(got | expected)} differ\n  " + "\n  ".join(wrong[:20]))


def wait_until(what, condition, seconds):
    """Asks until `condition` returns something true, and returns it. Connection errors count as not yet."""
    deadline = time.monotonic() + seconds
    last = ""
    while time.monotonic() < deadline:
        try:
            if result := condition():
                return result
        except (OSError, urllib.error.URLError) as error:
            last = f" (last error: {error})"
        time.sleep(0.1)
    raise Failed(f"not within {seconds} s: {what}{last}")


def get(url, headers=None, timeout=10):
    """The answer's body and headers; an HTTP error is an error."""
    with _opener.open(urllib.request.Request(url, headers=headers or {}), timeout=timeout) as answer:
        return answer.read(), answer.headers


def post(url, value):
    """Posts `value` as JSON and returns the JSON that comes back."""
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with _opener.open(request, timeout=10) as answer:
        return json.load(answer)


def program(variable, default):
    """The path of a real program. A missing one is a failure, never a skipped test."""
    found = shutil.which(os.environ.get(variable) or default)
    check(found, f"{default} is missing: tests/run installs it, or set {variable} to its path")
    return found


def free_port():
    """A port that was free a moment ago, for programs that do not tell which one they chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A child whose output goes to a file; it dies with this process."""

    def __init__(self, name, arguments, folder, more):
        self.name, self.log = name, folder / f"{name}.log"
        self.log_from = self.log.stat().st_size if self.log.exists() else 0
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
        environment |= more
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [str(argument) for argument in arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=lambda: _libc.prctl(1, signal.SIGKILL))

    def output(self):
        """What it has printed since it was started."""
        with self.log.open("rb") as log:
            log.seek(self.log_from)
            return log.read().decode("utf-8", "replace")

    def find(self, pattern):
        """The group of `pattern` in what it has printed, if it has."""
        check(self.child.poll() is None, f"{self.name} ended by itself ({self.child.returncode})")
        found = re.search(pattern, self.output())
        return found and found[1]

    def wait_for(self, pattern, seconds=30):
        """Waits until it has printed `pattern`, and returns the pattern's group."""
        return wait_until(f"{self.name} prints {pattern!r}", lambda: self.find(pattern), seconds)

    def signal(self, number):
        """Sends a signal."""
        self.child.send_signal(number)

    def ended(self, seconds=15):
        """Waits until it has ended by itself, and returns its exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {seconds} s") from None

    def kill(self):
        """SIGKILL: no chance to finish anything."""
        self.child.kill()
        self.child.wait()

    def terminate(self):
        """SIGTERM, and the exit code."""
        self.child.terminate()
        return self.ended()


class Simulator:
    """The simulator's own paths."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def truth(self, since=None):
        """What really happened: all of it, or what ended at `since` or later."""
        query = "" if since is None else f"?since={since}"
        return json.loads(get(f"{self.endpoint}/-/truth{query}")[0])

    def publish(self, events):
        """Publishes events; all keys of the simulator's `Event` can be used."""
        return post(f"{self.endpoint}/-/events", events)["ids"]

    def faults(self):
        """How many requests have met a fault."""
        return sum(json.loads(get(f"{self.endpoint}/-/requests")[0])["faults"].values())

    def stop_traffic(self):
        """No new sessions; what waits to be published is published at once."""
        post(f"{self.endpoint}/-/stop-traffic?late=now", {})

    def control(self, path, value):
        """Overwrites the named members of `quirks` or `faults`."""
        return post(f"{self.endpoint}/-/{path}", value)


class Exporter:
    """One running exporter, which may not listen yet."""

    def __init__(self, process, state):
        self.process, self.state = process, Path(state)
        self.address = None

    def is_listening(self):
        """Whether it has told where it listens."""
        self.address = self.address or self.process.find(r'listening="?([0-9.:]+)')
        return self.address is not None

    @property
    def url(self):
        """Where it listens; waits for it."""
        wait_until("the exporter listens", self.is_listening, 30)
        return f"http://{self.address}"

    def wait_ready(self, seconds=60):
        """Until every account has had its first finished poll."""
        wait_until("the exporter is ready", lambda: get(f"{self.url}/-/ready"), seconds)
        return self

    def page(self, kind="text", compressed=False):
        """The page as text, its Content-Type, and its parsed families."""
        accept, _, parse = FORMATS[kind]
        headers = {"Accept": accept, "Accept-Encoding": "gzip" if compressed else "identity"}
        body, answer = get(f"{self.url}/metrics", headers)
        check(answer["Content-Encoding"] == ("gzip" if compressed else None), f"coding: {answer['Content-Encoding']}")
        text = (gzip.decompress(body) if compressed else body).decode()
        return text, answer["Content-Type"], list(parse(text))

    def samples(self, name):
        """The values of one metric by their label sets."""
        lines = get(f"{self.url}/metrics", {"Accept": FORMATS["text"][0]})[0].decode().split("\n")
        wanted = "".join(f"{line}\n" for line in lines if line.startswith((name + "{", name + " ")))
        found = [sample for family in text_families(wanted) for sample in family.samples]
        values = {tuple(sorted(sample.labels.items())): sample.value for sample in found}
        check(len(values) == len(found), f"{name}: a label set comes twice")
        return values

    def value(self, name, **labels):
        """The sum of a metric's samples that have all of `labels`."""
        wanted = set(labels.items())
        return sum(value for key, value in self.samples(name).items() if wanted <= set(key))

    def passes(self, kind):
        """How many polls or sweeps have succeeded."""
        failures = self.value("tencent_live_exporter_poll_failures_total", kind=kind)
        return self.value("tencent_live_exporter_polls_total", kind=kind) - failures

    def wait_for_rest(self, seconds=180):
        """Until all that the API shows now must have been counted and shown: two more polls and two more sweeps have
        succeeded (the first of each may have begun before), and nothing is held."""
        targets = {kind: self.passes(kind) + 2 for kind in ("poll", "sweep")}
        wait_until("two more polls and sweeps succeed",
                   lambda: all(self.passes(kind) >= target for kind, target in targets.items()), seconds)
        wait_until("nothing is held", lambda: self.value("tencent_live_exporter_held_series") == 0, seconds)

    def totals(self, name, *by):
        """A counter's values added up by the labels `by`."""
        sums = Counter()
        for key, value in self.samples(name).items():
            labels = dict(key)
            sums[tuple(labels[label] for label in by)] += value
        return sums

    def check_exact(self, simulator):
        """Both counters are the simulator's truth, series by series; returns how many disconnects that is."""
        truth = simulator.truth(since=self.counting_since())
        labels = ("domain", "app", "stream", "reason")
        by_series = {tuple(one[label] for label in labels): one["count"] for one in truth["by_series"]}
        by_domain = {(domain, reason): count for domain, reasons in truth["by_domain"].items()
                     for reason, count in reasons.items()}
        check(truth["published"] > 0, "nothing has happened")
        check_equal(self.totals(STREAMS, *labels), by_series, "the stream counter")
        check_equal(self.totals(DOMAINS, "domain", "reason"), by_domain, "the class counter")
        return truth["published"]

    def counting_since(self):
        """Sessions that ended before this Unix second are not counted; out of the ledger."""
        with sqlite3.connect(f"file:{self.state}/ledger.sqlite?mode=ro", uri=True, timeout=10) as ledger:
            return ledger.execute("SELECT min(counting_since) FROM account").fetchone()[0]


class Disk:
    """The disk of one state folder, which fills up, fails or dawdles as it is told: `tests/it/power_cut/disk.c`."""

    def __init__(self, folder, state):
        library, self.orders = folder / "disk.so", folder / "orders"
        subprocess.run([program("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", library,
                        ROOT / "tests/it/power_cut/disk.c"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "DISK_ROOT": str(folder / state),
                            "DISK_ORDERS": str(self.orders)}

    def give(self, kind, what, milliseconds=0):
        """From now on all operations of `kind` (write, sync, ...) come to `what`: ENOSPC, EIO, slow."""
        draft = self.orders.with_suffix(".draft")
        draft.write_text(f"{kind} 1 0 {what} {milliseconds}")
        draft.rename(self.orders)

    def lift(self):
        """All is well again."""
        self.orders.unlink()


class Prometheus:
    """A real Prometheus that scrapes one exporter."""

    def __init__(self, process, port, job):
        self.process, self.url, self.job = process, f"http://127.0.0.1:{port}", job

    def api(self, path, **query):
        """`data` of an answer of the HTTP API."""
        answer = json.loads(get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}")[0])
        check(answer["status"] == "success", f"Prometheus: {answer}")
        return answer["data"]

    def query(self, expression):
        """The result of an instant query."""
        return self.api("query", query=expression)["result"]

    def sums(self, metric, *by):
        """`sum by (…) (metric)`, without what is 0."""
        result = self.query(f"sum by ({','.join(by)}) ({metric})")
        sums = {tuple(one["metric"].get(label, "") for label in by): float(one["value"][1]) for one in result}
        return {key: value for key, value in sums.items() if value}

    def growth(self, metric, window="30m"):
        """What increase() can know of each series: the rises from one of its samples to the next, the first one being
        no rise from anything."""
        growth = {}
        for series in self.query(f"{metric}[{window}]"):
            values = [float(value) for _, value in series["values"]]
            labels = tuple(sorted((k, v) for k, v in series["metric"].items() if k not in {"__name__", "instance", "job"}))
            check(labels not in growth, f"{metric}: a series comes twice: {labels}")
            growth[labels] = sum(later - earlier for earlier, later in zip(values, values[1:]))
            fell = [(a, b) for a, b in zip(values, values[1:]) if b < a]
            check(not fell, f"{metric}{dict(labels)} fell: {fell}")
        return growth

    def wait_up(self, seconds=60):
        """Until it has scraped the exporter."""
        wait_until("Prometheus scrapes the exporter",
                   lambda: any(one["value"][1] == "1" for one in self.query(f'up{{job="{self.job}"}}')), seconds)
        return self

    def wait_for_scrape(self, seconds=60):
        """Until a scrape that began after now is stored."""
        now = time.time()
        def stored():
            result = self.query(f'timestamp(up{{job="{self.job}"}})')
            return any(float(one["value"][1]) > now for one in result)
        wait_until("Prometheus scrapes once more", stored, seconds)


class Stage:
    """A temporary folder and the processes of one test."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start(self, name, *arguments, environment=None):
        """Starts a program, with more in its environment than the little that all have."""
        process = Process(name, arguments, self.folder, environment or {})
        self.processes.append(process)
        return process

    def exporter_binary(self):
        """The program under test."""
        return program("EXPORTER", str(ROOT / "target/release/tencent-live-exporter"))

    def simulator(self, scenario):
        """Starts the simulator with a scenario in YAML."""
        file = self.folder / "scenario.yaml"
        file.write_text(scenario)
        process = self.start("simulator", self.exporter_binary(), "simulate", "--listen-address", "127.0.0.1:0",
                             "--scenario", file)
        return Simulator(process.wait_for(r"endpoint +(\S+)"))

    def exporter(self, simulator, settings, state="state", disk=None, web=""):
        """Starts the exporter against the simulator; `settings` is YAML beside the account, `web` is YAML of that key."""
        config = self.folder / "exporter.yaml"
        config.write_text(
            f"accounts: [{{name: main, endpoint: '{simulator.endpoint}', "
            f"credentials: {{secret_id: {SECRET_ID}, secret_key: {SECRET_KEY}}}}}]\n"
            f"state: {{path: '{self.folder / state}'}}\nweb: {{listen_addresses: ['127.0.0.1:0']{web and ', ' + web}}}\n{settings}\n")
        process = self.start("exporter", self.exporter_binary(), "--config.file", config,
                             environment=disk and disk.environment)
        return Exporter(process, self.folder / state)

    def prometheus(self, exporter, interval, name="prometheus", binary=None, scrape="", features="", job="exporter",
                   evaluation="1m", more=""):
        """Starts a Prometheus that scrapes `exporter`; `scrape` is YAML of its job, `more` of the whole file, `features` what
        is to be enabled."""
        port = free_port()
        config = self.folder / f"{name}.yaml"
        config.write_text(
            f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {evaluation}}}\n"
            f"{more}scrape_configs:\n"
            f"  - {{job_name: {job}, static_configs: [{{targets: ['{exporter.address}']}}]{scrape and ', ' + scrape}}}\n")
        process = self.start(
            name, binary or program("PROMETHEUS", "prometheus"), f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / name}", f"--web.listen-address=127.0.0.1:{port}",
            *([f"--enable-feature={features}"] if features else []))
        started = Prometheus(process, port, job)
        def ready():
            check(process.child.poll() is None, f"{name} ended by itself ({process.child.returncode})")
            return get(f"{started.url}/-/ready")
        wait_until(f"{name} is ready", ready, 60)
        return started

    def close(self):
        """Ends every process."""
        for process in self.processes:
            process.kill()


def run(test):
    """Runs `test` on a stage of its own and exits: 0 if it passed, else 1."""
    folder = Path(tempfile.mkdtemp(prefix="tencent-live-real-"))
    stage = Stage(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    passed = False
    try:
        test(stage)
        passed = True
    except Failed as failure:
        print(f"FAILED: {failure}", flush=True)
        for process in stage.processes[-6:]:
            tail = "\n    ".join(process.output().splitlines()[-15:])
            print(f"  the end of {process.name}'s output:\n    {tail}", flush=True)
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if passed else 1)
