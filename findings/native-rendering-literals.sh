#!/usr/bin/env bash
# One would guess: `render_template_as_native_obj=True` lets templates return numbers, lists and dicts, and leaves
# plain text alone.
# What happens: every string of a templated field is read as Python, whether it has a template or not. A password
# `1e5`, a version `123.10` or a text in quotation marks reaches the operator as another value, and the task is green.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow"

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from airflow.sdk import DAG, BaseOperator


class Show(BaseOperator):
    template_fields = ("value",)

    def __init__(self, *, value, **kwargs):
        super().__init__(**kwargs)
        self.value = value


ARRIVES = {
    "'quoted'": "quoted",
    "1e5": 100000.0,
    "0x1F": 31,
    "1_000": 1000,
    "123.10": 123.1,
    "True": True,
    "None": None,
    "1,2": (1, 2),
    '{"a": 1}': {"a": 1},
    "0010": "0010",
    "a,b": "a,b",
    "{{ secret }}": 100000.0,
}
print("Airflow", version("apache-airflow"))
with DAG("native", schedule=None, render_template_as_native_obj=True):
    for number, (written, expected) in enumerate(ARRIVES.items()):
        task = Show(task_id=f"show_{number}", value=written)
        task.render_template_fields({"secret": "1e5"})
        print(f"{written:14} arrives as {task.value!r}")
        assert (type(task.value), task.value) == (type(expected), expected), written
EOF
# Seen:
#   Airflow 3.3.2
#   'quoted'       arrives as 'quoted'
#   1e5            arrives as 100000.0
#   0x1F           arrives as 31
#   1_000          arrives as 1000
#   123.10         arrives as 123.1
#   True           arrives as True
#   None           arrives as None
#   1,2            arrives as (1, 2)
#   {"a": 1}       arrives as {'a': 1}
#   0010           arrives as '0010'
#   a,b            arrives as 'a,b'
#   {{ secret }}   arrives as 100000.0
