"""What breaks off in the cloud arrives where somebody reads it: as the right alert, soon, and with its end.

The simulated cloud has an authentication storm, and then an account in arrears. The exporter counts, a real Prometheus
evaluates the rules as they are shipped, a real Alertmanager routes them as it is shipped, and webhooks get what on-call
would. Only time is shorter: every window and wait of the rules is a twentieth. From the first scrape that shows it an alert
fires within two evaluations. The arrears hold back what they explain. When the windows have passed, the end is told.

Meanwhile VictoriaMetrics scrapes the same exporter. What both add up by reason is the simulator's truth.

PROMETHEUS, ALERTMANAGER and VICTORIA_METRICS choose the programs; FEATURES is what to enable in Prometheus.
"""

import os
import re
import time
import urllib.parse

import yaml

from harness import DOMAINS, ROOT, check, check_equal, free_port, get, program, run, wait_until
from notifications_are_routed import FOLDER, Alertmanager, Inbox, here

FASTER = 20
EVALUATION = 2
DOMAIN, QUIET = "push.one.example.com", "push.two.example.com"
SCENARIO = f"platform: {{domains: [{{name: {DOMAIN}}}, {{name: {QUIET}}}]}}\n"
SETTINGS = "poll: {interval: 5s, sweep_interval: 10s, max_requests_per_second: 50}\nseries: {hold_max: 5s}"
PAGING = "/paging.example.com/alertmanager"
TEXTS = {"auth_failed": "校验鉴权参数不通过", "account_arrears": "账号欠费，您的直播服务已被暂时关停，请及时充值。", "network_error": "推流链路网络异常"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def faster(text):
    """A duration, shortened; never below what two samples need."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return f"{max(int(number) * SECONDS[unit] // FASTER, 10)}s"


def hurried(rules):
    """The rules with shorter windows and waits, and nothing else changed."""
    rules = yaml.safe_load(rules.read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[(\d+[smhd])\]", lambda window: f"[{faster(window[1])}]", rule["expr"])
            for wait in ("for", "keep_firing_for"):
                if wait in rule:
                    rule[wait] = faster(rule[wait])
    return rules


def prometheus(stage, exporter, manager):
    """A Prometheus with the rules, which tells the Alertmanager."""
    for name in ("alerts", "recording"):
        hurry = hurried(ROOT / f"deploy/prometheus/{name}.yaml")
        (stage.folder / f"{name}.rules.yaml").write_text(yaml.safe_dump(hurry, allow_unicode=True))
    more = {
        "rule_files": ["*.rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager.url.removeprefix("http://")]}]}]},
    }
    return stage.prometheus(exporter, "1s", features=os.environ.get("FEATURES", ""), job="tencent-live",
                            more=yaml.safe_dump(more), evaluation=f"{EVALUATION}s")


def victoria(stage, exporter):
    """The other scraper; returns a function that adds up a counter by reason."""
    port = free_port()
    (stage.folder / "scrape.yaml").write_text(yaml.safe_dump({"scrape_configs": [
        {"job_name": "tencent-live", "scrape_interval": "1s", "static_configs": [{"targets": [exporter.address]}]}]}))
    url = f"http://127.0.0.1:{port}"
    stage.start("victoria-metrics", program("VICTORIA_METRICS", "victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}",
                f"-storageDataPath={stage.folder / 'victoria'}", f"-promscrape.config={stage.folder / 'scrape.yaml'}",
                "-search.latencyOffset=0s", "-retentionPeriod=1d")
    wait_until("VictoriaMetrics is ready", lambda: get(f"{url}/health"), 60)

    def sums():
        query = urllib.parse.urlencode({"query": f"sum by (reason) ({DOMAINS})", "nocache": 1})
        found = yaml.safe_load(get(f"{url}/api/v1/query?{query}")[0])["data"]["result"]
        values = {(one["metric"]["reason"],): float(one["value"][1]) for one in found}
        return {key: value for key, value in values.items() if value}
    return sums


def storm(simulator, reason, many, domain=DOMAIN):
    """Pushes that are refused now."""
    end = int(time.time()) - 1
    simulator.publish([{"domain": domain, "app": "live", "stream": f"房间 {n % 7}", "start": end - 1, "end": end,
                        "reason": TEXTS[reason]} for n in range(many)])


def first(prometheus, expression):
    """When a raw series was first above 0, by its samples of the last ten minutes."""
    times = [float(at) for one in prometheus.query(f"{expression}[10m]") for at, value in one["values"] if float(value) > 0]
    return min(times, default=None)


def arrives(prometheus, inbox, alert, domain, reason):
    """Waits for the notification of an alert; returns the seconds from the first sample to its firing."""
    key = (alert, "main", domain)
    wait_until(f"{alert} arrives", lambda: key in [one[:3] for one in inbox.alerts(PAGING)], 60)
    shown = first(prometheus, f'{DOMAINS}{{domain="{DOMAIN}", reason="{reason}"}}')
    fired = first(prometheus, f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
    check(fired - shown <= 2 * EVALUATION, f"{alert} fired {fired - shown:.1f} s after the first scrape that showed it")
    return fired - shown


def test(stage):
    inbox = Inbox()
    manager = Alertmanager(stage, "routed", here(yaml.safe_load((FOLDER / "alertmanager.yaml").read_text()), inbox, stage.folder))
    simulator = stage.simulator(SCENARIO)
    exporter = stage.exporter(simulator, SETTINGS, web="created_lines: true").wait_ready()
    wait_until("both domains are at 0", lambda: {dict(labels)["domain"] for labels in exporter.samples(DOMAINS)} == {DOMAIN, QUIET}, 60)
    server, other = prometheus(stage, exporter, manager), victoria(stage, exporter)
    version = server.api("status/buildinfo")["version"]
    server.wait_up()
    wait_until("the rules have been evaluated", lambda: server.query("tencent_live:threshold:auth_failures_5m"), 60)
    wait_until("a window has passed quietly", lambda: len(server.query("up[15s]")[0]["values"]) > 10, 60)

    # An encoder fleet with a wrong key; beside it, too few to wake anybody.
    storm(simulator, "auth_failed", 150)
    storm(simulator, "auth_failed", 30, QUIET)
    took = [arrives(server, inbox, "TencentLiveAuthFailures", DOMAIN, "auth_failed")]
    # The account is cut off, and encoders try again.
    storm(simulator, "account_arrears", 1)
    took.append(arrives(server, inbox, "TencentLiveArrears", "", "account_arrears"))
    storm(simulator, "network_error", 150)
    held = 'ALERTS{alertname="TencentLiveNetworkDisconnects", alertstate="firing"}'
    wait_until("the network alert fires", lambda: server.query(held), 60)
    wait_until("the arrears explain it", lambda: "TencentLiveNetworkDisconnects" in {
        one[0] for one in manager.query("inhibited")}, 30)

    for alert in ("TencentLiveAuthFailures", "TencentLiveArrears"):
        wait_until(f"the end of {alert} arrives", lambda alert=alert: alert in {
            one[0] for one in inbox.alerts(PAGING, "resolved")}, 180)
    told = {one[0] for one in inbox.alerts(PAGING)}
    check(told == {"TencentLiveAuthFailures", "TencentLiveArrears"}, f"somebody was woken for {told}")
    check(not [one for one in inbox.alerts(PAGING) if one[2] == QUIET], "30 are no storm")

    exporter.wait_for_rest()
    server.wait_for_scrape()
    truth = simulator.truth(since=exporter.counting_since())
    expected = {(reason,): count for reason, count in truth["by_reason"].items()}
    check_equal(server.sums(DOMAINS, "reason"), expected, "Prometheus' sums by reason")
    wait_until("VictoriaMetrics has scraped", lambda: other() == expected, 30)
    seconds = " and ".join(f"{one:.1f} s" for one in took)
    print(f"Prometheus {version}: the auth storm and the arrears fired {seconds} after their first scrape, arrived, held back "
          f"what they explain and were resolved; {truth['published']} disconnects are the same in both stores")


if __name__ == "__main__":
    run(test)
