"""Both Grafana dashboards ask for what there is, and what they show is the truth.

A real Prometheus scrapes two exporters, one of them over TLS, while the simulator lets every class of disconnects happen,
and evaluates the alert rules. The dashboards are held against Grafana's own types. Every query of every panel, variable
and annotation then has to find something, names only metrics, labels and values that are there, and every link leads to
records of just what it was at. What the tables and numbers say is compared with the simulator's truth. Mistakes that are
planted in copies of the dashboards are found. In the end both are drawn, and the pictures looked at.

    dashboards_show_the_truth.py [--draw [MINUTES]]

`--draw` writes the pictures of the README, docs/dashboard.png and docs/dashboard-exporter.png, of so many minutes, 15
unless it says otherwise.
"""

import copy
import json
import struct
import subprocess
import sys
import time
from collections import Counter

import yaml

from browser import Browser
from dashboards import checks
from dashboards.draw import draw, height
from dashboards.grafana import Grafana, panels, rows
from harness import (DOMAINS, ROOT, SECRET_ID, SECRET_KEY, STREAMS, Exporter, Failed, Prometheus, Simulator, check,
                     free_port, get, post, program, run, wait_until)

SETTINGS = "poll: {{interval: {}s, sweep_interval: {}s, max_requests_per_second: 50}}\nseries: {{hold_max: 20s}}"
OVERSEAS = """
seed: 7
platform:
  domains:
    - name: push.overseas.example.com
      apps: [{name: live, streams: [{pattern: "stage_{}", count: 30}]}]
traffic: {disconnects_per_minute: 40, reasons: {client_stopped: 6, network_error: 3, stream_forbidden: 1}}
"""
# Panels that are right when they show nothing, and why. There is none: everything happens here.
MAY_BE_EMPTY = {}
# The one of two exporters that has the simulator whose truth is known.
ONE = {"instance": ["exporter:19267"]}
PICTURES = {"disconnects": ("dashboard", True), "exporter": ("dashboard-exporter", False)}


def scenario(seconds):
    """The demo with its day, its storms and its cut-offs fitted into so many seconds."""
    demo = yaml.safe_load((ROOT / "src/sim/scenarios/demo.yaml").read_text())
    def part(share, least=1):
        return f"{max(least, round(seconds * share))}s"
    traffic = demo["traffic"]
    traffic |= {"history": "0s", "every_reason": part(0.25, 45), "rhythm": {"day": part(0.8), "low": 0.45}}
    if seconds < 300:
        traffic["disconnects_per_minute"] = 300
    else:
        # What pictures should show: names of streams as people in China choose them.
        traffic["storms"][0]["domain"] = "push.live.example.com"
        for streams in demo["platform"]["domains"][0]["apps"][0]["streams"]:
            if "房间一" in streams.get("names", []):
                streams["weight"] = 40
    traffic["storms"][0] |= {"every": part(0.4), "lasts": part(0.06)}
    traffic["cutoffs"][0] |= {"every": part(0.5), "lasts": part(0.09)}
    return yaml.safe_dump(demo, allow_unicode=True)


