#!/usr/bin/env bash
# One would guess: what `airflow connections export` writes, `airflow connections import` reads.
# What happens: an export in the `env` format with connections as JSON is taken for a URI. The import reports success,
# and leaves a connection without a type, host or password, whose whole JSON text is its schema.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False

airflow() { "$work/venv/bin/airflow" "$@" 2>>"$work/log" || { cat "$work/log"; exit 1; }; }
airflow version
airflow db migrate >>"$work/log"
airflow connections add one --conn-type generic --conn-host service.example --conn-extra '{"region": "eu"}' >>"$work/log"
airflow connections export "$work/all.env" --file-format env --serialization-format json >>"$work/log"
airflow connections delete one >>"$work/log"
airflow connections import "$work/all.env" | tail -1
airflow connections get one --output json >"$work/one.json"

"$work/venv/bin/python" - "$work/one.json" <<'EOF'
import json
import sys

(one,) = json.load(open(sys.argv[1]))
for name in ("conn_type", "host", "schema", "extra_dejson"):
    print(f"{name}: {one[name]!r}")
assert (one["conn_type"], one["host"], one["extra_dejson"]) == ("", "", {})
assert one["schema"].startswith('"conn_type": "generic"')
EOF
# Seen:
#   3.3.2
#   Imported connection one
#   conn_type: ''
#   host: ''
#   schema: '"conn_type": "generic", "description": null, "login": null, "password": null, "host": "service.example", ...
#   extra_dejson: {}
