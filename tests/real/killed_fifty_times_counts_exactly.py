"""The exporter is killed sixty times while it counts, and counts exactly.

SIGKILL strikes the real program at random moments: while it starts, lists, writes, waits. The API meanwhile throttles,
fails, resets connections, sends pages of HTML, halves of answers, empty lists, late rows and rows that do not look as
they should. Whatever was scraped in between: no value of any disconnect counter ever goes down, across all restarts. At
the end both counters equal the simulator's truth, series by series: nothing is lost, nothing is counted twice.
"""

import os
import random
import time

from harness import DOMAINS, STREAMS, check, check_equal, run

KILLS = 60
DURATIONS = "tencent_live_session_duration_seconds"
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


def live_and_die(stage, simulator, watch, chance):
    """One life of the exporter, ended at a moment that has nothing to do with what it is doing."""
    # Half of the lives end while it starts and catches up, the others in the middle of its days.
    death = time.monotonic() + chance.choice([chance.uniform(0.01, 0.4), chance.uniform(0.4, 4)])
    try:
        exporter = stage.exporter(simulator, SETTINGS)
        while time.monotonic() < death:
            if chance.random() < 0.3 and exporter.is_listening():
                watch.look(exporter)
            time.sleep(min(0.05, max(0, death - time.monotonic())))
    finally:
        stage.processes.pop().kill()


def test(stage):
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"SEED={seed}", flush=True)
    chance = random.Random(seed)
    faults = "\n  ".join(f"{name}: {value}" for name, value in FAULTS.items())
    simulator = stage.simulator(SCENARIO % (seed, faults))
    watch = Watch()
    for _ in range(KILLS):
        live_and_die(stage, simulator, watch, chance)

    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    simulator.stop_traffic()
    simulator.control("faults", {name: 0 for name in FAULTS if name != "slow_by"})
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
    print(f"{KILLS} kills, {watch.scrapes} scrapes, no value went down; {truth['published']} disconnects in "
          f"{len(by_series)} series counted exactly")


if __name__ == "__main__":
    run(test)
