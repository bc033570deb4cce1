#!/usr/bin/env bash
# One would guess: a proxy given to `requests` goes before one from the environment, and `all` stands for every scheme.
# What happens: `http_proxy` of the environment goes before `{"all": ...}` of a call, and before everything that a
# session's `proxies` say. Requests, and the tokens in them, go through a proxy that nobody named in the code.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "requests==2.34.2"

env -u no_proxy -u NO_PROXY -u HTTP_PROXY -u all_proxy -u ALL_PROXY "$work/venv/bin/python" - <<'EOF'
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


def proxy(name):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


given = proxy("the given proxy")
os.environ["http_proxy"] = proxy("the environment's proxy")
url = "http://service.example/"
taken = {}
for key in ("http", "all"):
    taken["call", key] = requests.get(url, proxies={key: given}).text
    with requests.Session() as session:
        session.proxies = {key: given}
        taken["session", key] = session.get(url).text
print("requests", requests.__version__)
for (where, key), name in taken.items():
    print(f"{key!r} for a {where}: {name}")
assert [place for place, name in taken.items() if name == "the given proxy"] == [("call", "http")]
EOF
# Seen:
#   requests 2.34.2
#   'http' for a call: the given proxy
#   'http' for a session: the environment's proxy
#   'all' for a call: the environment's proxy
#   'all' for a session: the environment's proxy
