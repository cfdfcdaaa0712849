"""Every alert has tests in which it fires and in which it rests, a runbook in both languages, and metrics that exist.

promtool reads the rules and runs tests/alerts. What promtool cannot know is held here: that no alert is without such
tests, that each says how bad it is and where it leads, that a runbook's headings are the alerts and no others, and that
whatever a rule or a test asks for is on the page of a real exporter, which serves TLS and has counted something. The
links to the disconnect records, as the tests show them, are followed.

PROMTOOL chooses the program, so the same is held with older and newer ones.
"""

import html
import re
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

import promql_parser
import yaml
from prometheus_client.parser import text_string_to_metric_families

from harness import ROOT, check, program, run, wait_until

RULES = [ROOT / "deploy/prometheus" / name for name in ("alerts.yaml", "recording.yaml")]
TESTS = sorted((ROOT / "tests/alerts").glob("*.yaml"))
RUNBOOKS = [ROOT / "deploy/runbooks.md", ROOT / "deploy/runbooks.zh-CN.md"]
SEVERITIES = {"page", "ticket", "info"}
# The classes of the taxonomy that alerts are about, and what is no class of a disconnect.
CLASSES = {"arrears", "auth", "network", "service", "quota", "platform", "operator", "access", "config", "unknown",
           "stream", "silence", "exporter"}
CHINESE = re.compile("[\u4e00-\u9fff]")
# What Prometheus itself adds.
OWN_LABELS = {"job", "instance"}
SCENARIO = """
platform:
  domains:
    - { name: push.one.example.com }
    - { name: push.off.example.com, enabled: false }
"""
SETTINGS = "poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}\nseries: {hold_max: 0s}"


def promtool(*arguments):
    """Runs promtool; whatever it has to say against the files is a failure."""
    done = subprocess.run([program("PROMTOOL", "promtool"), *arguments], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    check(done.returncode == 0 and "duplicate" not in said, f"promtool {' '.join(map(str, arguments))}:\n{said}")


def rules():
    """All rules, in their order."""
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def tests():
    """All of promtool's tests, each with the name of its file."""
    return [(file.name, test) for file in TESTS for test in yaml.safe_load(file.read_text())["tests"]]


def alerts_in(test):
    """(alert, whether it fires) of each thing that a test holds about one alert by its name."""
    for one in test.get("alert_rule_test", []):
        yield one["alertname"], bool(one["exp_alerts"])
    for one in test.get("promql_expr_test", []):
        if named := re.fullmatch(r'ALERTS\{alertname="(\w+)"(, alertstate="firing")?\}', one["expr"]):
            yield named[1], bool(one["exp_samples"])


def check_coverage(alerts):
    """Each alert fires in a test and rests in a test; no test is about an alert that there is not."""
    seen = {(alert, fires) for _, test in tests() for alert, fires in alerts_in(test)}
    for alert in alerts:
        check((alert, True) in seen, f"{alert}: no test in tests/alerts in which it fires")
        check((alert, False) in seen, f"{alert}: no test in tests/alerts in which it does not fire")
    # promtool takes a test of an alert that there is not for one that does not fire.
    unknown = {alert for alert, _ in seen} - set(alerts)
    check(not unknown, f"tests of alerts that there are not: {sorted(unknown)}")
    texts = {one["alertname"] for _, test in tests() for one in test.get("alert_rule_test", []) if one["exp_alerts"]}
    check(not set(alerts) - texts, f"no test shows the texts of {sorted(set(alerts) - texts)}")
    return len(seen)


def check_texts(alerts):
    """Labels for routing, texts in both languages, and where to go from there."""
    for name, rule in alerts.items():
        labels, texts = rule["labels"], rule["annotations"]
        check(set(labels) == {"severity", "class"}, f"{name}: labels {sorted(labels)}")
        check(labels["severity"] in SEVERITIES, f"{name}: severity {labels['severity']}")
        check(labels["class"] in CLASSES, f"{name}: class {labels['class']}")
        required = {"summary", "description", "summary_zh", "description_zh", "runbook_url"}
        check(required <= set(texts) <= required | {"records", "status"}, f"{name}: annotations {sorted(texts)}")
        for key in required - {"runbook_url"}:
            check((key.endswith("_zh")) == bool(CHINESE.search(texts[key])), f"{name}: the language of {key}: {texts[key]}")
        check(texts["runbook_url"].endswith(f"/deploy/runbooks.md#{name.lower()}"), f"{name}: {texts['runbook_url']}")
        if labels["class"] != "exporter":
            check("/disconnects?" in texts.get("records", ""), f"{name}: no link to the records")
    bases = {rule["annotations"]["runbook_url"].split("/deploy/")[0] for rule in alerts.values()}
    check(len(bases) == 1, f"the runbooks are in several places: {bases}")


def check_runbooks(alerts):
    """One heading for each alert, in the order of the rules, with the same four parts below each."""
    for file in RUNBOOKS:
        text = file.read_text()
        headings = re.findall(r"^### (\w+)$", text, re.M)
        missing, left_over = set(alerts) - set(headings), set(headings) - set(alerts)
        check(not missing, f"{file.name}: no heading for {sorted(missing)}")
        check(not left_over, f"{file.name}: headings without an alert: {sorted(left_over)}")
        check(headings == list(alerts), f"{file.name}: the headings are not in the order of the rules, or come twice")
        parts = ("Meaning", "Impact", "Look at", "Do") if file.name == "runbooks.md" else ("含义", "影响", "查看", "处理")
        for section in re.split(r"^#{1,3} ", text, flags=re.M):
            name = section.split("\n", 1)[0]
            if name in alerts:
                found = re.findall(r"^\*\*(.+?)[.。]\*\*", section, re.M)
                check(tuple(found) == parts, f"{file.name}: {name} has the parts {found}")


def selectors(expression):
    """Every selector of an expression as (metric, matchers)."""
    found = []
    def visit(node):
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, [(str(one.op).rsplit(".", 1)[-1], one.name, one.value) for one in node.matchers.matchers]))
            return
        below = [getattr(node, key, None) for key in ("lhs", "rhs", "expr", "param")] + list(getattr(node, "args", None) or [])
        for child in below:
            if child is not None:
                visit(child)
    visit(promql_parser.parse(expression))
    return found


