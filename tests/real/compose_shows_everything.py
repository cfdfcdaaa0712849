"""`docker compose up` of deploy/compose.yaml shows everything: all of it starts, turns healthy, and finds the rest.

docker-compose talks to Podman. The exporter's image is the Dockerfile's; the others cannot be pulled here, so images of the
same names are made of Debian's Prometheus and Alertmanager and of Debian's Python, with the paths that the official ones
have. Grafana is in no Debian: of it only the file is checked, and that what is mounted for it is there. Prometheus scrapes
the demo and has the rules; an alert goes through Alertmanager into the log that compose.yaml promises.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
from datetime import datetime, timezone

import yaml

from harness import DOMAINS, ROOT, Failed, check, free_port, get, post, program, run, wait_until
from packages.engine import PACKAGES, TOOLS, Podman, run_program, tool

COMPOSE = ROOT / "deploy/compose.yaml"
PROJECT = "tencent-live-tested"
RUNNING = ["exporter", "prometheus", "alertmanager", "notifications"]


class Compose:
    """docker-compose with Podman behind it, and ports that are free."""

    def __init__(self, stage, podman, file):
        self.podman = podman
        socket = stage.folder / "podman.sock"
        self.service = subprocess.Popen(
            [str(argument) for argument in [*podman.base, "system", "service", "--time", "0", f"unix://{socket}"]],
            env=podman.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("Podman answers", socket.exists, 30)
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "HOME": str(stage.folder)}
        self.base = [tool("packages", "programs", "usr/libexec/docker/cli-plugins/docker-compose"),
                     "--project-name", PROJECT, "--file", COMPOSE, "--file", file, "--ansi", "never"]
        self.asking = threading.Event()

    def __enter__(self):
        # Podman leaves the timers of healthchecks to systemd, which this machine need not have.
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.asking.set()
        self.thread.join(30)
        subprocess.run([str(one) for one in [*self.base, "down", "--volumes", "--timeout", "10"]], env=self.environment,
                       capture_output=True, timeout=120)
        self.service.terminate()
        self.service.wait(10)

    def __call__(self, *arguments, seconds=240):
        return run_program([*self.base, *arguments], seconds, env=self.environment)

    def ask(self):
        """Runs the healthchecks, again and again."""
        while not self.asking.wait(1):
            for name in self.names():
                self.podman.succeeds("healthcheck", "run", name)

    def names(self):
        """The containers that run."""
        return [name for name in self.podman.succeeds("ps", "--format", "{{.Names}}")[1].split() if name.startswith(PROJECT)]

    def container(self, service):
        """What Podman knows of a service's container."""
        return self.podman.inspect(self("ps", "--all", "--quiet", service).strip())


def check_file(config):
    """What is promised of every service, in the file as docker-compose understands it."""
    for name, service in config["services"].items():
        check(service.get("read_only") is True and service.get("cap_drop") == ["ALL"]
              and service.get("security_opt") == ["no-new-privileges:true"], f"{name} is not locked up")
        check(int(service.get("mem_limit", 0)) > 0 and service.get("healthcheck", {}).get("test"), f"{name}: limit, health")
        open_ports = [port for port in service.get("ports", []) if port.get("host_ip") != "127.0.0.1"]
        check(not open_ports, f"{name} is open to others: {open_ports}")
        if "build" not in service:
            check(re.search(r":v?\d+\.\d+", service["image"]), f"{name}: no version in {service['image']}")
        for volume in service.get("volumes", []):
            check(volume["type"] != "bind" or os.path.exists(volume["source"]), f"{name}: there is no {volume.get('source')}")
            check(volume["type"] != "bind" or volume.get("read_only"), f"{name} could write to {volume.get('source')}")
    check(set(config["services"]) == {*RUNNING, "grafana"}, f"services: {sorted(config['services'])}")
    grafana = config["services"]["grafana"]
    places = {volume["target"] for volume in grafana["volumes"]}
    for provider in (ROOT / "deploy/grafana/provisioning/dashboards").glob("*.y*ml"):
        for one in yaml.safe_load(provider.read_text())["providers"]:
            check(one["options"]["path"] in places, f"Grafana looks for dashboards in {one['options']['path']}")


def stand_ins(stage, podman, config):
    """Images of Debian's programs under the names of those that cannot be pulled."""
    podman.bring("localhost/system", tool("packages", "system.tar"))
    newest = TOOLS / "prometheus/usr/bin"
    programs = {
        "prometheus": [(os.environ.get("PROMETHEUS") or newest / "prometheus", "prometheus"),
                       (os.environ.get("PROMTOOL") or newest / "promtool", "promtool")],
        "alertmanager": [(PACKAGES / "programs/usr/bin/prometheus-alertmanager", "alertmanager"),
                         (PACKAGES / "programs/usr/bin/amtool", "amtool")]}
    for name, files in programs.items():
        folder = stage.folder / f"image-{name}"
        folder.mkdir()
        for source, target in files:
            found = program("", str(source))
            (folder / target).write_bytes(open(found, "rb").read())
            (folder / target).chmod(0o755)
        # Debian's has its templates in files, the official one in itself.
        shared = PACKAGES / "programs/usr/share/prometheus" / name
        more = f"COPY shared /usr/share/prometheus/{name}\n" if shared.is_dir() else ""
        if more:
            shutil.copytree(shared, folder / "shared")
        state = f"/{name}"
        (folder / "Dockerfile").write_text(
            f"FROM localhost/system\nCOPY {' '.join(target for _, target in files)} /bin/\n"
            f"{more}RUN mkdir -p {state} /etc/{name} && chown 65534:65534 {state}\nUSER 65534\nVOLUME {state}\nWORKDIR {state}\n"
            f'ENTRYPOINT ["/bin/{name}"]\n')
        podman("build", "--quiet", "--pull-never", "--format", "docker", "--network", "none", "--tag",
               f"docker.io/{config['services'][name]['image']}", folder, seconds=300)
    podman("tag", "localhost/system", f"docker.io/library/{config['services']['notifications']['image']}")


