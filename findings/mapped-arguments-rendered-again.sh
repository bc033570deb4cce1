#!/usr/bin/env bash
# One would guess: what a mapped task receives from an upstream task is data, and `expand` and `expand_kwargs` treat it
# alike.
# What happens: `expand` passes it on, and so does an argument that is an upstream task's output. `expand_kwargs` reads
# its strings as templates: `a{{ 7 * 7 }}b`, a valid password, arrives as `a49b`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
mkdir -p "$AIRFLOW_HOME/dags"

cat >"$AIRFLOW_HOME/dags/again.py" <<'EOF'
from importlib.metadata import version

from airflow.sdk import DAG, BaseOperator, task

TEXT = "a{{ 7 * 7 }}b"


class Show(BaseOperator):
    template_fields = ("value",)

    def __init__(self, *, value, **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def execute(self, context):
        print(f"{self.task_id:14} receives {self.value}")
        assert self.value == ("a49b" if self.task_id == "expand_kwargs" else TEXT)


@task
def text():
    return TEXT


@task
def texts():
    return [TEXT]


@task
def arguments():
    return [{"value": TEXT}]


with DAG("again", schedule=None) as dag:
    shows = [
        Show(task_id="argument", value=text()),
        Show.partial(task_id="expand").expand(value=texts()),
        Show.partial(task_id="expand_kwargs").expand_kwargs(arguments()),
    ]

if __name__ == "__main__":
    print("Airflow", version("apache-airflow"))
    assert str(dag.test().state) == "success"
EOF
"$work/venv/bin/airflow" db migrate >"$work/log" 2>&1
"$work/venv/bin/python" "$AIRFLOW_HOME/dags/again.py"
# Seen, in any order:
#   Airflow 3.3.2
#   argument       receives a{{ 7 * 7 }}b
#   expand         receives a{{ 7 * 7 }}b
#   expand_kwargs  receives a49b
