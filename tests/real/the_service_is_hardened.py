"""The Debian package installs, and its service runs under a real systemd in the sandbox that its unit asks for.

`systemd-analyze` finds nothing wrong with the unit and rates its exposure 1.5 or less. In that sandbox the exporter counts
exactly, finds the API's name by DNS and speaks TLS, has its process_* metrics, reloads, and goes on after SIGKILL, a
restart and an upgrade with the counts it had. What it may not do it cannot: no capability, no new privileges, nothing to
write to but its own folder. The key is read by nobody else, and without one the service does not start.
"""

import os
import re
import ssl
import urllib.request

from harness import DOMAINS, ROOT, SECRET_ID, SECRET_KEY, Exporter, check, free_port, program, run, wait_until
from packages.cloud import Cloud
from packages.engine import Podman, run_program, tool

SERVICE = "tencent-live-exporter"
SETTINGS = f"/etc/{SERVICE}/exporter.yaml"

SCENARIO = """
platform: {domains: [{name: push.one.example.com, apps: [{name: live, streams: [{pattern: "room_{}", count: 40}]}]}]}
traffic: {disconnects_per_minute: 600, history: 1m}
"""


class Service(Exporter):
    """The exporter as a service of a system in a container."""

    def __init__(self, system, port):
        super().__init__(None, "")
        self.system, self.address = system, f"127.0.0.1:{port}"

    def is_listening(self):
        return True

    def counting_since(self):
        return int(self.system.shell(
            f"python3 -c \"import sqlite3; print(sqlite3.connect('/var/lib/private/{SERVICE}/ledger.sqlite')"
            ".execute('SELECT min(counting_since) FROM account').fetchone()[0])\""))


class System:
    """A Debian with systemd as its first process."""

    def __init__(self, podman, *options):
        podman.bring("localhost/system", tool("packages", "system.tar"))
        # What a service manager does wants capabilities; the machine's own /proc/sys and devices stay out of reach. systemd
        # hands credentials over by a mount, which arrives only where mounts are shared, as they are on a real machine.
        self.container = podman.start(
            "tle-system", "--cap-add", "all", "--security-opt", "seccomp=unconfined", "--systemd=always", "--network", "host",
            *options, "localhost/system", "sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd")
        wait_until("systemd is up", lambda: self.container.execute("systemctl", "is-system-running")[1].strip()
                   in ("running", "degraded"), 60)

    def shell(self, script):
        """What a script printed, which has to succeed."""
        good, said = self.container.execute("sh", "-ec", script)
        check(good, f"{script}: {said}")
        return said.strip()

    def fails(self, script):
        """What a script printed, which has to fail."""
        good, said = self.container.execute("sh", "-ec", script)
        check(not good, f"it should have failed: {script}: {said}")
        return said.strip()

    def journal(self):
        """What the service and systemd have said of it."""
        return self.container.execute("journalctl", "--unit", SERVICE, "--no-pager", "--output", "cat")[1]

    def show(self, name):
        """A property of the service."""
        return self.shell(f"systemctl show --value --property {name} {SERVICE}")


