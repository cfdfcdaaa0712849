"""The exporter is killed while it counts, again and again, and counts exactly.

SIGKILL strikes the real program at random moments: while it starts, lists, writes, waits. The API meanwhile throttles,
fails, resets connections, sends pages of HTML, halves of answers, empty lists, late rows and rows that do not look as
they should. Whatever was scraped in between: no value of any disconnect counter ever goes down, across all restarts. At
the end both counters equal the simulator's truth, series by series: nothing is lost, nothing is counted twice.

Some exporters, each with a simulator of its own, are killed at a time; each has to be exact by itself. `KILLS` says how
often in all (50), `PAIRS` how many at a time (as many as there are processors), `SEED` with which dice.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from harness import DOMAINS, STREAMS, check, check_equal, run, wait_until

DURATIONS = "tencent_live_session_duration_seconds"
# What an exporter is doing when it is killed, in shares: it starts and catches up, it has just begun to write, anything.
MOMENTS = {"starting": 4, "writing": 3, "at any moment": 3}
SCENARIO = """
seed: %d
platform:
  domains:
    - {name: push.one.example.com, weight: 3, apps: [{name: live, streams: [{pattern: "room_{}", count: 40}]}]}
    - {name: push.two.example.com, apps: [{name: live, streams: [{pattern: "room_{}", count: 20}]},
                                          {name: live1, streams: [{pattern: "room_{}", count: 5}]}]}
traffic:
  disconnects_per_minute: 300
  history: 10m
  every_reason: 1m
  clones: {share: 0.4, most: 5}
  reasons: {client_stopped: 5, network_error: 2, auth_failed: 2}
  storms: [{every: 1m, lasts: 10s, per_minute: 600}]
quirks:
  tie_order: shuffled
  lateness: [{share: 0.7, up_to: 3s}, {share: 0.2, up_to: 20s}, {share: 0.1, up_to: 2m}]
  latency: {from: 1ms, to: 30ms}
  text: escaped
faults:
  %s
  broken_rows: 0.05
  broken_kinds: [null_client_ip, null_resolution, negative_duration, text_duration, extra_field]
"""
FAULTS = {"throttle": 0.03, "internal_error": 0.03, "http_500": 0.01, "http_502": 0.01, "html_body": 0.02,
          "truncated_body": 0.02, "connection_reset": 0.02, "reset_mid_body": 0.02, "empty_list": 0.02, "slow": 0.02,
          "slow_by": "800ms"}
SETTINGS = """
poll: {interval: 1s, overlap: 2m, sweep_interval: 2s, sweep_lookback: 15m, horizon: 1h, initial_lookback: 5m,
       max_requests_per_second: 100}
