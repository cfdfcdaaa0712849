"""The Dockerfile builds, and its image runs as README says of images: as nobody, read-only, without a capability, in 64 MiB.

It is built with nothing to ask but this machine's crates and compiler. What is in it is the program, the libraries it is
linked to, and no shell. It counts exactly, its healthcheck turns healthy and fails where nobody answers, names are resolved
by hosts and by DNS, SIGTERM ends it with 0 within 5 s, and the next container goes on with the volume's counts.
"""

import json
import re
import tarfile
import time

from harness import DOMAINS, ROOT, SECRET_ID, SECRET_KEY, Exporter, check, free_port, get, run, wait_until
from packages.cloud import Cloud
from packages.engine import REVISION, Podman, run_program, tool

LOCKED_UP = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--memory", "64m", "--pids-limit", "64",
             "--security-opt", "no-new-privileges", "--network", "host"]

SCENARIO = """
platform: {domains: [{name: push.one.example.com, apps: [{name: live, streams: [{pattern: "room_{}", count: 40}]}]}]}
traffic: {disconnects_per_minute: 600, history: 1m}
"""


class Contained(Exporter):
    """An exporter in a container; its ledger is where the volume is."""

    def __init__(self, container, port, state):
        super().__init__(None, state)
        self.container, self.address = container, f"127.0.0.1:{port}"

    def is_listening(self):
        return True


def files_of(podman, image, folder):
    """The files of an image by their paths, of all layers."""
    archive = folder / "image.tar"
    podman("save", "--format", "docker-archive", "--output", archive, image)
    files = {}
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))[0]
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                files |= {"/" + member.name.rstrip("/"): member for member in inner.getmembers()}
    archive.unlink()
    return files


def check_contents(podman, image, folder):
    """Only what the program needs is in it."""
    files = files_of(podman, image, folder)
    regular = {path for path, member in files.items() if member.isfile()}
    programs = {path for path in regular if files[path].mode & 0o111}
    libraries = {path for path in regular if re.match(r"/(usr/)?lib\d*/", path)}
    check(programs - libraries == {"/usr/bin/tencent-live-exporter"}, f"programs: {programs - libraries}")
    names = {path.rsplit("/", 1)[1] for path in libraries}
    check({name for name in names if not name.startswith("ld-")} == {"libc.so.6", "libgcc_s.so.1", "libm.so.6"}
          and len(names) == 4, f"libraries: {sorted(names)}")
    other = regular - libraries - programs
    allowed = r"/etc/(passwd|group|nsswitch\.conf|os-release)|/usr/share/doc/[^/]+/copyright|/var/lib/dpkg/status\.d/\w\S*"
    check(not (strange := {path for path in other if not re.fullmatch(allowed, path)}), f"also in it: {strange}")
    for library in ("libc6", "libgcc-s1"):
        check(f"/var/lib/dpkg/status.d/{library}" in regular, f"scanners are not told of {library}")
    state = files["/data"]
    check((state.uid, state.gid, state.mode & 0o7777) == (65532, 65532, 0o700), f"/data: {state.uid} {state.mode:o}")
    set_id = [path for path, member in files.items() if member.mode & 0o6000]
    check(not set_id, f"set-user-id: {set_id}")
    return sum(member.size for member in files.values())


def check_settings(podman, image):
    """What the image says of itself."""
    config = podman.inspect(image, "image")["Config"]
    check(config["User"] == "65532:65532", f"user: {config['User']}")
    check(config["Entrypoint"] == ["/usr/bin/tencent-live-exporter"] and not config.get("Cmd"), f"entrypoint: {config}")
    check("19267/tcp" in config["ExposedPorts"] and "/data" in config["Volumes"], f"ports, volumes: {config}")
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    labels = config["Labels"]
    for name, value in {"version": version, "revision": REVISION, "licenses": "Apache-2.0"}.items():
        got = labels.get(f"org.opencontainers.image.{name}")
        check(got == value, f"label {name}: {got} instead of {value}")


