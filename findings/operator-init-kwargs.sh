#!/usr/bin/env bash
# One would guess: an operator that takes a credential as an argument and keeps only what it needs of it does not hold
# the credential.
# What happens: the base class keeps every argument as it was given, for as long as the task lives. A listener, an error
# reporter or a debugger that records `vars(task)` shows it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow"

"$work/venv/bin/python" - <<'EOF'
import hashlib
from importlib.metadata import version

from airflow.sdk import BaseOperator


class Login(BaseOperator):
    def __init__(self, *, password, **kwargs):
        super().__init__(**kwargs)
        self.digest = hashlib.sha256(password.encode()).hexdigest()


task = Login(task_id="login", password="open sesame")
holders = [name for name, value in vars(task).items() if "open sesame" in repr(value)]
print("Airflow", version("apache-airflow"))
print("the password is in", holders)
assert holders == ["_BaseOperator__init_kwargs"]
EOF
# Seen:
#   Airflow 3.3.2
#   the password is in ['_BaseOperator__init_kwargs']
