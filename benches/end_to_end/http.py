"""Scrapes over HTTP, end to end: ours beside a static file, the prometheus crate and client_golang."""

import json
import shlex
import statistics
import subprocess
import sys
from contextlib import ExitStack, nullcontext

from . import chart, readme
from .servers import start
from .tools import ROOT, GO_PACKAGES, Missing, machine, package_version, say, versions

SCRAPERS = [1, 8, 64]
CODINGS = ["identity", "gzip"]
# Between two scrapes of a scraper, in milliseconds: so that there are commits between them.
PAUSE = 100
# What the scrapes of ours may take over those of a static file.
MOST_OVER_FILE = {"identity": 1.2, "gzip": 4}
LEAST_OVER_PROMETHEUS = 100


def percentile(times, share):
    """The time that `share` of the scrapes did not exceed."""
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * share))]


def scrape(program, server, beside, coding, scrapers, seconds):
    """Times of scrapes of `server`, while what is `beside` it runs too and the others stand still."""
    command = [program, "scrape", f"http://{server.address}/metrics", "--scrapers", scrapers, "--seconds", seconds,
               "--pause", PAUSE, *(["--gzip"] if coding == "gzip" else [])]
    with server, beside:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Missing(f"scraping {server.name} failed")
    return json.loads(done.stdout)


class Results:
    """Times by coding, scrapers and server."""

    def __init__(self):
        self.times, self.bytes = {}, {}

    def add(self, coding, scrapers, name, answer):
        """Takes in one turn."""
        self.times.setdefault((coding, scrapers, name), []).extend(answer["seconds"])
        self.bytes[coding, name] = answer["bytes"]

    def p50(self, *key):
        """The median of one cell in seconds."""
        return statistics.median(self.times[key])

    def p99(self, *key):
        """The 99th percentile of one cell in seconds."""
        return percentile(self.times[key], 0.99)


def measure(program, servers, chosen):
    """Ours and the static file take turns with any number of scrapers; the others have one scraper."""
    results = Results()
    cells = [(coding, scrapers, name) for coding in CODINGS for scrapers in SCRAPERS for name in servers
             if scrapers == 1 or name in ("static file", "ours")]
    for turn in range(1, chosen.turns + 1):
        for coding, scrapers, name in cells:
            # Commits go on in either case, so that what ours takes longer is what its page takes.
            beside = servers["ours"] if name == "static file" else nullcontext()
            answer = scrape(program, servers[name], beside, coding, scrapers, chosen.seconds)
            results.add(coding, scrapers, name, answer)
            say(f"turn {turn} of {chosen.turns}: {name}, {coding}, {scrapers} scrapers: "
                f"{len(answer['seconds'])} scrapes, median {statistics.median(answer['seconds']) * 1e3:.1f} ms")
    return results


def verdict(value, target, most):
    """A target and whether it is met."""
    met = value <= target if most else value >= target
    return f"{'≤' if most else '≥'} {target}, {'met' if met else '**not met**'}"


def over_file(results):
    """Ours over the static file."""
    rows = []
    for coding in CODINGS:
        most = MOST_OVER_FILE[coding]
        for scrapers in SCRAPERS:
            ours, file = (coding, scrapers, "ours"), (coding, scrapers, "static file")
            p50, p99 = results.p50(*ours) / results.p50(*file), results.p99(*ours) / results.p99(*file)
            # For gzip only one number was asked for; it is held against both.
            rows.append([coding, scrapers, len(results.times[ours]), f"{p50:.2f}", f"{p99:.2f}",
                         verdict(max(p50, p99), most, most=True)])
    return readme.table(["coding", "scrapers", "scrapes", "p50, ours over file", "p99, ours over file", "target, both"],
                        rows)


def over_ours(results, servers):
    """The others over ours and over the static file, which nothing can beat, with one scraper."""
    rows = []
    for coding in CODINGS:
        for name in servers:
            if name in ("ours", "static file"):
                continue
            p50, p99 = (of(coding, 1, name) / of(coding, 1, "ours") for of in (results.p50, results.p99))
            file = results.p50(coding, 1, name) / results.p50(coding, 1, "static file")
            target = verdict(p50, LEAST_OVER_PROMETHEUS, most=False) if name == "prometheus crate" else ""
            rows.append([name, coding, len(results.times[coding, 1, name]), f"{p50:.1f}", f"{p99:.1f}", f"{file:.1f}",
                         target])
    return readme.table(["server", "coding", "scrapes", "p50 over ours", "p99 over ours", "p50 over file",
                         "target, p50 over ours"], rows)


def times(results):
    """The times themselves, for this machine only."""
    rows = [[coding, scrapers, name, f"{results.p50(coding, scrapers, name) * 1e3:.1f} ms",
             f"{results.p99(coding, scrapers, name) * 1e3:.1f} ms", f"{results.bytes[coding, name]:,}"]
            for coding, scrapers, name in results.times]
    return readme.table(["coding", "scrapers", "server", "p50", "p99", "bytes"], rows)


def run(_, chosen):
    """Measures, draws the chart, and gives back the text of the section."""
    count = chosen.series or 100_000
    about = machine()
    with ExitStack() as stack:
        program, servers = start(stack, chosen, count)
        results = measure(program, servers, chosen)
        memory = [[name, f"{server.resident() / count:,.0f}"] for name, server in servers.items()]
    chart.write(ROOT / "benches/scrapes.svg", count, results, servers)
    go = "" if chosen.without_go else ", ".join(
        ["", *(f"{package} {package_version(package)}" for package in GO_PACKAGES.split())])
    command = shlex.join(["benches/run", *sys.argv[1:]])
    return f"""`{command}`

{about}; {versions("hyper", "prometheus", "flate2")}{go}

{count:,} series; {chosen.commits} commits a second in ours, each of 100 changed series, which go on while the static file
is scraped too; {PAUSE} ms between two scrapes of a scraper. Turns of each server: {chosen.turns} of {chosen.seconds:g} s;
meanwhile the others stand still.

{over_file(results)}

{over_ours(results, servers)}

![One scrape, over the same page as a static file](scrapes.svg)

The times behind them, which say nothing about another machine:

{times(results)}

Resident memory at the end:

{readme.table(["server", "bytes per series"], memory)}
"""