def check_names(podman, image):
    """An endpoint is looked up in hosts, then in DNS; each is seen by the TLS greeting that arrives."""
    with Cloud("api.dns.example") as cloud:
        for host, options in {"api.hosts.example": ["--add-host", "api.hosts.example:127.0.0.1"],
                              "api.dns.example": ["--dns", cloud.dns.address]}.items():
            podman.start(
                "tle-names", *LOCKED_UP, *options, "--env", "TENCENTCLOUD_SECRET_ID=a", "--env", "TENCENTCLOUD_SECRET_KEY=b",
                "--env", f"TENCENT_LIVE__ACCOUNTS__0__ENDPOINT=https://{host}:{cloud.port}", image, "once",
                "--state.path=:memory:")
            wait_until(f"a TLS greeting for {host} arrives", lambda: host in cloud.greeted, 30)
            podman("rm", "--force", "--time", "0", "tle-names")
        check("api.dns.example" in cloud.dns.asked, f"DNS was asked for {cloud.dns.asked} only")


def test(stage):
    lint = [tool("python", "bin", "hadolint"), "--no-color", ROOT / "Dockerfile"]
    check(not (said := run_program(lint)), f"hadolint: {said}")

    with Podman(stage) as podman:
        started = time.monotonic()
        image = podman.build_image()
        seconds = time.monotonic() - started
        size = check_contents(podman, image, stage.folder)
        check_settings(podman, image)
        print(f"image of {size / 1e6:.0f} MB (not optimised here), built in {seconds:.0f} s")

        simulator = stage.simulator(SCENARIO)
        port = free_port()
        variables = {
            "TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY,
            "TENCENT_LIVE__ACCOUNTS__0__ENDPOINT": simulator.endpoint,
            "TENCENT_LIVE__POLL__INTERVAL": "1s", "TENCENT_LIVE__POLL__SWEEP_INTERVAL": "2s",
            "TENCENT_LIVE__POLL__MAX_REQUESTS_PER_SECOND": "50", "TENCENT_LIVE__SERIES__HOLD_MAX": "0s",
            "TENCENT_LIVE__WEB__LISTEN_ADDRESSES": f"127.0.0.1:{port}"}
        environment = [option for key, value in variables.items() for option in ("--env", f"{key}={value}")]
        podman.succeeds("volume", "rm", "--force", "tle-state")
        podman("volume", "create", "tle-state")

        def exporter():
            container = podman.start("tle-image", *LOCKED_UP, "--volume", "tle-state:/data", *environment, image)
            state = podman.inspect("tle-state", "volume")["Mountpoint"]
            return Contained(container, port, state)

        first = exporter()
        first.container.wait_healthy()
        first.wait_ready()
        inside = podman.inspect("tle-image")
        status = {key: value.strip() for key, value in (
            line.split(":", 1) for line in open(f"/proc/{inside['State']['Pid']}/status"))}
        check(status["Uid"].split()[0] == "65532" and int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1",
              f"it runs as {status['Uid']} with {status['CapBnd']}")
        check(inside["HostConfig"]["Memory"] == 64 << 20 and inside["HostConfig"]["ReadonlyRootfs"], "it is not locked up")
        for shell in ("/bin/sh", "sh", "/bin/bash", "/usr/bin/env"):
            check(not first.container.execute(shell, "-c", "true")[0], f"it has {shell}")
        good, said = first.container.execute("/usr/bin/tencent-live-exporter", "healthcheck", "--web.listen-address",
                                             f"127.0.0.1:{free_port()}")
        check(not good and "does not answer" in said, f"the healthcheck of nobody: {said}")

        wait_until("disconnects are counted", lambda: first.value(DOMAINS) > 20, 60)
        build = first.samples("tencent_live_exporter_build_info")
        check([dict(key)["revision"] for key in build] == [REVISION], f"build_info: {build}")
        get(f"{first.url}/disconnects")
        memory = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{inside['State']['Pid']}/status").read())[1])

        def stop(one):
            before = time.monotonic()
            podman("stop", "--time", "30", "tle-image")
            took, state = time.monotonic() - before, podman.inspect("tle-image")["State"]
            check(state["ExitCode"] == 0 and took < 6, f"SIGTERM: exit code {state['ExitCode']} after {took:.1f} s")
            check(not state["OOMKilled"], "64 MiB are not enough")
            return took

        took = stop(first)
        podman("rm", "tle-image")
        second = exporter()
        second.wait_ready()
        simulator.stop_traffic()
        second.wait_for_rest()
        total = second.check_exact(simulator)
        stop(second)
        podman("rm", "tle-image")
        podman("volume", "rm", "tle-state")
        print(f"{total} disconnects counted exactly by two containers on one volume; {memory / 1024:.0f} MiB at most; "
              f"SIGTERM took {took:.1f} s")

        check_names(podman, image)
        print("names are found in hosts and by DNS")


if __name__ == "__main__":
    run(test)
