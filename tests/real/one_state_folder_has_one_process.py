"""A second process on a state folder ends at once with 1 and names the first, which goes on (D7); so does one that finds
the ledger of a newer version, which it leaves as it is (D8)."""

import sqlite3

from harness import BUSY, STREAMS, check, run, wait_until

SETTINGS = """
poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}
series: {hold_max: 0s}
"""


def refused(stage, simulator, words):
    """Starts one that must not get far, and returns what it said."""
    process = stage.exporter(simulator, SETTINGS).process
    check(process.ended() == 1, f"it ended with {process.child.returncode}")
    said = process.output()
    check(all(word in said for word in words), f"{words} are not all in: {said}")
    check("listening" not in said, f"it got as far as listening: {said}")
    return said.strip().splitlines()[-1]


def test(stage):
    simulator = stage.simulator(BUSY)
    first = stage.exporter(simulator, SETTINGS).wait_ready()
    said = refused(stage, simulator, [f"in use by process {first.process.child.pid}", str(first.state), "--state.path"])
    print(said)
    counted = first.value(STREAMS)
    wait_until("the first one goes on counting", lambda: first.value(STREAMS) > counted, 30)
    simulator.stop_traffic()
    first.wait_for_rest()
    first.check_exact(simulator)
    check(first.process.child.poll() is None and first.value("tencent_live_up") == 1, "the first one was disturbed")
    check(first.process.terminate() == 0, "SIGTERM does not end it with 0")

    file = first.state / "ledger.sqlite"
    with sqlite3.connect(file) as ledger:
        version = ledger.execute("PRAGMA user_version").fetchone()[0]
        ledger.execute("PRAGMA user_version = 99")
    ledger.close()
    newer = file.read_bytes()
    said = refused(stage, simulator, ["schema version 99", f"up to {version}", "newer version"])
    print(said)
    check(file.read_bytes() == newer, "the newer ledger was touched")
    check(not list(first.state.glob("*set-aside*")), "the newer ledger was set aside")
    with sqlite3.connect(file) as ledger:
        ledger.execute(f"PRAGMA user_version = {version}")
    ledger.close()
    again = stage.exporter(simulator, SETTINGS).wait_ready()
    again.wait_for_rest()
    total = again.check_exact(simulator)
    print(f"{total} disconnects counted exactly")


if __name__ == "__main__":
    run(test)
