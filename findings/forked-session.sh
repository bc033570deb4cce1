#!/usr/bin/env bash
# One would guess: after a fork, a `requests.Session` opens its own connections, or at least notices that it is in
# another process.
# What happens: parent and children write requests into one kept-alive socket, and each answer goes to whoever reads
# first: the parent is handed the child's answer, with status 200 and no error anywhere. A session belongs to one process.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "requests==2.34.2" "urllib3==2.8.0"

env -u http_proxy -u HTTP_PROXY "$work/venv/bin/python" - <<'EOF'
import os
import select
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
import urllib3

the_child_asked, the_parent_is_served = threading.Event(), threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rbufsize = 0

    def do_GET(self):
        if self.path == "/child":
            # Let the child wait, as a busy machine might, until the parent has asked, too.
            os.kill(int(self.headers["X-Process"]), signal.SIGSTOP)
            the_child_asked.set()
            select.select([self.connection], [], [])
        elif self.path == "/parent":
            the_parent_is_served.wait()
        body = f"the answer to {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
print("requests", requests.__version__, "urllib3", urllib3.__version__)
session = requests.Session()
session.get(f"{url}/before")  # The socket is kept alive.
child = os.fork()
if child == 0:
    answer = session.get(f"{url}/child", headers={"X-Process": str(os.getpid())})
    print("the child asked for /child and was given", answer.text, flush=True)
    os._exit(answer.text != "the answer to /parent")
the_child_asked.wait()
answer = session.get(f"{url}/parent")
print("the parent asked for /parent and was given", answer.text, flush=True)
the_parent_is_served.set()
os.kill(child, signal.SIGCONT)
_, status = os.waitpid(child, 0)
assert answer.text == "the answer to /child"
assert status == 0
EOF
# Seen:
#   requests 2.34.2 urllib3 2.8.0
#   the parent asked for /parent and was given the answer to /child
#   the child asked for /child and was given the answer to /parent
