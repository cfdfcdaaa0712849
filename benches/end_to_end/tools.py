"""Building what is measured, and saying on what it was measured."""

import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GO_PACKAGES = "golang-go golang-github-prometheus-client-golang-dev"
GO_SOURCES = Path("/usr/share/gocode")


class Missing(Exception):
    """Something has to be installed or repaired first; the message says what."""


def say(words):
    """Shows how far it has come."""
    print(words, file=sys.stderr, flush=True)


def output(*command, **more):
    """What a command prints on stdout."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True, **more)
    if done.returncode:
        raise Missing(f"failed with {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def target():
    """Where cargo builds."""
    if not shutil.which("cargo"):
        raise Missing("cargo is missing: install Rust (stable) with rustup")
    metadata = output("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1")
    return Path(json.loads(metadata)["target_directory"])


def build_rust():
    """Builds the servers and scrapers in Rust; their program."""
    say("building bench_http")
    output("cargo", "build", "--locked", "--release", "--example", "bench_http")
    return target() / "release/examples/bench_http"


def build_go(folder):
    """Builds the server on client_golang from Debian's packages; its program."""
    if not shutil.which("go") or not (GO_SOURCES / "src/github.com/prometheus/client_golang").is_dir():
        raise Missing(f"Go or client_golang is missing. On Debian: apt-get install {GO_PACKAGES}\n"
                      "or leave them out with --without-go")
    say("building client_golang")
    program = folder / "client_golang"
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": str(GO_SOURCES), "GOFLAGS": ""}
    output("go", "build", "-o", program, ROOT / "benches/go/main.go", env=environment)
    return program


def locked_version(crate):
    """The version of a crate in Cargo.lock."""
    lines = (ROOT / "Cargo.lock").read_text().splitlines()
    return lines[lines.index(f'name = "{crate}"') + 1].split('"')[1]


def package_version(package):
    """The version of a Debian package."""
    return output("dpkg-query", "-W", "-f", "${Version}", package)


def machine():
    """One line on the machine, its load, and when."""
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    day = datetime.now(timezone.utc).date()
    return (f"{day}, {len(names)} × {names[0] if names else platform.machine()}, {memory:.0f} GiB, "
            f"{platform.system()} {platform.release()}, load at the start {load:.1f}; "
            f"revision {output('git', 'rev-parse', '--short', 'HEAD').strip()}")


def versions(*crates):
    """The compiler and these crates, with their versions."""
    rust = output("rustc", "--version").split()[1]
    return ", ".join([f"rustc {rust}", *(f"{crate} {locked_version(crate)}" for crate in crates)])
