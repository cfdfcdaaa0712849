"""What curl, Python, Go and zstd unpack is the page, whatever its format, and a filtered page is part of it.

Each format is asked for plain, in gzip and in zstd while nothing moves. curl unpacks what it asked for itself; Python's gzip
and zstandard, Go's gzip, klauspost's gzip and zstd (which newer Prometheus servers have) and the reference implementation of
zstd unpack the bytes as they came. All give the same page but for what changes from scrape to scrape. The page is larger than
a block, so that each coding has many parts.
"""

import gzip
import io
import os
import subprocess

import zstandard

from harness import ROOT, STREAMS, check, get, program, run, wait_until

FORMATS = {
    "text": "text/plain;version=0.0.4",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}
SCENARIO = "platform: {domains: [{name: push.one.example.com}]}\n"
SETTINGS = "poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}\nseries: {hold_max: 1s}\n"
EVENTS = 1500
FILTER = "?name[]=tencent_live_stream_disconnects_total&name%5B%5D=tencent_live_disconnects_total"


def build_go(folder):
    """The readers in Go, built with Debian's packages."""
    unpack = folder / "unpack"
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOCACHE": str(folder / "go")}
    subprocess.run([program("GO", "go"), "build", "-o", unpack, ROOT / "tests/real/unpack/main.go"], env=environment, check=True)
    return unpack


def unpack(coding, body, go):
    """The body by programs that share nothing with the exporter, by reader."""
    def piped(*command):
        done = subprocess.run([str(word) for word in command], input=body, capture_output=True)
        check(done.returncode == 0, f"{command}: {done.stderr.decode()}")
        return done.stdout
    if coding == "gzip":
        return {"Python": gzip.decompress(body), "Go": piped(go, "gzip"), "klauspost": piped(go, "klauspost-gzip")}
    if coding == "zstd":
        python = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body), read_across_frames=True).read()
        return {"Python": python, "klauspost": piped(go, "klauspost-zstd"),
                "zstd": piped(program("ZSTD", "zstd"), "-d", "-c", "-q")}
    return {"nobody": body}


def curl(url, accept, coding):
    """The page as curl unpacks it, and the coding it came in."""
    command = [program("CURL", "curl"), "--silent", "--show-error", "--fail", "--globoff", "--noproxy", "*", "--compressed",
               "--header", f"Accept: {accept}", "--header", f"Accept-Encoding: {coding}", "--dump-header", "/dev/stderr", url]
    done = subprocess.run(command, capture_output=True)
    check(done.returncode == 0, f"curl, {coding}: exit {done.returncode} {done.stderr.decode()}")
    told = [line.split(": ")[1] for line in done.stderr.decode().lower().split("\r\n")
            if line.startswith("content-encoding: ")]
    return done.stdout, told[0] if told else "identity"


def test(stage):
    go = build_go(stage.folder)
    simulator = stage.simulator(SCENARIO)
    end = simulator.truth()["now"]
    simulator.publish([{"domain": "push.one.example.com", "app": "live", "stream": f"房间 {number}", "start": end - 600,
                        "end": end - number % 500} for number in range(EVENTS)])
    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    wait_until("all is counted and shown", lambda: exporter.value(STREAMS) >= EVENTS, 120)
    exporter.wait_for_rest()

    sizes = []
    for kind, accept in FORMATS.items():
        # Both families change with the next disconnect only, and there is none.
        expected = get(f"{exporter.url}/metrics{FILTER}", {"Accept": accept, "Accept-Encoding": "identity"})[0]
        check(expected.count("房间".encode()) >= EVENTS, f"{kind}: {expected[:200]}")
        for coding in ("identity", "gzip", "zstd"):
            for path in ("", FILTER):
                url = f"{exporter.url}/metrics{path}"
                body, answer = get(url, {"Accept": accept, "Accept-Encoding": coding})
                check((answer["Content-Encoding"] or "identity") == coding, f"coding: {answer['Content-Encoding']}")
                by_curl, told = curl(url, accept, coding)
                check(told == coding, f"curl asked for {coding} and got {told}")
                for reader, page in (unpack(coding, body, go) | {"curl": by_curl}).items():
                    if path:
                        check(page == expected, f"{kind}, {coding} by {reader}: {len(page)} bytes, not {len(expected)}")
                    else:
                        # The two families of the filter are the first of every page.
                        first = expected.removesuffix(b"# EOF\n")
                        check(len(page) > len(first) and page.startswith(first), f"{kind}, {coding} by {reader}")
                        check(b"process_resident_memory_bytes" in page, f"{kind}, {coding} by {reader}: cut short")
            sizes.append(f"{kind} {coding} {len(body)}")
    # What curl asks for by itself.
    body, told = curl(f"{exporter.url}/metrics{FILTER}", "*/*", "deflate, gzip, br, zstd")
    check(told in ("gzip", "zstd") and body.count("房间".encode()) >= EVENTS, f"curl by itself: {told}")
    print(f"{EVENTS} series, bytes on the wire: {', '.join(sizes)}; curl by itself gets {told}")


if __name__ == "__main__":
    run(test)
