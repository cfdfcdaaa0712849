"""While the disk is full or fails polls fail and say why, the page stays, and once it is well all is counted exactly.

The disk is `tests/it/power_cut/disk.c`: every write is refused (D3), then every sync (D4), under the real program.
"""

from harness import BUSY, STREAMS, Disk, check, get, run, wait_until

SETTINGS = """
poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}
series: {hold_max: 1s}
"""
FAILURES = "tencent_live_exporter_poll_failures_total"


def is_down(exporter, failures):
    """Whether three further polls have failed for the state, and nothing else did."""
    return exporter.value(FAILURES, kind="poll", error="state") >= failures + 3


def fail_and_recover(stage, exporter, disk, order, words):
    """One kind of trouble from its beginning to its end."""
    failures = exporter.value(FAILURES, kind="poll", error="state")
    disk.give(*order)
    wait_until(f"polls fail while {order}", lambda: is_down(exporter, failures), 30)
    held = exporter.samples(STREAMS)
    failures = exporter.value(FAILURES, kind="poll", error="state")
    wait_until(f"they go on failing while {order}", lambda: is_down(exporter, failures), 30)
    check(exporter.samples(STREAMS) == held, "the page has changed though nothing could be written")
    check(exporter.value("tencent_live_up") == 0, "tencent_live_up is not 0")
    for page in ("-/healthy", "-/ready"):
        check(get(f"{exporter.url}/{page}"), f"{page} does not answer")
    check(exporter.process.find(f"(level=warn .*{words}.*pass failed|level=warn .*pass failed.*{words})"),
          f"no warning says {words!r}")
    disk.lift()
    wait_until("it is up again", lambda: exporter.value("tencent_live_up") == 1, 30)
    check(exporter.process.find("(polls succeed again)"), "the log does not say that polls succeed again")
    fell = [key for key, value in held.items() if exporter.samples(STREAMS).get(key, -1) < value]
    check(not fell, f"values went down: {fell}")


def test(stage):
    simulator = stage.simulator(BUSY)
    disk = Disk(stage.folder, "state")
    exporter = stage.exporter(simulator, SETTINGS, disk=disk).wait_ready()
    fail_and_recover(stage, exporter, disk, ("write", "ENOSPC"), "disk (?:is|may be) full")
    fail_and_recover(stage, exporter, disk, ("sync", "EIO"), "disk I/O error")
    check(exporter.value(FAILURES) == exporter.value(FAILURES, error="state"), "polls failed for other reasons too")

    # Nor does a full disk hold up a stop; the next start goes on where this one was.
    disk.give("write", "ENOSPC")
    failures = exporter.value(FAILURES, kind="poll", error="state")
    wait_until("polls fail", lambda: is_down(exporter, failures), 30)
    check(exporter.process.terminate() == 0, "SIGTERM does not end it with 0 while the disk is full")
    refused = stage.exporter(simulator, SETTINGS, disk=disk).process
    check(refused.ended() == 1, "a start on a full disk does not end with 1")
    check("state" in refused.output() and "No space left" in refused.output(), "the start does not say why")
    disk.lift()
    exporter = stage.exporter(simulator, SETTINGS, disk=disk).wait_ready()
    simulator.stop_traffic()
    exporter.wait_for_rest()
    total = exporter.check_exact(simulator)
    print(f"full, failing and full again: {total} disconnects counted exactly")


if __name__ == "__main__":
    run(test)
