"""Idle connections, slow heads, readers that do not read, a thousand scrapes at once and requests that are none, all at the
same time: a scraper gets its page of 50,000 series within 250 ms (p99), and the memory stays below 192 MiB (F1-F5)."""

import gzip
import http.client
import multiprocessing
import os
import resource
import selectors
import socket
import time

from harness import DOMAINS, check, run, wait_until

SERIES, IDLE, LAZY, BURST, QUIET_SCRAPES = 50_000, 10_000, 1_000, 1_000, 50
SECONDS, P99_MILLISECONDS, MEMORY_MIB = 30, 250, 192
SETTINGS = """
poll: {interval: 5s, sweep_interval: 1h, sweep_lookback: 2h, horizon: 3h, initial_lookback: 2h, max_requests_per_second: 100}
series: {hold_max: 0s}
"""
LOST = 60
FILES = 20_000
QUIET = "platform: {domains: [{name: push.one.example.com, apps: [{name: live, streams: [{names: [room]}]}]}]}"
ASK = b"GET /metrics HTTP/1.1\r\nHost: a\r\nUser-Agent: lazy\r\n\r\n"
WRONG = [
    b"GET /metrics\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"G\x01T / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 10_000 + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET /%2e%2e/%00 HTTP/1.1\r\nHost: a\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
]


def step_back():
    """Attackers have machines of their own: here they must not take the one that is attacked from it."""
    os.nice(10)