def start_overseas(stage, limit):
    """A second exporter, which serves TLS and has places for so many series, with a cloud of its own."""
    folder = stage.folder / "overseas"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "server.key", "-out", folder / "server.crt", "-days", "90", "-subj", "/CN=exporter",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    (folder / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    (folder / "scenario.yaml").write_text(OVERSEAS)
    cloud = stage.start("overseas-simulator", stage.exporter_binary(), "simulate", "--listen-address", "127.0.0.1:0",
                        "--scenario", folder / "scenario.yaml")
    endpoint = cloud.wait_for(r"endpoint +(\S+)")
    (folder / "exporter.yaml").write_text(
        f"accounts: [{{name: overseas, endpoint: '{endpoint}', credentials: {{secret_id: {SECRET_ID}, "
        f"secret_key: {SECRET_KEY}}}}}]\nstate: {{path: '{folder / 'state'}'}}\npoll: {{interval: 1s, sweep_interval: 2s}}\n"
        f"series: {{hold_max: 20s, limit: {limit}}}\n")
    process = stage.start("overseas", stage.exporter_binary(), "--config.file", folder / "exporter.yaml",
                          "--web.listen-address", "127.0.0.1:0", "--web.config.file", folder / "web.yaml")
    exporter = Exporter(process, folder / "state")
    wait_until("the exporter overseas listens", exporter.is_listening, 30)
    return exporter, folder / "server.crt", Simulator(endpoint)


def start_prometheus(stage, main, overseas, certificate, interval):
    """A Prometheus that scrapes both exporters in one job and evaluates the alert rules."""
    port = free_port()
    config = stage.folder / "prometheus.yaml"
    config.write_text(json.dumps({
        "global": dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{interval}s"),
        "rule_files": [str(ROOT / "deploy/prometheus/*.yaml")],
        "scrape_configs": [
            {"job_name": "tencent-live",
             "static_configs": [{"targets": [main.address], "labels": {"instance": "exporter:19267"}}]},
            {"job_name": "tls", "scheme": "https", "tls_config": {"ca_file": str(certificate)},
             "static_configs": [{"targets": [overseas.address],
                                 "labels": {"job": "tencent-live", "instance": "overseas:19267"}}]},
        ]}))
    process = stage.start("prometheus", program("PROMETHEUS", "prometheus"), f"--config.file={config}",
                          f"--storage.tsdb.path={stage.folder / 'prometheus'}", f"--web.listen-address=127.0.0.1:{port}")
    prometheus = Prometheus(process, port, "tencent-live")
    wait_until("Prometheus is ready", lambda: get(f"{prometheus.url}/-/ready"), 60)
    return prometheus


def everything_happens(stage, simulator, prometheus, seconds, alerts):
    """Waits until every class has shown, these alerts have fired, and the API has failed and recovered."""
    begun = time.time()
    wait_until("both exporters are scraped", lambda: len(prometheus.query("up == 1")) == 2, 60)
    scraped = time.time()
    classes = {one["metric"]["class"] for one in prometheus.query("group by (class) (tencent_live_disconnect_reason_info)")}
    check(len(classes) > 10, f"too few classes: {classes}")
    def seen():
        for process in stage.processes:
            check(process.child.poll() is None, f"{process.name} ended by itself")
        grown = {one["metric"]["class"] for one in prometheus.query(f"sum by (class) (increase({DOMAINS}[1h])) > 0")}
        return classes == grown
    wait_until("every class of disconnects is seen to increase", seen, 240)
    wait_until("more than half of the time has passed", lambda: time.time() > begun + seconds * 0.6, seconds)
    post(f"{simulator.endpoint}/-/fail-next", {"times": 25, "fault": "internal_error"})
    wait_until("polls have failed", lambda: prometheus.query("tencent_live_exporter_poll_failures_total > 0"), 60)
    for name in alerts:
        wait_until(f"{name} fires", lambda: prometheus.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}'), 120)
    wait_until("time enough has passed", lambda: time.time() > begun + seconds, seconds + 10)
    return scraped


def rests(simulator, exporter, prometheus):
    """Waits until nothing has happened for a dozen scrapes, and returns when that was."""
    for _ in range(5):
        published = simulator.truth()["published"]
        exporter.wait_for_rest()
        since = time.time()
        wait_until("twelve more seconds are scraped", lambda: any(
            float(one["value"][1]) > since + 12 for one in prometheus.query('timestamp(up{instance="exporter:19267"})')), 60)
        end = time.time()
        # A session that was live when the traffic stopped may have ended meanwhile.
        if simulator.truth()["published"] == published:
            return end
    raise Failed("sessions go on ending although the traffic has stopped")


def truth_of(simulator, exporter, prometheus, start):
    """What happened in the range by domain, app, stream and reason, less what the first scrape had already."""
    truth = simulator.truth(since=exporter.counting_since())
    check(truth["pending"] == 0, "the simulation is at rest")
    by_series, by_domain = ("domain", "app", "stream", "reason"), ("domain", "reason")
    streams = Counter({tuple(one[name] for name in by_series): one["count"] for one in truth["by_series"]})
    domains = Counter({(domain, reason): count for domain, reasons in truth["by_domain"].items()
                       for reason, count in reasons.items()})
    window = f"{round(time.time() - start) + 5}s"
    for metric, counts, names in ((STREAMS, streams, by_series), (DOMAINS, domains, by_domain)):
        for series in prometheus.query(f'{metric}{{instance="exporter:19267"}}[{window}]'):
            counts[tuple(series["metric"][name] for name in names)] -= int(float(series["values"][0][1]))
    check(all(count >= 0 for count in (*streams.values(), *domains.values())), "no counter was ahead of the truth")
    return streams, domains


def near(shown, true, what):
    """`increase()` reaches a little beyond the first and the last scrape, so it may say a little more, never less."""
    check(true - 0.01 <= shown <= true * 1.08 + 0.01, f"{what}: {shown:.2f} is shown, {true} happened")


def compare_with_truth(dashboard, grafana, streams, domains):
    """The numbers of the operators' dashboard for the one instance; returns how many were compared."""
    variables = grafana.variables(dashboard, ONE)
    by_title = {panel["title"]: panel for panel in panels(dashboard)}
    info = {one["metric"]["reason"]: one["metric"] for one in grafana.prometheus.query(checks.CLASSES_OF)}
    class_of = {reason: labels["class"] for reason, labels in info.items()}
    compared = 0
    def shown(title):
        return rows(by_title[title], grafana.frames(by_title[title], variables))
    def number(title):
        (frame,) = grafana.frames(by_title[title], variables)
        (one,) = frame.series
        return one
    def total(*classes):
        return sum(count for (_, reason), count in domains.items() if class_of[reason] in classes)
    broken = set(class_of.values()) - {"client"}
    for title, classes in (("Disconnects", broken), ("Arrears", {"arrears"}), ("Auth", {"auth"}), ("Network", {"network"})):
        check(total(*classes) > 0, f"nothing happened for {title}")
        near(number(title)[1][0][1], total(*classes), title)
        compared += 1

    table = shown("Domains")
    expected = Counter()
    for (domain, reason), count in domains.items():
        expected[domain, "Client" if class_of[reason] == "client" else "Disconnects"] += count
    happened = {domain for domain, _ in expected}
    check(happened <= {row["Domain"] for row in table}, f"a domain is missing: {[row['Domain'] for row in table]}")
    for row in table:
        for column in ("Disconnects", "Client"):
            near(row[column], expected[row["Domain"], column], f"Domains, {row['Domain']}, {column}")
            compared += 1
    near(sum(row["Disconnects"] + row["Client"] for row in table), sum(domains.values()), "the sum of the table of domains")
    worst = max(happened, key=lambda domain: expected[domain, "Disconnects"])
    check(number("Worst domain")[0]["domain"] == worst, f"the worst domain is {worst}")

    for title, key in (("Apps", ("Domain", "App")), ("Streams", ("Domain", "App", "Stream"))):
        expected = Counter()
        for (domain, app, stream, reason), count in streams.items():
            if class_of[reason] != "client":
                expected[(domain, app, stream)[:len(key)]] += count
        table = shown(title)
        most = int(next(word for word in by_title[title]["description"].split() if word.isdigit()))
        check(len(table) == min(most, len([count for count in expected.values() if count])), f"{title}: {len(table)} rows")
        for row in table:
            near(row["Disconnects"], expected[tuple(row[name] for name in key)], f"{title}, {[row[name] for name in key]}")
            compared += 1
        least = min(row["Disconnects"] for row in table)
        left_out = set(expected) - {tuple(row[name] for name in key) for row in table}
        check(all(expected[one] <= least + 0.01 for one in left_out), f"{title}: one that has more is left out")

    expected = Counter()
    for (_, reason), count in domains.items():
        if class_of[reason] != "client":
            expected[reason] += count
    table = shown("Reasons")
    check({row["Reason"] for row in table} == {reason for reason, count in expected.items() if count}, "all reasons")
    for row in table:
        near(row["Disconnects"], expected[row["Reason"]], f"Reasons, {row['Reason']}")
        # One reason is known from the English documents alone.
        said = [row["Class"], row["Meaning"], row["Tencent's text"] or ""]
        labels = info[row["Reason"]]
        check(said == [labels.get(name, "") for name in ("class", "description", "description_zh")], f"Reasons: {row}")
        compared += 1

    table = shown("Domains cut off")
    expected = Counter()
    for (domain, reason), count in domains.items():
        if class_of[reason] in ("arrears", "service"):
            expected[domain, reason] += count
    check({(row["Domain"], row["Reason"]) for row in table} == {key for key, count in expected.items() if count}, "cut off")
    for row in table:
        near(row["Disconnects"], expected[row["Domain"], row["Reason"]], f"Domains cut off, {row['Domain']}")
        check(row["Account"] == "main", f"the account of {row['Domain']} is {row['Account']}")
        compared += 1
    table = shown("Streams refused")
    for row in table:
        near(row["Disconnects"], streams[row["Domain"], row["App"], row["Stream"], row["Reason"]], f"Streams refused, {row}")
        check(class_of[row["Reason"]] in ("auth", "access"), f"Streams refused: {row}")
        compared += 1
    return compared


def filters_hold(dashboard, grafana, exporter):
    """With one domain and one class chosen, panels are about these, and links hand them on."""
    chosen = {**ONE, "domain": ["push.live.example.com"], "class": ["network"]}
    variables = grafana.variables(dashboard, chosen)
    check(variables["one_domain"].values == chosen["domain"] and variables["one_class"].values == chosen["class"],
          f"links name the domain and the class: {variables['one_domain'].values}, {variables['one_class'].values}")
    check(set(variables["reason"].values) == {"network_error", "no_data_timeout"}, f"{variables['reason'].values}")
    everything = grafana.variables(dashboard)
    check(not any(everything[f"one_{name}"].values for name in ("domain", "class", "reason")), "of all, links name none")
    by_title = {panel["title"]: panel for panel in panels(dashboard)}
    for title in ("Domains", "Streams", "Reasons"):
        found = rows(by_title[title], grafana.frames(by_title[title], variables))
        check(found and all(row.get("Domain", "push.live.example.com") == "push.live.example.com" for row in found), title)
        check(all(row.get("Class", "network") == "network" for row in found), f"{title}: {found[:2]}")
    variables["exporter_url"].values = [exporter]
    (link,) = [link["url"] for link in dashboard["links"] if "/disconnects?" in link["url"]]
    address = grafana.link(link, variables)
    check("domain=push.live.example.com&class=network&reason=&" in address, f"the link: {address}")
    check(not (wrong := checks.followed(link, grafana, variables, exporter)), f"{wrong}")


def planted(dashboards, known, grafana, world, exporter):
    """Mistakes in copies of the dashboards, each of which has to be found; returns how many."""
    board = dashboards["disconnects"]
    uids = {one["uid"] for one in dashboards.values()}
    def replaced(old, new, times=1):
        text = json.dumps(board, ensure_ascii=False)
        check(old in text, f"the mistake {old} has no place any more")
        return json.loads(text.replace(old, new, times))
    def changed(change):
        copied = copy.deepcopy(board)
        change(copied)
        return copied
    def panel(copied, title):
        return next(one for one in panels(copied) if one["title"] == title)
    def data(copied):
        return checks.data_problems(copied, grafana, world)
    def links(copied):
        return checks.link_problems(copied, grafana, exporter, uids, ONE)[0]
    def schema(copied):
        return checks.schema_problems(copied, known)
    def layout(copied):
        return checks.layout_problems(copied)
    def colours(copied):
        return checks.colour_problems([copied, dashboards["exporter"]], world.classes())
    def expression(title, more):
        """A copy in which the first query of a panel goes on like this."""
        def change(copied):
            panel(copied, title)["targets"][0]["expr"] += more
        return changed(change)
    alert = r'ALERTS{alertname=~\"TencentLive.*\",alertstate=\"firing\"}'
    mistakes = [
        # What, what has to find it, the copy, and a part of what is said.
        ("a metric", data, replaced("(tencent_live_disconnects_total{", "(tencent_live_disconnect_total{"),
         "tencent_live_disconnect_total is not exposed"),
        ("a variable's metric", data, replaced("label_values(tencent_live_up{", "label_values(tencent_live_upp{"),
         "tencent_live_upp is not"),
        ("an annotation's metric", data, replaced(alert, alert.replace("ALERTS", "ALERT"), times=-1),
         "annotation Alerts: the metric ALERT is not"),
        ("a label that is matched", data, replaced(r'class=\"arrears\"', r'clas=\"arrears\"'), "no label clas:"),
        ("a value that is matched", data, replaced(r'class=\"arrears\"', r'class=\"arears\"'),
         "no tencent_live_disconnects_total has class=arears"),
        ("one of two values", data, replaced("arrears|service", "arrears|servise"), "class=servise"),
        ("an alert's state", data, replaced(r'alertstate=\"firing\"', r'alertstate=\"fireing\"'), "alertstate=fireing"),
        ("a label to sum by", data, replaced("by (domain, app, stream)", "by (domain, app, steam)"), "no label steam"),
        ("a label of a join", data, replaced("(description, description_zh) topk", "(description, description_cn) topk"),
         "no label description_cn"),
        ("a label of a legend", data, replaced('"{{class}}"', '"{{clas}}"'), "the legend {{clas}}"),
        ("a label of the alerts", data, replaced('"{{alertname}}"', '"{{alert}}"'), "no alert has alert"),
        ("a variable", data, replaced(r'domain=~\"$domain\"', r'domain=~\"$domian\"'), "$domian is no variable"),
        ("a column", data, replaced('"description_zh": "Tencent', '"description_cn": "Tencent'), "there is no column"),
        ("a column's override", data, replaced('"options": "Meaning"', '"options": "Meanings"'), "is for Meanings"),
        ("a query that finds nothing", data, expression("Network", " > 1e9"), "finds nothing"),
        ("a bracket", data, expression("Network", ")"), "Network: sum"),
        ("a link's parameter", links, replaced("/disconnects?domain=", "/disconnects?domian="), "does not know ['domian']"),
        ("a link's column", links, replaced("${__data.fields.Stream:", "${__data.fields.Steam:"), "there is no Steam"),
        ("a link's label", links, replaced("${__field.labels.reason:", "${__field.labels.reson:"), "there is no reson"),
        ("a link's path", links, replaced("/disconnects?", "/disconnect?"), "is not the exporter's page"),
        ("a link's value", links, replaced("stream=${__data.fields.Stream:", "stream=${__data.fields.Domain:"),
         "leads to no record"),
        ("a dashboard that there is not", links, replaced("/d/tencent-live-exporter", "/d/tencent-live-export"),
         "there is no dashboard"),
        ("a height that is text", schema, changed(lambda copied: panel(copied, "Auth")["gridPos"].update(h="4")),
         "gridPos/h"),
        ("a cursor that there is not", schema, changed(lambda copied: copied.update(graphTooltip=5)), "graphTooltip"),
        ("a kind of line", schema, replaced('"drawStyle": "line"', '"drawStyle": "lines"'), "drawStyle"),
        ("an option", schema, replaced('"textMode"', '"textmode"'), "textmode"),
        ("an override's option", schema, replaced('"custom.width"', '"custom.widht"'), "widht"),
        ("two panels in one place", layout, changed(lambda copied: panel(copied, "Arrears")["gridPos"].update(x=6)),
         "overlap"),
        ("an id twice", layout, changed(lambda copied: panel(copied, "Arrears").update(id=1)), "2 panels have the id 1"),
        ("no description", layout, changed(lambda copied: panel(copied, "Arrears").update(description="")),
         "no description"),
        ("another data source", layout, changed(lambda copied: panel(copied, "Arrears").update(datasource={"uid": "x"})),
         "its data source"),
        ("another colour of a class", colours, replaced('"fixedColor": "#8b5cf6"', '"fixedColor": "#123456"'),
         "class takeover"),
    ]
    for what, look, copied, says in mistakes:
        found = list(look(copied))
        check(any(says in problem for problem in found), f"{what}: a planted mistake is not found ({says}), but {found[:3]}")
    return len(mistakes)


def look_at(file, dashboard, seen):
    """The picture is whole and shows something in every panel."""
    width, tall = struct.unpack(">II", file.read_bytes()[16:24])
    check((width, tall) == (1600, height(dashboard)), f"{file.name} is {width} x {tall}")
    number = len(list(panels(dashboard)))
    check(seen["panels"] == number, f"{seen['panels']} of {number} panels are drawn")
    for what in ("empty", "plain", "cut"):
        check(not seen[what], f"{file.name}, {what}: {seen[what][:10]}")
    check(seen["charts"] >= 5 and seen["rows"] >= 5, f"{file.name}: {seen}")
    return file.stat().st_size


def test(stage):
    minutes = (float(sys.argv[2]) if len(sys.argv) > 2 else 15) if "--draw" in sys.argv[1:] else 0
    seconds, interval = (minutes * 60, 2) if minutes else (75, 1)
    # The second exporter overflows, but not in the pictures.
    alerts = ["TencentLiveArrears"] + ([] if minutes else ["TencentLiveExporterSeriesOverflow"])
    simulator = stage.simulator(scenario(seconds))
    main = stage.exporter(simulator, SETTINGS.format(*((5, 15) if minutes else (1, 2))))
    wait_until("the exporter listens", main.is_listening, 30)
    overseas, certificate, other = start_overseas(stage, 50000 if minutes else 20)
    prometheus = start_prometheus(stage, main, overseas, certificate, interval)
    start = everything_happens(stage, simulator, prometheus, seconds, alerts)
    dashboards = checks.load_all()
    if minutes:
        return pictures(stage, dashboards, prometheus, start, interval)

    for one in (simulator, other):
        one.stop_traffic()
    end = rests(simulator, main, prometheus)
    grafana = Grafana(prometheus, start - 5, end, interval)
    pages = [main.page()[2], checks.page_over_tls(overseas, certificate)]
    world = checks.World(prometheus, pages, start - 5, end)

    known = checks.schemas()
    uids = {one["uid"] for one in dashboards.values()}
    problems, links, queries = [], 0, 0
    for name, dashboard in dashboards.items():
        found = [*checks.schema_problems(dashboard, known), *checks.layout_problems(dashboard),
                 *checks.data_problems(dashboard, grafana, world, MAY_BE_EMPTY)]
        wrong, right = checks.link_problems(dashboard, grafana, main.url, uids, ONE)
        problems += [f"{name}: {problem}" for problem in found + wrong]
        links += right
        queries += sum(len(panel["targets"]) for panel in panels(dashboard))
    problems += checks.colour_problems(dashboards.values(), world.classes())
    check(not problems, "the dashboards:\n  " + "\n  ".join(problems))
    filters_hold(dashboards["disconnects"], grafana, main.url)
    compared = compare_with_truth(dashboards["disconnects"], grafana, *truth_of(simulator, main, prometheus, start - 5))
    mistakes = planted(dashboards, known, grafana, world, main.url)
    sizes = pictures(stage, dashboards, prometheus, start, interval, stage.folder)
    version = prometheus.api("status/buildinfo")["version"]
    print(f"Prometheus {version}: {queries} queries of {len(dashboards)} dashboards find what they ask for, {links} links "
          f"lead to it, {compared} numbers are the truth, {mistakes} of {mistakes} planted mistakes are found; "
          f"drawn in {sizes} bytes")


def pictures(stage, dashboards, prometheus, start, interval, folder=None):
    """Draws both dashboards into `folder`, or into docs."""
    grafana = Grafana(prometheus, start, time.time(), interval)
    browser = Browser(stage.folder)
    sizes = []
    try:
        for name, (picture, dark) in PICTURES.items():
            file = (folder or ROOT / "docs") / f"{picture}.png"
            seen = draw(dashboards[name], grafana, browser, stage.folder, file, dark)
            sizes.append(look_at(file, dashboards[name], seen))
            check(not (complaints := browser.complaints()), f"the browser complains: {complaints[:3]}")
            if not folder:
                print(f"{file.relative_to(ROOT)}: {sizes[-1]} bytes")
    finally:
        browser.close()
    return sizes


if __name__ == "__main__":
    run(test)
