"""Names that anybody may choose come back exactly through the strictest parser there is.

Whoever can push a stream chooses its name, and so a label value. Names with quotes, backslashes, line breaks, control
characters, markup, Chinese, emoji and separators that some languages take for line breaks are published; the OpenMetrics
parser of prometheus_client (which refuses what Prometheus itself lets pass) and its text parser read the page, plain and
compressed, and give back each name with its count. Names that no page can carry are marked and stay different.
"""

from harness import FORMATS, STREAMS, check, check_equal, get, run, wait_until

EXACT = [
    "room_1", "", " ", "  spaces  ", 'he said "hi"', '"', '"""', "\\", "\\\\", "C:\\new\\table", "back\\", '\\"', "\\n",
    "two\nlines", "\n", "\n# EOF\n", 'x"} 1\ntencent_live_up{account="y"} 1\n', "a,b=c", "{}", "# HELP x y", "# EOF",
    "carriage\rreturn", "\r\n", "tab\there", "\x01\x02\x1b[31m\x7f", "\x85", "\u2028", "\u2029", "\u200bzero\u200d", "\ufeff",
    "\u202eright to left", "房间一", "晚会·主会场", "🎮直播间", "👩‍👩‍👧", "e\u0301", "é", "K", "ﬁ", "\U0010ffff",
    "<script>alert(1)</script>", "{{.}} 100% $1", "~00000000", "__overflow__x", "x" * 128, "房" * 42,
]
# Too long, a NUL, a replacement character: cut or cleaned, then marked with a hash.
MARKED = ["x" * 129, "x" * 128 + "y", "房" * 43, "nul\0", "nul\0\0", "nul\ufffd", "\ufffd"]
SCENARIO = "platform: {domains: [{name: push.one.example.com}]}\n"
SETTINGS = "poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}\nseries: {hold_max: 1s}\n"


def test(stage):
    simulator = stage.simulator(SCENARIO)
    # Every name as a stream and as an app, as often as its place tells.
    expected = {}
    events = []
    end = simulator.truth()["now"]
    for times, name in enumerate(EXACT + MARKED, start=1):
        for app, stream in ((name, "room"), ("live", name)):
            if name in EXACT:
                expected[app, stream] = times % 3 + 1
            events += [{"domain": "push.one.example.com", "app": app, "stream": stream, "start": end - 600,
                        "end": end - times}
                       for _ in range(times % 3 + 1)]
    simulator.publish(events)
    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    wait_until("all is counted and shown", lambda: exporter.value(STREAMS) >= len(events), 60)
    exporter.wait_for_rest()

    pages = {}
    for kind, (_, content_type, _) in FORMATS.items():
        for compressed in (False, True):
            text, told, families = exporter.page(kind, compressed)
            check(told == content_type, f"{kind}: Content-Type {told}, not {content_type}")
            samples = [sample for family in families for sample in family.samples]
            created = [sample.name for sample in samples if sample.name.endswith("_created")]
            check(not created, f"{kind}: {created[:3]}")
            series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
            check(len(set(series)) == len(series), f"{kind}: a series comes twice")
            check("\x00" not in text, f"{kind}: a NUL")
            streams = {(sample.labels["app"], sample.labels["stream"]): sample.value for sample in samples
                       if sample.name == STREAMS}
            marked = {key: value for key, value in streams.items() if key not in expected}
            check_equal({key: streams.get(key, 0) for key in expected}, expected, f"{kind}, compressed: {compressed}")
            check(len(marked) == 2 * len(MARKED) and all("~" in app + stream for app, stream in marked),
                  f"{kind}: {len(marked)} marked names: {sorted(marked)}")
            check(sum(streams.values()) == len(events), f"{kind}: {sum(streams.values())} of {len(events)}")
            pages[kind] = len(series)
    for accept in ("*/*", "text/html", ""):
        told = get(f"{exporter.url}/metrics", {"Accept": accept})[1]["Content-Type"]
        check(told == FORMATS["text"][1], f"Accept {accept!r}: {told}")
    print(f"{len(expected)} of {len(expected)} names exactly, {2 * len(MARKED)} marked and different, in "
          f"{' and '.join(pages)}, plain and compressed, {pages['openmetrics']} series")


if __name__ == "__main__":
    run(test)
