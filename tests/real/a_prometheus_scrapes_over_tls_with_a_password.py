"""A real Prometheus scrapes over TLS with a password, by HTTP/2 and by HTTP/1.1, and sees every disconnect.

The web config is given as Prometheus' own programs take it. A Prometheus with a wrong password, and one that does not
believe the certificate, are turned away; curl agrees about the versions of HTTP. Both passwords and the certificate are
then changed under the running exporter, and scraping goes on.
"""

import base64
import ssl
import subprocess
import time
import urllib.request

from harness import STREAMS, check, run, wait_until

SCENARIO = "platform: {domains: [{name: push.one.example.com}]}\n"
SETTINGS = ("poll: {interval: 1s, sweep_interval: 2s, max_requests_per_second: 50}\nseries: {hold_max: 0s}\n")
RELOADED = "tencent_live_exporter_web_config_last_reload_success_timestamp_seconds"


def make_certificate(folder):
    """A new key and a certificate that vouches for itself, as `server.key` and `server.crt`."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "server.key", "-out", folder / "server.crt", "-days", "2", "-subj", "/CN=exporter",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)


def hash_of(stage, password):
    """What the program makes of a password."""
    made = subprocess.run([stage.exporter_binary(), "hash-password", "--cost", "10"], input=password + "\n",
                          capture_output=True, text=True, check=True)
    return made.stdout.strip()


def write_web_config(stage, password):
    """TLS and the user `prometheus`."""
    (stage.folder / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, min_version: TLS13}\n"
        f"basic_auth_users: {{prometheus: '{hash_of(stage, password)}'}}\n")


def job(stage, password, more="", ca="server.crt"):
    """The keys of a scrape job that asks like this."""
    return (f"scheme: https, basic_auth: {{username: prometheus, password: {password}}}, "
            f"tls_config: {{ca_file: {stage.folder / ca}}}{more}")


def curl(stage, exporter, *arguments):
    """What curl says of the HTTP version and the status of the metrics page."""
    asked = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", stage.folder / "server.crt", "-o", "/dev/null", "-w",
                            "%{http_version} %{http_code}", *arguments, f"https://{exporter.address}/metrics"],
                           capture_output=True, text=True, check=False)
    return asked.stdout


def value(stage, exporter, metric, password):
    """The value of a metric without labels."""
    context = ssl.create_default_context(cafile=stage.folder / "server.crt")
    request = urllib.request.Request(f"https://{exporter.address}/metrics")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    for line in opener.open(request, timeout=10).read().decode().splitlines():
        if line.startswith(metric + " "):
            return float(line.split()[1])
    return None


def test(stage):
    make_certificate(stage.folder)
    (stage.folder / "other.crt").write_bytes((stage.folder / "server.crt").read_bytes())
    write_web_config(stage, "first")
    simulator = stage.simulator(SCENARIO)
    exporter = stage.exporter(simulator, SETTINGS, web="config_file: web.yaml")
    wait_until("the exporter listens", exporter.is_listening, 60)

    wait_until("curl is answered", lambda: curl(stage, exporter, "-u", "prometheus:first", "--http2") == "2 200", 60)
    check(curl(stage, exporter, "-u", "prometheus:first", "--http1.1") == "1.1 200", "curl is not answered by HTTP/1.1")
    check(curl(stage, exporter, "-u", "prometheus:wrong") == "2 401", "a wrong password is not refused")
    check(curl(stage, exporter) == "2 401", "nobody is asked for a password")

    by_2 = stage.prometheus(exporter, "1s", "by-http2", scrape=job(stage, "first")).wait_up()
    by_1 = stage.prometheus(exporter, "1s", "by-http1", scrape=job(stage, "first", ", enable_http2: false")).wait_up()
    wrong = stage.prometheus(exporter, "1s", "wrong", scrape=job(stage, "wrong"))

    end = int(time.time()) - 2
    simulator.publish([{"domain": "push.one.example.com", "app": "live", "stream": f"room-{n}", "start": end - 60,
                        "end": end, "reason": "推流链路网络异常"} for n in range(20)])
    for server in (by_2, by_1):
        wait_until("Prometheus sees every disconnect",
                   lambda server=server: sum(server.sums(STREAMS, "stream").values()) == 20, 60)
    wait_until("a wrong password is turned away",
               lambda: [one["value"][1] for one in wrong.query('up{job="exporter"}')] == ["0"], 60)
    told = [target["lastError"] for target in wrong.api("targets")["activeTargets"]]
    check(any("401" in one for one in told), f"Prometheus says why: {told}")

    before = value(stage, exporter, RELOADED, "first")
    wait_until("another second", lambda: time.time() > before + 1, 10)
    make_certificate(stage.folder)
    write_web_config(stage, "second")
    wait_until("the new password and certificate are in use",
               lambda: (value(stage, exporter, RELOADED, "second") or 0) > before, 60)
    stage.prometheus(exporter, "1s", "second", scrape=job(stage, "second")).wait_up()
    doubting = stage.prometheus(exporter, "1s", "doubting", scrape=job(stage, "second", ca="other.crt"))
    wait_until("a certificate that nobody vouches for is not believed",
               lambda: [one["value"][1] for one in doubting.query('up{job="exporter"}')] == ["0"], 60)
    print("2 Prometheis saw 20 disconnects over TLS 1.3 with a password, by HTTP/2 and HTTP/1.1; the new password and "
          "certificate were taken up by the running exporter")


if __name__ == "__main__":
    run(test)