def test(stage):
    run_program([tool("python", "bin", "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE])
    compose = tool("packages", "programs", "usr/libexec/docker/cli-plugins/docker-compose")
    config = json.loads(run_program([compose, "--file", COMPOSE, "config", "--format", "json"]))
    check_file(config)

    ports = {name: free_port() for name in ("exporter", "prometheus", "alertmanager")}
    inside = {"exporter": 19267, "prometheus": 9090, "alertmanager": 9093}
    override = stage.folder / "override.yaml"
    override.write_text("services:\n" + "".join(
        f"  {name}:\n    ports: !override ['127.0.0.1:{port}:{inside[name]}']\n" for name, port in ports.items()))
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}

    with Podman(stage) as podman:
        image = podman.build_image()
        podman("tag", image, f"docker.io/library/{config['services']['exporter']['image']}")
        stand_ins(stage, podman, config)
        with Compose(stage, podman, override) as compose:
            started = time.monotonic()
            try:
                compose("up", "--detach", "--no-build", "--pull", "never", *RUNNING)
                for name in RUNNING:
                    wait_until(f"{name} is healthy", lambda name=name: compose.container(name)["State"]["Health"]["Status"] == "healthy", 120)
            except Failed as failure:
                health = [f"{name}: {podman.inspect(name)['State']['Health']}" for name in compose.names()]
                raise Failed("\n".join([str(failure), compose("logs", "--tail", "20")[-4000:], *health])) from None
            print(f"{', '.join(RUNNING)} are healthy after {time.monotonic() - started:.0f} s")

            exporter = compose.container("exporter")
            check(exporter["HostConfig"]["ReadonlyRootfs"] and exporter["HostConfig"]["Memory"] == 128 << 20
                  and not exporter["EffectiveCaps"], "the exporter is not locked up")
            check(DOMAINS in get(f"{url['exporter']}/metrics")[0].decode(), "no metrics")

            def query(path, **parameters):
                answer = get(f"{url['prometheus']}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")[0]
                return json.loads(answer)["data"]

            wait_until("Prometheus has scraped the exporter", lambda: any(
                one["value"][1] == "1" for one in query("query", query='up{job="tencent-live"}')["result"]), 60)
            wanted = sum(len(group["rules"]) for path in (ROOT / "deploy/prometheus").glob("*.yaml")
                         for group in yaml.safe_load(path.read_text())["groups"])
            rules = [rule for group in query("rules")["groups"] for rule in group["rules"]]
            check(wanted and len(rules) == wanted, f"{len(rules)} rules instead of {wanted}")
            # A group is first evaluated somewhere within its interval; nobody waits five minutes for the slow one here.
            wait_until("the rules are evaluated", lambda: all(
                rule["health"] == "ok" or rule["health"] == "unknown" and group["interval"] > 60
                for group in query("rules")["groups"] for rule in group["rules"]), 60)
            found = wait_until("Prometheus finds Alertmanager", lambda: query("alertmanagers")["activeAlertmanagers"], 30)
            check(found[0]["url"] == "http://alertmanager:9093/api/v2/alerts", f"Alertmanager: {found}")

            now = datetime.now(timezone.utc).isoformat()
            alert = {"labels": {"alertname": "Tested", "severity": "page"}, "annotations": {"summary": "三号线 tested"},
                     "startsAt": now}
            post_alert(f"{url['alertmanager']}/api/v2/alerts", [alert])
            wait_until("the alert is in the log of notifications",
                       lambda: "FIRING page Tested 三号线 tested" in compose("logs", "notifications"), 60)

            volume = compose.podman.inspect(f"{PROJECT}_exporter", "volume")["Mountpoint"]
            check(os.path.exists(f"{volume}/ledger.sqlite"), "the ledger is not in the volume")
            compose("stop", "--timeout", "15", "exporter")
            state = podman.inspect(exporter["Id"])["State"]
            check(state["ExitCode"] == 0, f"the exporter ended with {state['ExitCode']}")
            print(f"Prometheus scrapes the demo with {wanted} rules; an alert came through Alertmanager into the log")


def post_alert(url, alerts):
    """Alertmanager answers with nothing."""
    try:
        post(url, alerts)
    except json.JSONDecodeError:
        pass


if __name__ == "__main__":
    run(test)
