#!/usr/bin/env bash
# One would guess: with a custom XCom backend, whatever Airflow writes into XComs passes the backend.
# What happens: the return value and `xcom_push` do; the addresses of an operator's links are stored as they are, past
# the backend. An operator that pushes such an address itself, to show its link earlier, stores something else: with an
# object-storage backend the button then leads to `s3://...`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export PYTHONPATH="$work" AIRFLOW__CORE__XCOM_BACKEND=elsewhere.Elsewhere
mkdir -p "$AIRFLOW_HOME/dags"

cat >"$work/elsewhere.py" <<'EOF'
from airflow.sdk.bases.xcom import BaseXCom


class Elsewhere(BaseXCom):
    @staticmethod
    def serialize_value(value, **where):
        return BaseXCom.serialize_value("s3://bucket/object")
EOF
cat >"$AIRFLOW_HOME/dags/links.py" <<'EOF'
from importlib.metadata import version

from airflow.sdk import DAG, BaseOperator, BaseOperatorLink


class Open(BaseOperatorLink):
    name = "Open"
    xcom_key = "open_link"

    def get_link(self, operator, *, ti_key):
        return "https://service.example/7"


class Create(BaseOperator):
    operator_extra_links = (Open(),)

    def execute(self, context):
        context["ti"].xcom_push("pushed", "https://service.example/7")
        return "https://service.example/7"


with DAG("links", schedule=None) as dag:
    Create(task_id="create")

if __name__ == "__main__":
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    assert str(dag.test().state) == "success"
    print("Airflow", version("apache-airflow"))
    with create_session() as session:
        stored = dict(session.query(XComModel.key, XComModel.value).all())
    for key, value in sorted(stored.items()):
        print(f"{key:12} is stored as {value}")
    past_the_backend = {key for key, value in stored.items() if "s3://" not in str(value)}
    assert past_the_backend == {"open_link"}, past_the_backend
EOF
"$work/venv/bin/airflow" db migrate >"$work/log" 2>&1
"$work/venv/bin/python" "$AIRFLOW_HOME/dags/links.py"
# Seen:
#   Airflow 3.3.2
#   open_link    is stored as https://service.example/7
#   pushed       is stored as s3://bucket/object
#   return_value is stored as s3://bucket/object
