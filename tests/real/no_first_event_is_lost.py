"""Two real Prometheus servers with different intervals see every first event of a new series.

A counter that appears with a value above 0 has, for Prometheus, not risen: its first event is lost for increase() and
for alerts. Here 65 sparse disconnects bring 45 new label sets of the stream counter, and a domain that nobody had listed,
under the eyes of a server that scrapes every 2 s and one that scrapes every 5 s. What each of them saw rise, sample by
sample, is what happened: 65 of 65, for both counters, label set by label set.

Both servers come from one address with one User-Agent, as a pair behind one gateway does.
"""

import os
import random
import time

from harness import DOMAINS, STREAMS, check, check_equal, run, wait_until

EVENTS, LABEL_SETS, SPREAD_SECONDS = 65, 45, 120
REASONS = {"client_stopped": "推流客户端主动断流", "network_error": "推流链路网络异常", "auth_failed": "校验鉴权参数不通过"}
SCENARIO = """
platform: {domains: [{name: push.one.example.com}, {name: push.two.example.com}]}
"""
LISTED, UNLISTED = ["push.one.example.com", "push.two.example.com"], "push.new.example.com"


def schedule(random):
    """The second and the label set of each event: every set at least once, in no order."""
    names = list(REASONS)
    sets = [(UNLISTED if n % 9 == 8 else LISTED[n % 2], "live", f"room_{n}", names[n % 3]) for n in range(LABEL_SETS)]
    chosen = sets + random.choices(sets, k=EVENTS - LABEL_SETS)
    random.shuffle(chosen)
    return sorted(zip((random.uniform(0, SPREAD_SECONDS) for _ in chosen), chosen))


def test(stage):
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"SEED={seed}", flush=True)
    simulator = stage.simulator(SCENARIO)
    exporter = stage.exporter(simulator, "poll: {interval: 1s, sweep_interval: 5s, max_requests_per_second: 50}")
    exporter.wait_ready()
    servers = {every: stage.prometheus(exporter, f"{every}s", f"prometheus-{every}s") for every in (2, 5)}

    # The promise is to every scraper seen lately. On a new ledger nobody has been, so the slower server has to come once
    # before the faster one, which may have come twice by then, can speak for all.
    for server in servers.values():
        server.wait_up()
    begin = time.monotonic()
    for moment, (domain, app, stream, reason) in schedule(random.Random(seed)):
        wait_until("the next event is due", lambda: time.monotonic() >= begin + moment, SPREAD_SECONDS)
        end = int(time.time())
        simulator.publish([{"domain": domain, "app": app, "stream": stream, "start": end - 60, "end": end,
                            "reason": REASONS[reason]}])
    truth = simulator.truth()
    check(truth["published"] + truth["pending"] == EVENTS, f"the simulator has {truth['published']} events")

    exporter.wait_for_rest()
    for server in servers.values():
        server.wait_for_scrape()
    truth = simulator.truth()
    by_stream = {(one["domain"], one["app"], one["stream"], one["reason"]): one["count"] for one in truth["by_series"]}
    check(len(by_stream) == LABEL_SETS, f"{len(by_stream)} label sets")
    by_domain = {(domain, reason): count for domain, reasons in truth["by_domain"].items()
                 for reason, count in reasons.items()}
    expected = {STREAMS: (by_stream, ("domain", "app", "stream", "reason")), DOMAINS: (by_domain, ("domain", "reason"))}
    seen = {}
    for every, server in servers.items():
        for metric, (_, labels) in expected.items():
            growth = server.growth(metric)
            seen[every, metric] = {tuple(dict(key)[label] for label in labels): rise for key, rise in growth.items()}
            print(f"scraping every {every} s: {sum(growth.values()):g} of {EVENTS} of {metric}", flush=True)
    for (every, metric), growth in seen.items():
        check_equal(growth, expected[metric][0], f"{metric} as scraped every {every} s")


if __name__ == "__main__":
    run(test)
