#!/usr/bin/env bash
# One would guess: a public class of Airflow's task SDK has the same methods in every patch release of a minor.
# What happens: the asset state store, which came with 3.3.0, can be awaited only since 3.3.2 (task SDK 1.3.2). A
# trigger that was written and tested on 3.3.2 raises `AttributeError` at its first poll on 3.3.0 and 3.3.1, and
# "Airflow >= 3.3" is no sufficient requirement for it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
export AIRFLOW_HOME="$work/airflow"

for release in 3.3.0 3.3.1 3.3.2; do
    "$work/venv/bin/python" -m pip install -qq "apache-airflow==$release"
    "$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from airflow.sdk.execution_time import context

store = context.AssetStateStoreAccessor
missing = [name for name in ("get", "set", "aget", "aset") if not hasattr(store, name)]
release = version("apache-airflow")
print(f"Airflow {release}, task SDK {version('apache-airflow-task-sdk')}: missing {missing}")
assert missing == ([] if release == "3.3.2" else ["aget", "aset"])
EOF
done
# Seen:
#   Airflow 3.3.0, task SDK 1.3.0: missing ['aget', 'aset']
#   Airflow 3.3.1, task SDK 1.3.1: missing ['aget', 'aset']
#   Airflow 3.3.2, task SDK 1.3.2: missing []
