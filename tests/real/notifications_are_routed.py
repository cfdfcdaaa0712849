"""A real Alertmanager tells the right people of each alert, and nobody of what another alert explains.

`amtool` reads the configurations and says where each alert of alerts.yaml goes, held against a table. Then the
configuration as it is shipped runs, with nothing changed but addresses and waiting times: alerts are posted to it, and
what arrives at webhooks, by mail, and at the robots of WeCom, DingTalk and Feishu is what should.

ALERTMANAGER and AMTOOL choose the programs, so the same promise is held with older and newer ones. The robots need
Alertmanager 0.32.
"""

import email
import email.policy
import json
import re
import socketserver
import subprocess
import threading
import urllib.parse
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from harness import ROOT, check, check_equal, free_port, get, post, program, run, wait_until

FOLDER = ROOT / "deploy/alertmanager"
ROBOTS_SINCE = (0, 32)

# Who is told of each alert.
ROUTES = {
    "TencentLiveArrears": "on-call-and-billing",
    "TencentLiveServiceSuspended": "on-call-and-billing",
    "TencentLiveQuotaReached": "on-call-and-billing",
    "TencentLiveAuthFailures": "on-call",
    "TencentLiveAuthFailuresUnusual": "security",
    "TencentLiveNetworkDisconnects": "on-call",
    "TencentLiveNetworkDisconnectsUnusual": "tickets",
    "TencentLivePushesDropped": "tickets",
    "TencentLivePlatformErrors": "tickets",
    "TencentLiveStreamsForbidden": "security",
    "TencentLiveAccessRefused": "security",
    "TencentLiveConfigRefused": "tickets",
    "TencentLiveStreamFlapping": "tickets",
    "TencentLiveDomainSilent": "tickets",
    "TencentLiveUnmappedReason": "log",
    "TencentLiveExporterDown": "on-call",
    "TencentLiveExporterAbsent": "on-call",
    "TencentLiveExporterPollFailing": "operators",
    "TencentLiveExporterApiRefused": "on-call",
    "TencentLiveExporterWatermarkBehind": "on-call",
    "TencentLiveExporterApiThrottled": "operators",
    "TencentLiveExporterStateNotWritable": "on-call",
    "TencentLiveExporterClockSkew": "operators",
    "TencentLiveExporterKeysNotRenewed": "operators",
    "TencentLiveExporterSeriesOverflow": "operators",
    "TencentLiveExporterIncompleteListings": "operators",
    "TencentLiveExporterRecordsUnreadable": "operators",
    "TencentLiveExporterRecordsLate": "log",
    "TencentLiveExporterConfigReloadFailed": "operators",
    "TencentLiveExporterWebConfigReloadFailed": "operators",
    "TencentLiveExporterCertificateExpiry": "operators",
}


class Inbox:
    """What has arrived: JSON by path of the URL, and mails."""

    def __init__(self):
        inbox = self
        self.posts, self.mails = [], []

        class Web(BaseHTTPRequestHandler):
            """Takes whatever Alertmanager sends, and answers as WeCom's API does."""

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.posts.append((urllib.parse.urlsplit(self.path).path, json.loads(body)))
                self.answer()

            def do_GET(self):
                self.answer()

            def answer(self):
                """One answer for all: WeCom's token, and its word that the message was taken."""
                body = b'{"errcode": 0, "errmsg": "ok", "access_token": "token", "expires_in": 7200}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Says nothing."""

        class Mail(socketserver.StreamRequestHandler):
            """As much of SMTP as a client needs that sends one mail."""

            def handle(self):
                def say(text):
                    self.wfile.write(text.encode() + b"\r\n")
                say("220 mail")
                while line := self.rfile.readline():
                    command = line.strip().upper()[:4]
                    if command == b"EHLO":
                        say("250 mail")
                    elif command == b"DATA":
                        say("354 go on")
                        lines = []
                        while (line := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(line[1:] if line.startswith(b"..") else line)
                        inbox.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
                        say("250 taken")
                    elif command == b"QUIT":
                        say("221 bye")
                        return
                    else:
                        say("250 ok")

        class MailServer(socketserver.ThreadingTCPServer):
            """A thread for each client, none of which keeps the test from its end."""
            daemon_threads = True

        self.web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
        self.smtp = MailServer(("127.0.0.1", 0), Mail)
        for server in (self.web, self.smtp):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.web.server_port}"

    def alerts(self, path, status="firing"):
        """(alert, account, domain or instance) of what has arrived at a path, each as often as it was in a notification."""
        found = []
        for at, body in list(self.posts):
            if at == path:
                found += [(one["labels"]["alertname"], one["labels"].get("account", ""), one["labels"].get("domain", ""),
                           one["labels"].get("instance", "")) for one in body["alerts"] if one["status"] == status]
        return found