series: {hold_max: 3s}
"""


class Watch:
    """Remembers what was scraped."""

    def __init__(self):
        self.highest, self.scrapes = {}, 0

    def look(self, exporter):
        """Scrapes once, if the exporter answers, and compares."""
        try:
            samples = [sample for family in exporter.page()[2] for sample in family.samples]
        except OSError:
            # It has told its address and does not answer yet.
            return
        self.scrapes += 1
        counted = (STREAMS, DOMAINS, DURATIONS + "_count", DURATIONS + "_bucket", DURATIONS + "_sum")
        seen = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples
                if sample.name in counted}
        fell = [f"{key}: {before:g}, then {seen.get(key, 'nothing')}" for key, before in self.highest.items()
                if seen.get(key, -1) < before]
        check(not fell, f"{len(fell)} values went down at scrape {self.scrapes}:\n  " + "\n  ".join(fell[:10]))
        self.highest.update(seen)


def journal(exporter):
    """What tells that the ledger has been written to: size and time of its write-ahead log."""
    try:
        status = os.stat(exporter.state / "ledger.sqlite-wal")
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def until_it_writes(exporter, seconds):
    """Watches closely for the exporter to begin to write, for so long at most."""
    before, deadline = journal(exporter), time.monotonic() + seconds
    while journal(exporter) == before and time.monotonic() < deadline:
        time.sleep(0.0002)
    return journal(exporter) != before


def live_and_die(stage, simulator, watch, chance):
    """One life of the exporter, ended at a moment that has nothing to do with what it is doing, or as it writes; returns
    which."""
    moment = chance.choices(list(MOMENTS), MOMENTS.values())[0]
    # Few lives are long enough for several polls and sweeps, and all of them together are.
    span = {"starting": (0.005, 0.3), "writing": (0.05, 0.8)}.get(moment, (0.3, chance.choice([1, 2, 4])))
    death = time.monotonic() + chance.uniform(*span)
    try:
        exporter = stage.exporter(simulator, SETTINGS)
        while time.monotonic() < death:
            if chance.random() < 0.3 and exporter.is_listening():
                watch.look(exporter)
            time.sleep(min(0.05, max(0, death - time.monotonic())))
        if moment == "writing":
            if until_it_writes(exporter, 2):
                time.sleep(chance.uniform(0, 0.003))
            else:
                moment = "at any moment"
    finally:
        stage.processes.pop().kill()
    return moment


def pair(stage, seed, kills):
    """Kills one exporter so often, compares what it has counted with the truth, and prints the numbers as JSON."""
    chance = random.Random(seed)
    faults = "\n  ".join(f"{name}: {value}" for name, value in FAULTS.items())
    simulator = stage.simulator(SCENARIO % (seed, faults))
    watch, moments = Watch(), Counter()
    print(f"seed {seed}")
    for number in range(kills):
        moments[live_and_die(stage, simulator, watch, chance)] += 1
        print(f"killed {number + 1}", flush=True)

    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    simulator.stop_traffic()
    simulator.control("faults", {name: 0 for name in FAULTS if name != "slow_by"})
    # Nobody is killed any more; what is left to be asked may be answered at once.
    simulator.control("quirks", {"latency": {"from": "0s", "to": "0s"}})
    exporter.wait_for_rest()
    watch.look(exporter)
    truth = simulator.truth(since=exporter.counting_since())
    labels = ("domain", "app", "stream", "reason")
    by_series = {tuple(one[label] for label in labels): one["count"] for one in truth["by_series"]}
    by_domain = {(domain, reason): count for domain, reasons in truth["by_domain"].items()
                 for reason, count in reasons.items()}
    check_equal(exporter.totals(STREAMS, *labels), by_series, "the stream counter")
    check_equal(exporter.totals(DOMAINS, "domain", "reason"), by_domain, "the class counter")
    check_equal(exporter.totals(DURATIONS + "_count"), {(): truth["published"]}, "the sessions of the histogram")
    check(exporter.process.terminate() == 0, "SIGTERM does not end it with 0")
    faults = simulator.faults()
    check(faults > 0, "no request met a fault")
    print(json.dumps({"moments": moments, "scrapes": watch.scrapes, "sessions": truth["published"],
                      "series": len(by_series), "faults": faults}))


def pairs(stage, seed, kills, at_once):
    """Several pairs at a time, each in a process of its own; adds up their numbers."""
    print(f"SEED={seed} KILLS={kills} PAIRS={at_once}", flush=True)
    shares = [kills // at_once + (number < kills % at_once) for number in range(at_once)]
    started = [stage.start(f"pair-{number}", sys.executable, Path(__file__).resolve(), "--exporter",
                           stage.exporter_binary(), "--pair", seed + number, share)
               for number, share in enumerate(shares)]
    told = 0

    def all_ended():
        nonlocal told
        outputs = [process.output() for process in started]
        for number, (process, output) in enumerate(zip(started, outputs)):
            wrong = "\n".join(line for line in output.splitlines() if not line.startswith("killed "))
            check(process.child.poll() in (None, 0),
                  f"{process.name}; alone: SEED={seed + number} KILLS={shares[number]} PAIRS=1\n{wrong}")
        done = sum(output.count("\nkilled ") for output in outputs)
        if done * 10 // kills > told:
            told = done * 10 // kills
            print(f"{done} of {kills} kills", flush=True)
        return all(process.child.poll() == 0 for process in started)

    # A kill takes about a second, on a busy machine several.
    wait_until("every pair has come to its end", all_ended, 600 + 6 * kills)
    numbers = [json.loads(process.output().splitlines()[-1]) for process in started]
    moments = sum((Counter(one["moments"]) for one in numbers), Counter())
    check(moments.total() == kills, f"{moments.total()} kills instead of {kills}")
    spread = ", ".join(f"{moments[moment]} {moment}" for moment in MOMENTS)
    scrapes, sessions, series, faults = (sum(one[what] for one in numbers)
                                         for what in ("scrapes", "sessions", "series", "faults"))
    print(f"{kills} kills ({spread}), {scrapes} scrapes and no value went down, {sessions} sessions in {series} series "
          f"counted exactly, {faults} faults answered")


def test(stage):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", nargs=2, type=int, metavar=("SEED", "KILLS"), help="one pair, for the script itself")
    parser.add_argument("--exporter", help="the program to kill")
    arguments = parser.parse_args()
    if arguments.exporter:
        os.environ["EXPORTER"] = arguments.exporter
    if arguments.pair:
        pair(stage, *arguments.pair)
    else:
        seed = int(os.environ.get("SEED") or random.randrange(10**6))
        kills = int(os.environ.get("KILLS") or 50)
        pairs(stage, seed, kills, min(kills, int(os.environ.get("PAIRS") or os.cpu_count())))


if __name__ == "__main__":
    run(test)
