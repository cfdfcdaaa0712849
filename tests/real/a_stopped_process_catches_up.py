"""A process that stood still for longer than its interval and any scrape's patience catches up and counts exactly.

SIGSTOP and SIGCONT are what a paused virtual machine or a closed laptop looks like (C3). What happened meanwhile is
counted once; the turns that were missed are left out and not made up for in a burst (C7).
"""

import signal
import time

from harness import BUSY, STREAMS, check, get, run, wait_until

STANDSTILL_SECONDS = 8
SETTINGS = """
poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}
series: {hold_max: 1s}
"""
POLLS = "tencent_live_exporter_polls_total"


def test(stage):
    simulator = stage.simulator(BUSY)
    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    counted = wait_until("something is shown", lambda: exporter.value(STREAMS), 30)
    polls = exporter.value(POLLS, kind="poll")

    stopped = time.monotonic()
    exporter.process.signal(signal.SIGSTOP)
    try:
        get(f"{exporter.url}/metrics", timeout=2)
    except OSError:
        pass
    else:
        check(False, "a process that stands still has answered")
    wait_until("the standstill is long enough", lambda: time.monotonic() > stopped + STANDSTILL_SECONDS, 60)
    published = simulator.truth()["published"]
    exporter.process.signal(signal.SIGCONT)

    check(get(f"{exporter.url}/metrics")[0], "no page after the standstill")
    wait_until("the first poll after the standstill is over", lambda: exporter.value(POLLS, kind="poll") > polls, 10)
    wait_until("all of the standstill is counted", lambda: exporter.value(STREAMS) >= published, 10)
    polls_after, running = exporter.value(POLLS, kind="poll"), time.monotonic() - stopped - STANDSTILL_SECONDS
    check(polls_after - polls <= running + 3, f"{polls_after - polls:g} polls in {running:.1f} s: missed ones are made up")
    check(get(f"{exporter.url}/-/healthy"), "it is not healthy")

    simulator.stop_traffic()
    exporter.wait_for_rest()
    total = exporter.check_exact(simulator)
    check(exporter.value("tencent_live_exporter_poll_failures_total") == 0, "a poll failed")
    check(exporter.process.terminate() == 0, "SIGTERM does not end it with 0")
    print(f"stood still for {STANDSTILL_SECONDS} s at {counted:g} disconnects, {total} counted exactly")


if __name__ == "__main__":
    run(test)
