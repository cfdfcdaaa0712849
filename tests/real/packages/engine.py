"""Podman with a store of its own, and the images that cannot be pulled here, made of what `install` has downloaded.

Everything is below .tools/packages: neither containers nor images of this machine are seen or touched. Layers stay there,
so that a second run builds only what has changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from harness import ROOT, Failed, check, program, wait_until

TOOLS = ROOT / ".tools"
PACKAGES = TOOLS / "packages"
IMAGE = "localhost/tencent-live-exporter:tested"
REVISION = "tested"

# How fast the compiler is through matters more here than how fast the program is; the Dockerfile stays as it is.
QUICK_BUILD = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
               "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "256"}


def run_program(arguments, seconds=120, **more):
    """What it printed on stdout; a failure, with both outputs, unless it ended with 0."""
    arguments = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **more)
    except subprocess.TimeoutExpired:
        raise Failed(f"not within {seconds} s: {' '.join(arguments)}") from None
    check(done.returncode == 0,
          f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def tool(*path):
    """A file that `install` has made; a missing one is a failure, never a skipped test."""
    found = TOOLS.joinpath(*path)
    check(found.exists(), f"{found} is missing: tests/real/packages/install makes it")
    return found


class Podman:
    """The engine; containers that a test starts are removed by `close`."""

    def __init__(self, stage):
        check(os.geteuid() == 0, "containers need root here")
        self.stage, self.names = stage, []
        # Where nothing survives a restart of the machine, as Podman wants it; the same in every run, as it wants that, too.
        self.run_root = Path("/run") / f"tencent-live-tests-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
        store = PACKAGES / "storage"
        # What it keeps names the place it is kept at: in a checkout that was moved it is made anew.
        place = store / "place"
        if store.exists() and not (place.exists() and place.read_text() == str(store)):
            # Podman may have left the folder of layers mounted on itself. Where it has not there is nothing to undo.
            subprocess.run(["umount", store / "overlay"], capture_output=True)
            shutil.rmtree(store)
        for folder in (self.run_root, store):
            folder.mkdir(parents=True, exist_ok=True)
        place.write_text(str(store))
        settings = stage.folder / "containers.conf"
        # runc and cgroupfs, as no systemd manages the groups of this machine; the limits are what a sandbox may allow.
        settings.write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
            '[network]\nnetwork_backend = "netavark"\n'
            f'[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "{self.run_root}/tmp"\n')
        self.environment = {**os.environ, "CONTAINERS_CONF": str(settings), "TMPDIR": str(stage.folder)}
        self.base = [program("PODMAN", "podman"), "--root", store, "--runroot", self.run_root, "--log-level", "fatal"]
        overlay = subprocess.run([*self.base, "--storage-driver", "overlay", "info"], env=self.environment,
                                 capture_output=True)
        # The other one copies every layer, and runs everywhere.
        self.base += ["--storage-driver", "overlay" if overlay.returncode == 0 else "vfs"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run([*self.base, "rm", "--force", "--volumes", "--time", "0", name], env=self.environment,
                           capture_output=True)

    def __call__(self, *arguments, seconds=120):
        return run_program([*self.base, *arguments], seconds, env=self.environment)

    def succeeds(self, *arguments, seconds=60):
        """Whether it ends with 0, and what it printed on both outputs."""
        done = subprocess.run([str(argument) for argument in [*self.base, *arguments]], env=self.environment,
                              capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        return done.returncode == 0, done.stdout + done.stderr

    def start(self, name, *arguments):
        """Starts a container that ends with this test."""
        self.names.append(name)
        self.succeeds("rm", "--force", "--volumes", "--time", "0", name)
        self("run", "--detach", "--name", name, *arguments)
        return Container(self, name)

    def has(self, image):
        """Whether the store has it."""
        return self.succeeds("image", "exists", image)[0]

    def bring(self, image, tar, *changes):
        """Makes an image of a file of `install`, if it is not there or was made of another one."""
        stamp = f"{tar.stat().st_size}-{int(tar.stat().st_mtime)}-" + hashlib.sha256(repr(changes).encode()).hexdigest()[:8]
        if self.has(image) and self.inspect(image, "image")["Config"].get("Labels", {}).get("made-of") == stamp:
            return
        options = [option for change in [*changes, f"LABEL made-of={stamp}"] for option in ("--change", change)]
        self("import", "--quiet", *options, tar, image, seconds=300)

    def inspect(self, name, kind="container"):
        """What Podman knows of it."""
        return json.loads(self(kind, "inspect", name))[0]

    def build_image(self):
        """Builds the Dockerfile, offline, with this machine's toolchain and crates; returns the image's name."""
        toolchain = run_program(["rustc", "--print", "sysroot"], cwd=ROOT).strip()
        crates = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry"
        check(crates.is_dir(), f"no crates in {crates}: cargo fetch brings them")
        variables = {"PATH": "/usr/local/toolchain/bin:/usr/bin:/bin", "CARGO_HOME": "/usr/local/cargo",
                     "CARGO_NET_OFFLINE": "true", **QUICK_BUILD}
        self.bring("docker.io/library/rust:1-bookworm", tool("packages", "build.tar"),
                   *(f"ENV {key}={value}" for key, value in variables.items()))
        build = ["build", "--quiet", "--pull-never", "--format", "docker", "--network", "none", "--layers",
                 "--volume", f"{toolchain}:/usr/local/toolchain:ro", "--volume", f"{crates}:/usr/local/cargo/registry:ro",
                 "--build-arg", f"REVISION={REVISION}"]
        # The build stage gets a name so that its layers stay, and what it replaces can go.
        self(*build, "--target", "build", "--tag", "localhost/build-stage", ROOT, seconds=900)
        self(*build, "--tag", IMAGE, ROOT, seconds=120)
        self("image", "prune", "--force")
        return IMAGE


class Container:
    """A container that was started."""

    def __init__(self, podman, name):
        self.podman, self.name = podman, name

    def logs(self):
        """Both outputs."""
        return self.podman.succeeds("logs", self.name)[1]

    def execute(self, *command, seconds=60):
        """Whether a command in it ends with 0, and what that printed."""
        return self.podman.succeeds("exec", self.name, *command, seconds=seconds)

    def health(self):
        """What the image's HEALTHCHECK says now. Timers would be systemd's, so it is run from here."""
        self.podman.succeeds("healthcheck", "run", self.name)
        state = self.podman.inspect(self.name)["State"]
        return (state.get("Health") or state.get("Healthcheck"))["Status"]

    def wait_healthy(self, seconds=60):
        """Until it is."""
        try:
            wait_until(f"{self.name} is healthy", lambda: self.health() == "healthy", seconds)
        except Failed as failure:
            raise Failed(f"{failure}\n{self.logs()[-3000:]}") from None
