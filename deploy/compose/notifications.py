"""Prints what Alertmanager sends to a webhook, one line for each alert, as somebody on call would read it.

With the argument `healthcheck` it asks the one that runs instead, and fails unless that answers.
"""

import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        try:
            alerts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"]
            for alert in alerts:
                labels, notes = alert["labels"], alert["annotations"]
                print(alert["startsAt"][:19], alert["status"].upper(), labels.get("severity", "-"), labels["alertname"],
                      notes.get("summary", ""), notes.get("records", ""))
        except (ValueError, KeyError, TypeError) as error:
            self.send_error(400, str(error))
            return
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Not every request is a line."""


if sys.argv[1:] == ["healthcheck"]:
    urllib.request.urlopen("http://127.0.0.1:8080/", timeout=3)
    sys.exit()
ThreadingHTTPServer(("", 8080), Webhook).serve_forever()
