#!/usr/bin/env bash
# One would guess: `max_active_runs=1` of a DAG means that never more than one run of it is active, so that tasks of
# two runs cannot do the same thing at the same time.
# What happens: a backfill has a limit of its own, 10 unless told otherwise, and does not look at the DAG's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False AIRFLOW__CORE__PARALLELISM=1
mkdir -p "$AIRFLOW_HOME/dags"

# The pool has no slots, so that no run ends while they are counted.
cat >"$AIRFLOW_HOME/dags/one_at_a_time.py" <<'EOF'
from datetime import datetime

from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG("one_at_a_time", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1):
    BashOperator(task_id="wait", bash_command="true", pool="closed")
EOF
airflow() { "$work/venv/bin/airflow" "$@" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }
airflow db migrate
airflow pools set closed 0 "no slots"
airflow dags reserialize
airflow backfill create --dag-id one_at_a_time --from-date 2026-01-01 --to-date 2026-01-07
airflow scheduler --num-runs 20

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from airflow.models.backfill import Backfill
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session

with create_session() as session:
    (of_the_dag,) = session.scalars(DagModel.__table__.select().with_only_columns(DagModel.max_active_runs))
    (of_the_backfill,) = (row.max_active_runs for row in session.query(Backfill))
    running = session.query(DagRun).filter_by(run_type="backfill", state="running").count()
print("Airflow", version("apache-airflow"))
print(f"limit of the DAG: {of_the_dag}, of the backfill: {of_the_backfill}; runs at once: {running}")
assert (of_the_dag, of_the_backfill, running) == (1, 10, 7)
EOF
# Seen:
#   Airflow 3.3.2
#   limit of the DAG: 1, of the backfill: 10; runs at once: 7
