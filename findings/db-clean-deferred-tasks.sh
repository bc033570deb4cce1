#!/usr/bin/env bash
# One would guess: `airflow db clean` removes what is over, and leaves what a running DAG run still needs.
# What happens: it removes triggers by their age, also those that a deferred task waits for, and with the trigger the
# database removes the task instance. Nothing is failed or retried: the task of the running run is gone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False
mkdir -p "$AIRFLOW_HOME/dags"

cat >"$AIRFLOW_HOME/dags/waits.py" <<'EOF'
from datetime import timedelta

from airflow.sdk import DAG
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor

with DAG("waits", schedule=None):
    TimeDeltaSensor(task_id="wait", delta=timedelta(days=90), deferrable=True)
EOF
airflow() { "$work/venv/bin/airflow" "$@" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }
airflow db migrate
airflow dags reserialize
airflow dags trigger waits

# The task has been deferred for 40 days; the triggers of the last 30 days are to be kept.
"$work/venv/bin/python" - <<'EOF'
from datetime import UTC, datetime, timedelta

from airflow.models import TaskInstance, Trigger
from airflow.utils.session import create_session

with create_session() as session:
    classpath = "airflow.providers.standard.triggers.temporal.TimeDeltaTrigger"
    trigger = Trigger(classpath=classpath, kwargs={"delta": timedelta(days=90)})
    trigger.created_date = datetime.now(UTC) - timedelta(days=40)
    session.add(trigger)
    session.flush()
    (task,) = session.query(TaskInstance)
    task.state, task.trigger_id, task.next_method = "deferred", trigger.id, "execute_complete"
    task.dag_run.state = "running"
EOF
tasks() {
    "$work/venv/bin/python" - <<'EOF'
from airflow.models import TaskInstance
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session

with create_session() as session:
    print([str(run.state) for run in session.query(DagRun)], [str(task.state) for task in session.query(TaskInstance)])
EOF
}
"$work/venv/bin/airflow" version
before=$(tasks)
month_ago=$("$work/venv/bin/python" -c 'import datetime as d; print(d.datetime.now(d.UTC) - d.timedelta(days=30))')
airflow db clean --tables trigger --clean-before-timestamp "$month_ago" --skip-archive --yes
after=$(tasks)
echo "runs and their tasks before: $before, after: $after"
[[ $before == "['running'] ['deferred']" && $after == "['running'] []" ]]
# Seen:
#   3.3.2
#   runs and their tasks before: ['running'] ['deferred'], after: ['running'] []
