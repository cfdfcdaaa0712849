"""A Prometheus that wants nothing but protobuf sees every series, its start timestamp and its exemplar.

Names with quotes, line breaks, Chinese and emoji, of lengths around the limits of the encoding, are published while it
scrapes. Every series of both counters and every histogram equals the truth. Prometheus takes start timestamps for a first
sample of 0 at that time, and only protobuf tells it any here: each one is the one in the ledger. The exemplars of the class
counter are the latest streams. For comparison a second server scrapes text: it has the same series, label for label.
"""

import sqlite3
import time

from harness import DOMAINS, STREAMS, check, check_equal, get, run, wait_until

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
DURATIONS = "tencent_live_session_duration_seconds"
REASONS = {"client_stopped": "推流客户端主动断流", "network_error": "推流链路网络异常", "auth_failed": "校验鉴权参数不通过"}
STREAM_NAMES = ["room", "", '"', "\\", "two\nlines", "\t\x01", "房间一", "🎮", "x" * 120, "x" * 122, "y" * 123, "x" * 127,
                "x" * 128, "房" * 42, "\ufeff", "\u2028"]
SCENARIO = "platform: {domains: [{name: push.one.example.com}, {name: push.two.example.com}]}\n"
# Domains begin with the lookback; Prometheus takes no sample that is an hour older than its newest.
SETTINGS = ("poll: {interval: 1s, sweep_interval: 2s, initial_lookback: 10m, max_requests_per_second: 50}\n"
            "series: {hold_max: 20s}\n")


def event(number, name, end, lasted):
    """The session with this number."""
    return {"domain": f"push.{'two' if number % 3 else 'one'}.example.com", "app": "live", "stream": name,
            "start": end - lasted, "end": end, "reason": list(REASONS.values())[number % 3]}


def labels_of(series):
    """A series' own labels."""
    return tuple(sorted((k, v) for k, v in series["metric"].items() if k not in {"__name__", "instance", "job"}))


def created(exporter):
    """The start timestamps in the ledger, of the stream counter's series and of domains."""
    with sqlite3.connect(f"file:{exporter.state}/ledger.sqlite?mode=ro", uri=True, timeout=10) as ledger:
        series = ledger.execute("SELECT domain, app, stream, reason, created FROM series")
        names = ("app", "domain", "reason", "stream")
        streams = {tuple(sorted((k, v) for k, v in zip(("domain", "app", "stream", "reason"), row) if v)): row[4]
                   for row in series}
        assert all(set(dict(key)) <= set(names) for key in streams)
        return streams, dict(ledger.execute("SELECT name, created FROM domain"))


def first_samples(server, selector):
    """Of each series the first sample's time and value."""
    return {labels_of(one): (float(one["values"][0][0]), float(one["values"][0][1]))
            for one in server.query(f"{selector}[1h]")}


def test(stage):
    simulator = stage.simulator(SCENARIO)
    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    told = get(f"{exporter.url}/metrics", {"Accept": PROTOBUF + ";q=0.6,*/*;q=0.5"})[1]["Content-Type"]
    check(told.replace(" ", "") == PROTOBUF, f"Content-Type {told}")
    server = stage.prometheus(exporter, "1s", scrape="scrape_protocols: [PrometheusProto]",
                              features="created-timestamp-zero-ingestion,exemplar-storage").wait_up()
    plain = stage.prometheus(exporter, "1s", "prometheus-text", scrape="scrape_protocols: [PrometheusText0.0.4]").wait_up()
    version = server.api("status/buildinfo")["version"]
    server.wait_for_scrape()

    # Several rounds, so that series begin at different times and rise later.
    for times in range(3):
        end = int(time.time()) - 2
        simulator.publish([event(number, name, end, 40 * number + 1)
                           for number, name in enumerate(STREAM_NAMES[:8] if times == 0 else STREAM_NAMES)])
        wait_until("the round is shown", lambda: exporter.value(STREAMS) >= (8, 24, 40)[times], 60)
    latest = {}
    for number, name in enumerate(STREAM_NAMES):
        end = int(time.time()) - 1
        wait_until("a second has passed", lambda: int(time.time()) - 1 > end, 10)
        one = event(number, name, end, 5)
        simulator.publish([one])
        latest[one["domain"], list(REASONS)[number % 3]] = (name[:122], end)
    exporter.wait_for_rest()
    server.wait_for_scrape()
    plain.wait_for_scrape()

    truth = simulator.truth()
    by_stream = {(one["domain"], one["app"], one["stream"], one["reason"]): one["count"] for one in truth["by_series"]}
    check(len(by_stream) == len(STREAM_NAMES) and truth["published"] == 56, f"{len(by_stream)} series")
    check_equal(server.sums(STREAMS, "domain", "app", "stream", "reason"), by_stream, "the stream counter")
    by_domain = {(domain, reason): count for domain, reasons in truth["by_domain"].items()
                 for reason, count in reasons.items()}
    check_equal(server.sums(DOMAINS, "domain", "reason"), by_domain, "the class counter")
    counted = {(domain,): sum(reasons.values()) for domain, reasons in truth["by_domain"].items()}
    check_equal(server.sums(f"{DURATIONS}_count", "domain"), counted, "the histogram's count")
    check_equal(server.sums(f'{DURATIONS}_bucket{{le="+Inf"}}', "domain"), counted, "the histogram's last bucket")

    # What moves by itself is on both; everything else has the same value.
    series = {}
    for name, one in (("protobuf", server), ("text", plain)):
        result = one.query('{job="exporter", __name__=~"tencent_live_.+|process_.+"}')
        series[name] = {(of["metric"]["__name__"], labels_of(of)): float(of["value"][1]) for of in result}
    check(series["protobuf"].keys() == series["text"].keys(),
          f"only one of them has: {sorted(series['protobuf'].keys() ^ series['text'].keys())[:5]}")
    disconnects = {key: value for key, value in series["text"].items()
                   if not key[0].startswith(("tencent_live_exporter_", "process_"))}
    check_equal({key: series["protobuf"][key] for key in disconnects}, disconnects, "what text tells")

    streams, domains = created(exporter)
    firsts = first_samples(server, STREAMS)
    check(firsts == {key: (float(at), 0.0) for key, at in streams.items()}, f"start timestamps: {firsts}, not {streams}")
    check(len(set(streams.values())) > 1, f"all series began together: {streams}")
    started = 0
    for selector in (DOMAINS, f"{DURATIONS}_count", f'{DURATIONS}_bucket{{le="60"}}'):
        for labels, first in first_samples(server, selector).items():
            check(first == (domains[dict(labels)["domain"]], 0.0), f"{selector}{labels} starts with {first}")
            started += 1
    check(started > 100, f"{started} series with a start timestamp")

    exemplars = {}
    for one in server.api("query_exemplars", query=DOMAINS, start=time.time() - 3600, end=time.time() + 60):
        labels = one["seriesLabels"]
        last = max(one["exemplars"], key=lambda exemplar: exemplar["timestamp"])
        check(float(last["value"]) == 1, f"an exemplar of {last['value']}")
        exemplars[labels["domain"], labels["reason"]] = (last["labels"].get("stream", ""), last["timestamp"])
    check(exemplars == latest, f"exemplars: {exemplars}\n  instead of {latest}")
    print(f"Prometheus {version} by protobuf: {len(series['protobuf'])} series as by text, {len(by_stream)} streams equal to "
          f"the truth, {len(streams) + started} start timestamps, {len(exemplars)} exemplars")


if __name__ == "__main__":
    run(test)
