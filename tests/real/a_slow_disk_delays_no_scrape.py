"""While every sync takes a second and a half, each scrape is answered at once, and counting goes on (D9)."""

import time

from harness import BUSY, Disk, check, get, run, wait_until

SYNC_MILLISECONDS, SCRAPE_SECONDS, WRITING_SECONDS = 1500, 0.5, 4
SETTINGS = """
poll: {interval: 1s, sweep_interval: 5s, max_requests_per_second: 50}
series: {hold_max: 0s}
"""
COMMIT = "tencent_live_exporter_state_commit_duration_seconds"


def test(stage):
    simulator = stage.simulator(BUSY)
    disk = Disk(stage.folder, "state")
    exporter = stage.exporter(simulator, SETTINGS, disk=disk).wait_ready()
    exporter.wait_for_rest()
    before = exporter.value(f"{COMMIT}_sum")
    disk.give("sync", "slow", SYNC_MILLISECONDS)
    slowest, scrapes = 0, 0

    def scraped_until_enough_was_written():
        nonlocal slowest, scrapes
        began = time.monotonic()
        get(f"{exporter.url}/metrics")
        slowest, scrapes = max(slowest, time.monotonic() - began), scrapes + 1
        return exporter.value(f"{COMMIT}_sum") >= before + WRITING_SECONDS

    wait_until(f"{WRITING_SECONDS} s were spent on commits", scraped_until_enough_was_written, 60)
    check(slowest < SCRAPE_SECONDS, f"a scrape took {slowest:.2f} s")
    check(exporter.value("tencent_live_up") == 1, "slow is not down")
    disk.lift()
    simulator.stop_traffic()
    exporter.wait_for_rest()
    total = exporter.check_exact(simulator)
    print(f"{scrapes} scrapes within {slowest * 1000:.0f} ms while commits took {WRITING_SECONDS} s; {total} disconnects "
          "counted exactly")


if __name__ == "__main__":
    run(test)