def matches(operator, wanted, value):
    """Whether a label's value meets a matcher."""
    meets = re.fullmatch(wanted, value) is not None if "Re" in operator else wanted == value
    return meets != operator.startswith("Not")


def check_metrics(page, all_rules):
    """Whatever a rule selects is made by an earlier rule or is on the page, with labels and values that the page has."""
    samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    recorded = {rule["record"] for rule in all_rules if "record" in rule}
    used = set()
    for rule in all_rules:
        name = rule.get("alert") or rule["record"]
        for metric, matchers in selectors(rule["expr"]):
            used.add(metric)
            if metric in recorded or metric == "up":
                continue
            check(metric in samples, f"{name}: no exporter has the metric {metric}")
            wanted = [one for one in matchers if one[1] not in OWN_LABELS]
            check(any(all(matches(operator, value, labels.get(label, "")) for operator, label, value in wanted)
                      for labels in samples[metric]), f"{name}: nothing on a page is {metric}{wanted}")
            check(all(label in samples[metric][0] for _, label, _ in wanted), f"{name}: {metric} has no such labels: {wanted}")
    dashboards = {rule["record"] for group in yaml.safe_load(RULES[1].read_text())["groups"]
                  if group["name"] == "tencent-live-dashboards" for rule in group["rules"]}
    check(not recorded - used - dashboards, f"recorded for nothing: {sorted(recorded - used - dashboards)}")

    # A test with a name that is not the exporter's would prove nothing.
    for file, test in tests():
        for one in test["input_series"]:
            (metric, matchers), = selectors(one["series"])
            labels = {label for _, label, _ in matchers} - OWN_LABELS
            if metric != "up":
                check(metric in samples, f"{file}: {test['name']}: no exporter has {metric}")
                # A label that is empty is none.
                check(labels <= set(samples[metric][0]), f"{file}: {test['name']}: {metric} has no {labels}")
    return len(used - recorded)


def check_links(ask):
    """The links of the tests lead to a page, with all that is chosen in them understood."""
    links = {texts["records"] for _, test in tests() for one in test.get("alert_rule_test", [])
             for alert in one["exp_alerts"] if "records" in (texts := alert["exp_annotations"])}
    check(links, "no test shows a link")
    for link in links:
        path = link[link.index("/disconnects?"):]
        body = html.unescape(ask(path))
        for key, value in urllib.parse.parse_qsl(path.split("?", 1)[1], strict_parsing=True):
            check(key == "range" or value in body, f"{path}: the page does not show {key}")
    return len(links)


def test(stage):
    promtool("check", "rules", *RULES)
    all_rules = rules()
    alerts = {rule["alert"]: rule for rule in all_rules if "alert" in rule}
    check(len(alerts) == sum("alert" in rule for rule in all_rules), "two alerts have one name")
    held = check_coverage(alerts)
    check_texts(alerts)
    check_runbooks(alerts)

    subprocess.run([program("OPENSSL", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", stage.folder / "server.key", "-out",
                    stage.folder / "server.crt", "-days", "2", "-subj", "/CN=exporter", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    (stage.folder / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    simulator = stage.simulator(SCENARIO)
    # A push that goes on all the time.
    now = int(time.time())
    simulator.publish([{"domain": "push.one.example.com", "stream": "on_air", "start": now - 60, "end": now + 3600}])
    exporter = stage.exporter(simulator, SETTINGS, web="config_file: web.yaml")
    wait_until("the exporter listens", exporter.is_listening, 60)
    context = ssl.create_default_context(cafile=stage.folder / "server.crt")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    def ask(path):
        return opener.open(f"https://{exporter.address}{path}", timeout=10).read().decode()
    wait_until("the exporter is ready", lambda: ask("/-/ready"), 60)
    end = int(time.time()) - 2
    simulator.publish([{"domain": "push.one.example.com", "app": "live", "stream": "room", "start": end - 60, "end": end,
                        "reason": "推流链路网络异常"}])
    wait_until("a disconnect is shown", lambda: "\ntencent_live_stream_disconnects_total{" in ask("/metrics"), 60)
    wait_until("the page tells which domain is disabled", lambda: 'enabled="false"' in ask("/metrics"), 60)
    wait_until("the streams online are counted", lambda: "\ntencent_live_streams_online{" in ask("/metrics"), 60)
    metrics = check_metrics(ask("/metrics"), all_rules)
    links = check_links(ask)
    promtool("test", "rules", *TESTS)
    version = subprocess.run([program("PROMTOOL", "promtool"), "--version"], capture_output=True, text=True, check=True)
    print(f"{(version.stdout + version.stderr).split(' (')[0]}: {len(alerts)} alerts fire and rest in {len(tests())} tests, "
          f"{held} facts by name; {metrics} metrics are the exporter's, {links} links lead to records")


if __name__ == "__main__":
    run(test)
