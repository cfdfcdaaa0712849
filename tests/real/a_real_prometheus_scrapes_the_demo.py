"""A real Prometheus scrapes the demo, and its sums by reason are the simulator's truth.

The demo is started as a user starts it. promtool finds nothing to complain about on its page. When the simulated
traffic has come to rest, what Prometheus' query API adds up by reason, for the class counter and for the stream counter,
equals what the simulator says happened since counting began, to the last disconnect.

PROMETHEUS and PROMTOOL choose the programs, so the same promise is held with older and newer ones.
"""

import subprocess

from harness import DOMAINS, STREAMS, Exporter, Simulator, check, check_equal, program, run, wait_until


def test(stage):
    state = stage.folder / "state"
    demo = stage.start(
        "demo", stage.exporter_binary(), "demo", "--web.listen-address", "127.0.0.1:0",
        "--simulator.listen-address", "127.0.0.1:0", "--state.path", state)
    simulator = Simulator(demo.find(r"(http://\S+)/-/truth"))
    exporter = Exporter(demo, state).wait_ready()
    prometheus = stage.prometheus(exporter, "2s").wait_up()
    version = prometheus.api("status/buildinfo")["version"]

    lint = subprocess.run([program("PROMTOOL", "promtool"), "check", "metrics"], input=exporter.page()[0],
                          capture_output=True, text=True)
    check(lint.returncode == 0 and not lint.stderr + lint.stdout,
          f"promtool check metrics: {lint.returncode} {lint.stdout}{lint.stderr}")

    # Not the history alone, of which Prometheus sees no increase: what happens while it looks on, too.
    wait_until("the first listing is shown", lambda: exporter.value(DOMAINS) > 0, 120)
    first = exporter.value(DOMAINS)
    wait_until("30 more disconnects are shown", lambda: exporter.value(DOMAINS) >= first + 30, 120)
    simulator.stop_traffic()
    exporter.wait_for_rest()
    prometheus.wait_for_scrape()
    truth = simulator.truth(since=exporter.counting_since())
    check(truth["pending"] == 0 and truth["unusable"] == 0, f"the simulation is not at rest: {truth['pending']}")
    expected = {(reason,): count for reason, count in truth["by_reason"].items()}
    check_equal(prometheus.sums(DOMAINS, "reason"), expected, "the class counter by reason")
    check_equal(prometheus.sums(STREAMS, "reason"), expected, "the stream counter by reason")
    by_series = {(one["domain"], one["app"], one["stream"], one["reason"]): one["count"] for one in truth["by_series"]}
    check_equal(prometheus.sums(STREAMS, "domain", "app", "stream", "reason"), by_series, "every series")
    check(len(expected) > 20, f"too little happened: {truth['by_reason']}")
    print(f"Prometheus {version}: {truth['published']} disconnects for {len(expected)} reasons in {len(by_series)} "
          "series, each equal to the truth; promtool finds nothing")


if __name__ == "__main__":
    run(test)