class Alertmanager:
    """A real Alertmanager with a configuration of ours."""

    def __init__(self, stage, name, config):
        port = free_port()
        file = stage.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(config, allow_unicode=True))
        (stage.folder / "tencent-live.tmpl").write_text((FOLDER / "tencent-live.tmpl").read_text())
        amtool("check-config", file)
        self.url = f"http://127.0.0.1:{port}"
        stage.start(name, program("ALERTMANAGER", "prometheus-alertmanager"), f"--config.file={file}",
                    f"--storage.path={stage.folder / name}", f"--web.listen-address=127.0.0.1:{port}",
                    "--cluster.listen-address=")
        wait_until("Alertmanager is ready", lambda: get(f"{self.url}/-/ready"), 60)

    def send(self, rules, *alerts, ended=False):
        """Posts alerts as Prometheus does: (name, labels beside those of its rule)."""
        now = datetime.now(timezone.utc)
        ends = now - timedelta(seconds=1) if ended else now + timedelta(hours=1)
        body = []
        for name, labels in alerts:
            own = rules[name]
            texts = {key: re.sub(r"\{\{.*?\}\}", lambda _: labels.get("domain", "…"), text)
                     for key, text in own["annotations"].items()}
            body.append({"labels": {"alertname": name, "job": "tencent-live", **own["labels"], **labels}, "annotations": texts,
                         "startsAt": (now - timedelta(minutes=1)).isoformat(), "endsAt": ends.isoformat(),
                         "generatorURL": "http://127.0.0.1/"})
        request_json(f"{self.url}/api/v2/alerts", body)

    def query(self, state):
        """The alerts that amtool finds in a state, `active` or `inhibited`."""
        found = json.loads(amtool("--alertmanager.url", self.url, "alert", "query", f"--{state}", "-o", "json"))
        return {(one["labels"]["alertname"], one["labels"].get("account", ""), one["labels"].get("domain", ""),
                 one["labels"].get("instance", "")) for one in found}


def request_json(url, value):
    """Posts JSON where the answer is empty."""
    try:
        post(url, value)
    except json.JSONDecodeError:
        pass


