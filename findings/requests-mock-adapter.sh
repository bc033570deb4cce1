#!/usr/bin/env bash
# One would guess: inside `requests_mock.Mocker()`, nothing that `requests` sends reaches the network.
# What happens: only `Session.send` is replaced. A client that fetches a session's adapter and sends through it, as
# those do that steer redirects or streaming themselves, calls the real host from a test, with its real token.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "requests==2.34.2" "requests-mock==1.12.1"

env -u http_proxy -u HTTP_PROXY "$work/venv/bin/python" - <<'EOF'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import requests
import requests_mock


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"the real server")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
print("requests-mock", version("requests-mock"))
with requests_mock.Mocker() as mocker, requests.Session() as session:
    mocker.get(url, text="the mock")
    prepared = session.prepare_request(requests.Request("GET", url))
    by_session = session.send(prepared).text
    by_adapter = session.get_adapter(url).send(prepared).text
print("session.send:                     ", by_session)
print("session.get_adapter(url).send:    ", by_adapter)
assert (by_session, by_adapter) == ("the mock", "the real server")
EOF
# Seen:
#   requests-mock 1.12.1
#   session.send:                      the mock
#   session.get_adapter(url).send:     the real server