def connect(address, source):
    """A connection from one of many addresses, which takes little at a time; none if it is refused."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    try:
        connection.bind((f"127.0.{source >> 6 & 63}.{source & 63 | 1}", 0))
        connection.connect(address)
    except OSError:
        connection.close()
        return None
    return connection


def send(connection, data):
    """Whoever is cut off need not be sent the rest."""
    try:
        connection.sendall(data)
        return True
    except OSError:
        return False


def idlers(address, ready):
    """Ten thousand that say nothing, and never let go."""
    step_back()
    held = [connect(address, n) for n in range(IDLE)]
    ready.put(("idle", sum(one is not None for one in held)))
    time.sleep(600)


def lazy_readers(address, ready):
    """A thousand at a time that ask for the page and do not read it; whoever is cut off is back at once."""
    step_back()
    asked, held = 0, []
    while True:
        for n in range(LAZY):
            if (one := connect(address, n)) and send(one, ASK):
                held.append(one)
                asked += 1
        ready.put(("lazy", asked))
        time.sleep(2)
        for one in held[:-LAZY]:
            one.close()
        del held[:-LAZY]


def tricklers(address, ready):
    """Heads that grow by a byte a second and never end."""
    step_back()
    held = [one for n in range(200) if (one := connect(address, n)) and send(one, b"GET / HTTP/1.1\r\nX: ")]
    ready.put(("slow heads", len(held)))
    while True:
        time.sleep(1)
        held = [one if send(one, b"x") else connect(address, n) or one for n, one in enumerate(held)]


def bursts(address, ready):
    """A thousand scrapes at the same moment, every five seconds, and what is no request in between."""
    step_back()
    while True:
        selector = selectors.DefaultSelector()
        burst = [one for n in range(BURST) if (one := connect(address, n))]
        for one in burst:
            send(one, ASK.replace(b"\r\n\r\n", b"\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"))
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ)
        ready.put(("burst", len(burst)))
        until = time.monotonic() + 5
        while selector.get_map() and time.monotonic() < until:
            for key, _ in selector.select(1):
                try:
                    if key.fileobj.recv(1 << 20):
                        continue
                except OSError:
                    pass
                selector.unregister(key.fileobj)
        for one in burst:
            one.close()
        for n, wrong in enumerate(WRONG * 20):
            if one := connect(address, n):
                send(one, wrong)
                one.close()


def publish(simulator):
    """Disconnects of as many streams as there are to be series, over the last hour."""
    now = int(time.time())
    for first in range(0, SERIES, 2_000):
        simulator.publish([
            {"domain": "push.one.example.com", "app": "live", "stream": f"room_{n:06}",
             "start": now - 3600 + n % 3400 - 60, "end": now - 3600 + n % 3400} for n in range(first, first + 2_000)])


def scrape(connection):
    """One scrape as Prometheus makes it: the seconds it took, and the page."""
    began = time.monotonic()
    connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip", "User-Agent": "Prometheus/3.5.0"})
    answer = connection.getresponse()
    body = answer.read()
    took = time.monotonic() - began
    check(answer.status in (200, 503), f"a scrape got {answer.status}")
    # A scrape that is sent away is lost, which is longer than any other takes.
    return (took if answer.status == 200 else LOST), body


def scraped(host, port, connection):
    """A scrape over the connection there is, or over a new one where the server has closed it meanwhile."""
    began = time.monotonic()
    while True:
        try:
            took, body = scrape(connection)
            return (LOST if took == LOST else time.monotonic() - began), body, connection
        except (OSError, http.client.HTTPException):
            check(time.monotonic() < began + 10, "no scrape gets through within 10 s")
            connection.close()
            connection = http.client.HTTPConnection(host, port, timeout=10)


def resident(process):
    """Resident memory in MiB, now and at the most."""
    status = dict(line.split(":", 1) for line in open(f"/proc/{process.child.pid}/status"))
    return [int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM")]


def test(stage):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < FILES and os.geteuid() == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, FILES))
        hard = FILES
    check(hard > IDLE + 1_000 or hard == resource.RLIM_INFINITY, f"{IDLE} connections need as many open files, {hard} are allowed")
    simulator = stage.simulator(QUIET)
    publish(simulator)
    exporter = stage.exporter(simulator, SETTINGS).wait_ready()
    wait_until(f"{SERIES} series", lambda: exporter.value("tencent_live_exporter_series") >= SERIES, 120)
    before = resident(exporter.process)
    # Whoever attacks may have more files than whoever is attacked.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host, port = exporter.address.rsplit(":", 1)
    told = multiprocessing.Queue()
    attackers = [multiprocessing.Process(target=attack, args=((host, int(port)), told), daemon=True)
                 for attack in (idlers, lazy_readers, tricklers, bursts)]
    times, reconnects, page, happened = [], 0, b"", {}
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    scrape(connection)
    quiet = []
    for _ in range(QUIET_SCRAPES):
        quiet.append(scrape(connection)[0])
        time.sleep(0.1)
    usual = max(quiet) * 1000
    try:
        # Those that say nothing come first, since so many take a while; the others while they are there.
        attackers[0].start()
        until = None
        while until is None or time.monotonic() < until:
            while not told.empty():
                kind, count = told.get()
                happened[kind] = max(happened.get(kind, 0), count)
            if "idle" in happened and until is None:
                for attacker in attackers[1:]:
                    attacker.start()
                until = time.monotonic() + SECONDS
            took, body, now = scraped(host, int(port), connection)
            times.append(took)
            page = body if took < LOST else page
            reconnects += now is not connection
            connection = now
            time.sleep(0.1)
    finally:
        for attacker in attackers:
            if attacker.pid:
                attacker.kill()
    check(set(happened) == {"idle", "lazy", "slow heads", "burst"}, f"not every attack took place: {happened}")
    check(gzip.decompress(page).count(b"tencent_live_stream_disconnects_total{") >= SERIES, "the page is not whole")
    times.sort()
    p99, worst = times[len(times) * 99 // 100] * 1000, times[-1] * 1000
    now, most = resident(exporter.process)
    print(f"{len(times)} scrapes of {SERIES} series, half within {times[len(times) // 2] * 1000:.0f} ms, p99 {p99:.0f} ms, "
          f"longest {worst:.0f} ms (before the attack {usual:.0f} ms), {times.count(LOST)} lost, {reconnects} reconnects; "
          f"memory {before[0]:.0f} MiB before, {now:.0f} after, at the most {most:.0f}; {happened}", flush=True)
    check(len(times) >= 100, f"{len(times)} scrapes")
    check(p99 < P99_MILLISECONDS, f"p99 is {p99:.0f} ms, {usual:.0f} ms without an attack")
    check(most < MEMORY_MIB, f"memory was {most:.0f} MiB")
    # What the attackers have left in the queue may still be answered.
    wait_until("polls go on", lambda: exporter.value("tencent_live_up") == 1, 30)
    check(exporter.totals(DOMAINS, "domain")[("push.one.example.com",)] == SERIES, "a disconnect is missing")


if __name__ == "__main__":
    run(test)