def amtool(*arguments):
    """What amtool prints; its own failure is the test's."""
    done = subprocess.run([program("AMTOOL", "amtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"amtool {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def version():
    """The version of Alertmanager, and whether amtool is of the same."""
    done = subprocess.run([program("ALERTMANAGER", "prometheus-alertmanager"), "--version"], capture_output=True, text=True,
                          check=True)
    return re.search(r"version (\d+\.\d+\.\d+)", done.stdout + done.stderr)[1]


def here(config, inbox, folder):
    """The configuration with addresses of this test in place of its own, and without waiting. The rest stays."""
    def walk(node, path=()):
        if isinstance(node, list):
            return [walk(one, path) for one in node]
        if not isinstance(node, dict):
            return node
        changed = {}
        for key, value in node.items():
            if key == "url":
                parts = urllib.parse.urlsplit(value)
                value = f"{inbox.url}/{parts.hostname}{parts.path}"
            elif key.endswith("_file"):
                name = value.rsplit("/", 1)[1]
                (folder / name).write_text(f"{inbox.url}/{name}" if key == "url_file" else "secret")
                value = str(folder / name)
            elif key == "wechat_configs":
                value = [{**walk(one), "api_url": f"{inbox.url}/wecom/"} for one in value]
            elif key in ("group_wait", "group_interval"):
                value = "1s"
            else:
                value = walk(value)
            changed[key] = value
        return changed
    config = walk(config)
    config.setdefault("global", {})
    if "smtp_smarthost" in config["global"]:
        config["global"] |= {"smtp_smarthost": f"127.0.0.1:{inbox.smtp.server_address[1]}", "smtp_require_tls": False}
        # The mail server here asks nobody who he is, and a client that has nothing but a password refuses such a one.
        del config["global"]["smtp_auth_username"], config["global"]["smtp_auth_password_file"]
    config["route"].setdefault("group_wait", "1s")
    config["route"].setdefault("group_interval", "1s")
    return config


def check_routes(rules):
    """Each alert goes where the table says, by the labels of its rule."""
    check(list(ROUTES) == list(rules), f"the table of routes is not of the alerts: {set(ROUTES) ^ set(rules)}")
    for name, receiver in ROUTES.items():
        labels = [f"{key}={value}" for key, value in {"alertname": name, **rules[name]["labels"]}.items()]
        amtool("config", "routes", "test", "--config.file", FOLDER / "alertmanager.yaml", f"--verify.receivers={receiver}",
               *labels)
    # Somebody else's alert, and one without labels.
    for labels in (["alertname=Other"], ["alertname=Other", "severity=critical"]):
        amtool("config", "routes", "test", "--config.file", FOLDER / "alertmanager.yaml", "--verify.receivers=tickets", *labels)


def check_inhibition(stage, rules):
    """What another alert explains is not sent, all else is; it is sent when the other is over."""
    inbox = Inbox()
    config = here(yaml.safe_load((FOLDER / "alertmanager.yaml").read_text()), inbox, stage.folder)
    manager = Alertmanager(stage, "routed", config)
    one, two = {"instance": "one:19267"}, {"instance": "two:19267"}
    main, other = {**one, "account": "main"}, {**one, "account": "other"}
    causes = [
        ("TencentLiveArrears", main),
        ("TencentLiveExporterDown", two),
        ("TencentLiveAuthFailures", {**other, "domain": "a.example.com"}),
        ("TencentLiveExporterWatermarkBehind", other),
    ]
    explained = [
        # by the arrears of their account
        ("TencentLiveAuthFailures", {**main, "domain": "m.example.com"}),
        ("TencentLiveNetworkDisconnects", {**main, "domain": "m.example.com"}),
        ("TencentLiveServiceSuspended", {**main, "reason": "service_suspended"}),
        # by the exporter that is down
        ("TencentLiveAuthFailures", {**two, "account": "third", "domain": "t.example.com"}),
        ("TencentLiveArrears", {**two, "account": "third"}),
        ("TencentLiveExporterConfigReloadFailed", two),
        # by the page about the same thing
        ("TencentLiveAuthFailuresUnusual", {**other, "domain": "a.example.com"}),
        ("TencentLiveExporterPollFailing", other),
    ]
    free = [
        # another account, another domain, another exporter, another thing
        ("TencentLiveNetworkDisconnects", {**other, "domain": "b.example.com"}),
        ("TencentLiveAuthFailures", {**one, "domain": "unknown.example.com"}),
        ("TencentLiveAuthFailuresUnusual", {**other, "domain": "b.example.com"}),
        ("TencentLiveQuotaReached", {**main, "domain": "m.example.com"}),
        ("TencentLiveExporterConfigReloadFailed", one),
        ("TencentLiveExporterPollFailing", main),
        ("TencentLiveStreamFlapping", {**one, "domain": "m.example.com", "app": "live", "stream": "房间"}),
        ("TencentLiveUnmappedReason", main),
    ]
    def keys(alerts):
        return {(name, labels.get("account", ""), labels.get("domain", ""), labels["instance"]) for name, labels in alerts}
    manager.send(rules, *causes)
    wait_until("the causes are known", lambda: manager.query("active") == keys(causes), 30)
    manager.send(rules, *explained, *free)
    wait_until("what is explained is inhibited", lambda: manager.query("inhibited") == keys(explained), 30)
    wait_until("the rest is active", lambda: manager.query("active") == keys(causes + free), 30)

    def expected(*receivers):
        return sorted(key for key in keys(causes + free) if ROUTES[key[0]] in receivers)
    paths = {"/paging.example.com/alertmanager": ("on-call", "on-call-and-billing"),
             "/tickets.example.com/alertmanager": ("tickets",), "/log.example.com/alertmanager": ("log",)}
    for path, receivers in paths.items():
        wait_until(f"all of {receivers} arrive", lambda path=path, receivers=receivers:
                   set(inbox.alerts(path)) >= set(expected(*receivers)), 60)
    wait_until("the mails arrive", lambda: {mail["To"] for mail in inbox.mails} == {
        "billing@example.com", "operators@example.com", "security@example.com"}, 60)
    for path, receivers in paths.items():
        arrived = set(inbox.alerts(path))
        check(arrived == set(expected(*receivers)), f"{path}: {arrived ^ set(expected(*receivers))}")

    bills = [mail for mail in inbox.mails if mail["To"] == "billing@example.com" and "Arrears" in mail["Subject"]]
    check(len(bills) == 1 and bills[0]["Subject"] == "[FIRING 1] TencentLiveArrears (main)", f"{[str(one) for one in inbox.mails]}")
    text = bills[0].get_body(("plain",)).get_content()
    for part in ("欠费", "in arrears", "/disconnects?", rules["TencentLiveArrears"]["annotations"]["runbook_url"]):
        check(part in text, f"the mail about arrears does not have {part}:\n{text}")

    # The arrears are over: it is said, and what they hid is sent now.
    manager.send(rules, causes[0], ended=True)
    hidden = keys(explained[:3])
    wait_until("what the arrears hid is sent", lambda: set(inbox.alerts("/paging.example.com/alertmanager")) >= hidden, 60)
    wait_until("the end of the arrears is told", lambda: keys(causes[:1]) <= set(
        inbox.alerts("/paging.example.com/alertmanager", "resolved")), 60)
    return len(causes + explained + free), len(explained)


def check_messages(stage, rules, file, expected):
    """A message of each receiver of a file has the shape that its service wants."""
    inbox = Inbox()
    config = here(yaml.safe_load((FOLDER / file).read_text()), inbox, stage.folder)
    # All of them get the alert.
    config["route"] = {"receiver": config["route"]["receiver"], "group_wait": "1s", "group_interval": "1s", "routes": [
        {"receiver": one["name"], "continue": True} for one in config["receivers"]]}
    manager = Alertmanager(stage, file.split(".")[0], config)
    alert = ("TencentLiveAuthFailures", {"instance": "one:19267", "account": "主账号: 1", "domain": 'a: "b" \\ {c} #'})
    manager.send(rules, alert)
    wait_until("every receiver is told", lambda: {path for path, _ in inbox.posts} >= set(expected), 60)
    bodies = dict(inbox.posts)
    for path, shape in expected.items():
        if shape is None:
            check_equal({len(bodies[path]["alerts"]): 1}, {1: 1}, f"{path}, as Alertmanager writes it")
            continue
        kind, keys, value = shape
        found = bodies[path]
        check(found[kind] == "text", f"{path}: {found}")
        for key in keys:
            found = found[key]
        # Names with all that means something to a template or to YAML come through.
        texts = ("鉴权失败", alert[1]["domain"], alert[1]["account"])
        check(isinstance(found, str) and value in found and all(text in found for text in texts), f"{path}: {bodies[path]}")
    manager.send(rules, alert, ended=True)
    wait_until("the end is told", lambda: all(
        any(at == path and "恢复" in json.dumps(body, ensure_ascii=False) for at, body in list(inbox.posts))
        for path, shape in expected.items() if shape), 60)
    return len(expected)


def test(stage):
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    number = version()
    robots = tuple(map(int, number.split(".")[:2])) >= ROBOTS_SINCE
    for file in sorted(FOLDER.glob("*.yaml")):
        if robots or file.name != "robots.yaml":
            amtool("check-config", file)
    check_routes(rules)
    posted, inhibited = check_inhibition(stage, rules)
    title = "告警 TencentLiveAuthFailures\n告警 "
    messages = check_messages(stage, rules, "receivers.yaml", {
        "/wecom/message/send": ("msgtype", ("text", "content"), title),
        "/prometheus-webhook-dingtalk/dingtalk/live/send": None,
        "/prometheusalert/prometheusalert": None,
    })
    if robots:
        messages += check_messages(stage, rules, "robots.yaml", {
            "/wecom_robot_url": ("msgtype", ("text", "content"), title),
            "/dingtalk_robot_url": ("msgtype", ("text", "content"), title),
            "/feishu_robot_url": ("msg_type", ("content", "text"), title),
            "/wecom/message/send": ("msgtype", ("text", "content"), title),
        })
    print(f"Alertmanager {number}: {len(ROUTES)} alerts go where they should; of {posted} posted {inhibited} were held back, "
          f"the others told; {messages} receivers get what they read")


if __name__ == "__main__":
    run(test)