def package(stage):
    """Builds the Debian package of the program that is there, and looks into it."""
    environment = {"PATH": f"{tool('bin')}:{os.environ['PATH']}", "HOME": os.environ["HOME"],
                   "CARGO_NET_OFFLINE": "true"}
    environment |= {key: value for key, value in os.environ.items() if key.startswith(("CARGO", "RUSTUP"))}
    run_program(["cargo", "deb", "--no-build", "--locked", "--quiet", "--output", stage.folder], cwd=ROOT, env=environment)
    found = list(stage.folder.glob("*.deb"))
    check(len(found) == 1, f"packages: {found}")
    fields = dict(line.split(": ", 1) for line in run_program(["dpkg-deb", "--field", found[0]]).splitlines()
                  if re.match(r"[A-Z]\S*: ", line))
    check("libc6 (>=" in fields["Depends"], f"Depends: {fields['Depends']}")
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    check(fields["Version"].startswith(f"{version}-"), f"version {fields['Version']} of {version}")
    files = {line.split()[-1]: line.split()[:2] for line in run_program(["dpkg-deb", "--contents", found[0]]).splitlines()}
    pages = [page.relative_to(ROOT) for page in [*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")]]
    for path, mode in {f"./usr/bin/{SERVICE}": "-rwxr-xr-x", f"./etc/{SERVICE}/exporter.yaml": "-rw-r--r--",
                       f"./usr/lib/systemd/system/{SERVICE}.service": "-rw-r--r--",
                       **{f"./usr/share/doc/{SERVICE}/{page}": "-rw-r--r--" for page in pages},
                       f"./usr/share/doc/{SERVICE}/copyright": "-rw-r--r--"}.items():
        check(files.get(path, [None])[0] == mode, f"{path}: {files.get(path)}")
    check({owner for _, owner in files.values()} <= {"0/0", "root/root"}, "files of others")
    conffiles = run_program(["dpkg-deb", "--info", found[0], "conffiles"]).split()
    check(set(conffiles) == {SETTINGS, f"/etc/default/{SERVICE}"}, f"conffiles: {conffiles}")
    return found[0]


def check_unit(system):
    """What systemd itself says of the unit."""
    said = system.shell(f"systemd-analyze verify {SERVICE}.service 2>&1")
    check(not said, f"systemd-analyze verify: {said}")
    # A key that it does not know must be found by the same command.
    system.shell(f"sed 's/^UMask=/UMaks=/' /usr/lib/systemd/system/{SERVICE}.service >/tmp/planted.service")
    check("UMaks" in system.shell("systemd-analyze verify /tmp/planted.service 2>&1"), "verify is blind")
    rated = system.shell(f"systemd-analyze security --offline=true --threshold=15 /usr/lib/systemd/system/{SERVICE}.service")
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", rated)[1])
    check(exposure <= 1.5, rated)
    return exposure


def check_sandbox(system):
    """What the running process may not do, by what the kernel says."""
    pid = system.show("MainPID")
    status = dict(line.split(":", 1) for line in system.shell(f"cat /proc/{pid}/status").splitlines())
    check(int(status["Uid"].split()[0]) >= 61184, f"user {status['Uid']}")
    check(all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")), "it has capabilities")
    check(status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", "no seccomp")
    # As its user, in its own view of the files.
    enter = f"nsenter --target {pid} --mount setpriv --reuid $(stat -c %u /proc/{pid}) --regid $(stat -c %g /proc/{pid}) --clear-groups"
    for place in ("/etc", "/usr/bin", "/var/lib", "/root", "/home", "/var"):
        system.fails(f"{enter} touch {place}/planted")
    system.shell(f"{enter} touch /var/lib/{SERVICE}/planted && rm /var/lib/private/{SERVICE}/planted")
    check("secret_key" in system.fails(f"setpriv --reuid 65534 --clear-groups cat /run/credentials/{SERVICE}.service/secret_key")
          and SECRET_KEY == system.shell(f"{enter} cat /run/credentials/{SERVICE}.service/secret_key"),
          "the key is for the service alone")
    modes = system.shell(f"stat -c '%a %n' /var/lib/private/{SERVICE} /var/lib/private/{SERVICE}/ledger.sqlite").split()
    check(modes[0::2] == ["700", "600"], f"modes: {modes}")


def check_tls(system, folder, port):
    """A web config whose key only root can read comes as a credential, as deploy/README.md says; then it is taken off."""
    run_program([program("OPENSSL", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                 "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "server.key",
                 "-out", folder / "server.crt"])
    (folder / "web.yaml").write_text("tls_server_config: { cert_file: server.crt, key_file: server.key }\n")
    files = ("web.yaml", "server.crt", "server.key")
    lines = "\\n".join(["[Service]", *(f"LoadCredential={name}:/etc/{SERVICE}/{name}" for name in files)])
    drop_in = f"/etc/systemd/system/{SERVICE}.service.d"
    system.shell(f"cd /packages && install -m 0600 {' '.join(files)} /etc/{SERVICE}/ && mkdir {drop_in} && "
                 f"printf '{lines}\\n' >{drop_in}/override.conf && cp /etc/default/{SERVICE} /root/default && "
                 f"sed -i 's|^ARGS=\"|&--web.config.file=/run/credentials/{SERVICE}.service/web.yaml |' /etc/default/{SERVICE} && "
                 f"systemctl daemon-reload && systemctl restart {SERVICE}")
    trust = ssl.create_default_context(cafile=folder / "server.crt")
    def answered():
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/-/ready", context=trust, timeout=5) as answer:
            return answer.status == 200
    wait_until("it answers over TLS", answered, 30)
    system.shell(f"rm -r {drop_in} /etc/{SERVICE}/server.* /etc/{SERVICE}/web.yaml; cp /root/default /etc/default/{SERVICE}; "
                 f"systemctl daemon-reload; systemctl restart {SERVICE}")


def test(stage):
    deb = package(stage)
    simulator = stage.simulator(SCENARIO)
    port = free_port()
    with Podman(stage) as podman, Cloud("api.dns.example") as cloud:
        system = System(podman, "--volume", f"{stage.folder}:/packages:ro", "--dns", cloud.dns.address)
        install = f"dpkg --install /packages/{deb.name}"
        system.shell(install)
        check(system.fails(f"systemctl is-active {SERVICE}") == "inactive", "it was started without a key")
        exposure = check_unit(system)
        print(f"{deb.name} is installed; exposure {exposure}")

        # Without the file with the key systemd does not start it, and says why.
        system.fails(f"systemctl start {SERVICE}")
        check("CREDENTIALS" in system.journal(), system.journal())

        system.shell(f"umask 077; echo {SECRET_KEY} >/etc/{SERVICE}/secret_key")
        system.shell(f"sed -i 's/AKIDEXAMPLE/{SECRET_ID}/' {SETTINGS}")
        system.shell(f"cat >>/etc/default/{SERVICE} <<'.'\nARGS=\"--web.listen-address=127.0.0.1:{port} --log.format=json\"\n"
                     "TENCENT_LIVE__POLL__MAX_REQUESTS_PER_SECOND=50\nTENCENT_LIVE__SERIES__HOLD_MAX=0s\n.")
        # The real endpoint's way: a name, by DNS, and TLS.
        system.shell(f"cp {SETTINGS} /root/settings; sed -i 's|site: china .*|endpoint: https://api.dns.example:{cloud.port}|' {SETTINGS}")
        system.shell(f"systemctl reset-failed {SERVICE}; systemctl start {SERVICE}")
        wait_until("a TLS greeting arrives", lambda: "api.dns.example" in cloud.greeted, 60)
        system.shell(f"systemctl stop {SERVICE}; rm -r /var/lib/private/{SERVICE}")
        check(system.show("Result") == "success", f"it stopped with {system.show('Result')}")

        system.shell(f"sed 's|site: china .*|endpoint: {simulator.endpoint}|' /root/settings >{SETTINGS}")
        system.shell(f"printf 'poll: {{ interval: 1s, sweep_interval: 2s }}\\n' >>{SETTINGS}; systemctl start {SERVICE}")
        service = Service(system, port)
        service.wait_ready()
        check_sandbox(system)
        process = {name for name in ("start_time_seconds", "resident_memory_bytes", "open_fds", "max_fds", "threads")
                   if service.value(f"process_{name}") <= 0}
        check(not process, f"no process_* metrics: {process}")

        # A reload with a mistake changes nothing and is told; without it, it is taken up.
        successful = "tencent_live_exporter_config_last_reload_successful"
        system.shell(f"cp {SETTINGS} /root/settings; echo 'nonsense: 1' >>{SETTINGS}; systemctl reload {SERVICE}")
        wait_until("the mistake is told", lambda: service.value(successful) == 0, 20)
        check("nonsense" in system.journal(), system.journal())
        system.shell(f"sed 's/interval: 1s,/interval: 2s,/' /root/settings >{SETTINGS}; systemctl reload {SERVICE}")
        wait_until("it is taken up", lambda: service.value("tencent_live_exporter_poll_interval_seconds") == 2, 20)
        check(service.value(successful) == 1, "a good reload did not count")

        check_tls(system, stage.folder, port)
        service.wait_ready()

        # Killed, restarted, upgraded.
        wait_until("disconnects are counted", lambda: service.value(DOMAINS) > 10, 60)
        killed = system.show("MainPID")
        system.shell(f"kill -9 {killed}")
        wait_until("systemd starts it again", lambda: system.show("MainPID") not in ("0", killed), 30)
        service.wait_ready()
        before = system.show("MainPID")
        system.shell(install)
        check(system.show("MainPID") not in ("0", before), "the upgrade did not restart it")
        system.shell(f"systemctl restart {SERVICE}")
        service.wait_ready()
        simulator.stop_traffic()
        service.wait_for_rest()
        total = service.check_exact(simulator)

        # A mistake at the start is not tried again and again.
        system.shell(f"echo 'nonsense: 1' >>{SETTINGS}; systemctl restart {SERVICE} || true")
        wait_until("it gives up", lambda: system.show("ActiveState") == "failed", 20)
        check(system.show("ExecMainStatus") == "2", f"it ended with {system.show('ExecMainStatus')}")

        system.shell(f"dpkg --purge {SERVICE}")
        check(system.shell(f"ls /var/lib/private/{SERVICE}/ledger.sqlite"), "the ledger went with the package")
        left = system.shell(f"find /etc /usr -path '*{SERVICE}*' ! -path '/etc/{SERVICE}' ! -name secret_key")
        check(not left, f"left after a purge: {left}")
        print(f"{total} disconnects counted exactly, through SIGKILL, upgrade and restart")


if __name__ == "__main__":
    run(test)
