"""A state folder put back from a backup shows a lower value once and ends with exact counts (D11).

What was counted since the backup is listed again, since it lies within `poll.sweep_lookback`. For Prometheus the drop is
one counter reset; the totals at the end are the truth, neither short of what the backup had forgotten nor counted twice.
"""

import shutil

from harness import BUSY, STREAMS, check, run, wait_until

SETTINGS = """
poll: {interval: 1s, overlap: 30s, sweep_interval: 2s, sweep_lookback: 15m, horizon: 1h, initial_lookback: 5m,
       max_requests_per_second: 50}
series: {hold_max: 1s}
"""
MORE = 60


def test(stage):
    simulator = stage.simulator(BUSY)
    seen = []

    def total(exporter):
        seen.append(exporter.value(STREAMS))
        return seen[-1]

    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    wait_until("something is shown", lambda: total(exporter) > 0, 30)
    check(exporter.process.terminate() == 0, "SIGTERM does not end it with 0")
    backup = stage.folder / "backup"
    shutil.copytree(exporter.state, backup)

    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    before = total(exporter)
    wait_until(f"{MORE} more are counted", lambda: total(exporter) >= before + MORE, 60)
    check(exporter.process.terminate() == 0, "SIGTERM does not end it with 0")
    shutil.rmtree(exporter.state)
    shutil.copytree(backup, exporter.state)

    # The API keeps still for a moment, so that the backup's own numbers can be seen.
    simulator.control("faults", {"http_500": 1})
    exporter = stage.exporter(simulator, SETTINGS)
    restored = wait_until("the page of the backup", lambda: total(exporter), 30)
    check(restored <= seen[-2] - MORE / 2, f"the backup shows {restored:g} after {seen[-2]:g}")
    simulator.control("faults", {"http_500": 0})
    wait_until("what was counted since is counted again", lambda: total(exporter) >= max(seen), 60)
    simulator.stop_traffic()
    exporter.wait_for_rest()
    truth = exporter.check_exact(simulator)
    total(exporter)
    resets = [(a, b) for a, b in zip(seen, seen[1:]) if b < a]
    check(len(resets) == 1, f"the sum of the counter fell {len(resets)} times: {resets}")
    rises = sum(b - a if b >= a else b for a, b in zip([0] + seen, seen))
    print(f"one counter reset, {resets[0][0]:g} to {resets[0][1]:g}; {truth} disconnects counted exactly; "
          f"increase() over the whole saw {rises:g}")


if __name__ == "__main__":
    run(test)
