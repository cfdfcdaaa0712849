"""The JSON API is what its own OpenAPI file says, as schemathesis sees it.

schemathesis reads `/api/v1/openapi.yaml` from the running exporter, makes requests of it, good ones and bad ones, and holds
every answer against the file: status, headers, content type and schema, that what the file allows is taken and what it
forbids is refused, and that no method beyond the file's is answered.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Failed, check, get, run, wait_until

SCENARIO = """
platform: {domains: [{name: push.one.example.com, apps: [{name: live, streams: [{pattern: "room_{}", count: 40}]}]}]}
traffic: {disconnects_per_minute: 600, history: 10m}
"""
SETTINGS = "poll: {interval: 1s, sweep_interval: 5s, max_requests_per_second: 50}\nseries: {hold_max: 1s}\n"
EXAMPLES, SEED = 120, 20260101
# A quiet machine needs less than a minute.
SECONDS = 300


def schemathesis(exporter, folder):
    """Runs it and returns what it prints; only loopback is asked."""
    program = Path(sys.executable).parent / "schemathesis"
    check(program.exists(), "schemathesis is missing: tests/run installs it")
    command = [
        program, "run", f"{exporter.url}/api/v1/openapi.yaml", "--checks", "all", "--mode", "all",
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(SEED),
        "--continue-on-failure", "--no-color",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8", "COLUMNS": "120"}
    try:
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS,
                             check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"schemathesis was not done after {SECONDS} s") from late
    return ran.returncode, ran.stdout + ran.stderr


def test(stage):
    simulator = stage.simulator(SCENARIO)
    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    wait_until("there are records", lambda: b"room_" in get(f"{exporter.url}/api/v1/disconnects?limit=1")[0], 60)
    with tempfile.TemporaryDirectory() as folder:
        code, output = schemathesis(exporter, folder)
    check(code == 0, f"schemathesis found something (exit {code}):\n{output[-6000:]}")
    cases = re.search(r"(\d+) generated", output)
    check(cases and int(cases[1]) > 200, f"it has tried too little:\n{output[-2000:]}")
    check(exporter.value("tencent_live_up") == 1, "the exporter goes on")
    print(f"schemathesis: {cases[1]} requests made of the OpenAPI file, every answer as it says")


if __name__ == "__main__":
    run(test)
