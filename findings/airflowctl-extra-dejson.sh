#!/usr/bin/env bash
# One would guess: `airflowctl connections import` reads the files that `airflow connections import` and the local
# secrets backend read.
# What happens: of `extra_dejson`, which both of those take, it sends nothing; it reports success. The connection then
# runs on defaults, such as another region.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow-ctl==0.1.5"
export AIRFLOW_HOME="$work" AIRFLOW_CLI_TOKEN=any

cat >"$work/connections.json" <<'EOF'
{"one": {"conn_type": "generic", "host": "service.example", "extra_dejson": {"region": "eu"}}}
EOF
env -u http_proxy -u HTTP_PROXY "$work/venv/bin/python" - "$work" <<'EOF'
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

work, sent = Path(sys.argv[1]), []


class Airflow(BaseHTTPRequestHandler):
    """As much of Airflow's API as the command needs."""

    def do_PATCH(self):
        sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"create": {"success": ["one"], "errors": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Airflow)
threading.Thread(target=server.serve_forever, daemon=True).start()
(work / "production.json").write_text(json.dumps({"api_url": f"http://127.0.0.1:{server.server_port}"}))
command = [work / "venv/bin/airflowctl", "connections", "import", work / "connections.json"]
print("airflowctl", version("apache-airflow-ctl"))
print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
(one,) = sent[0]["actions"][0]["entities"]
print("sent:", {name: value for name, value in one.items() if value})
assert one["host"] == "service.example"
assert "eu" not in json.dumps(sent)
EOF
# Seen:
#   airflowctl 0.1.5
#   Successfully imported ['one'] connection(s)
#   sent: {'connection_id': 'one', 'conn_type': 'generic', 'host': 'service.example'}
