#!/usr/bin/env bash
# One would guess: what a trigger gives as `xcoms` to a TaskSuccessEvent reaches the next task as what a worker returns.
# What happens: the triggerer's side encodes the value to JSON twice, so the next task receives a string. A trigger that
# ends its task by itself changes the type of the task's result.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq "apache-airflow==3.3.2"
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export AIRFLOW_HOME="$work/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False PATH="$work/venv/bin:$PATH"
export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False AIRFLOW__API__PORT="$port"
export AIRFLOW__API__BASE_URL="http://127.0.0.1:$port"
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL="http://127.0.0.1:$port/execution/"
export PYTHONPATH="$work/airflow/dags"
mkdir -p "$AIRFLOW_HOME/dags"

cat >"$AIRFLOW_HOME/dags/ends.py" <<'PY'
from airflow.sdk import DAG, BaseOperator, task
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent

GIVEN = {"number": 36}


class Ends(BaseTrigger):
    def serialize(self):
        return "ends.Ends", {}

    async def run(self):
        yield TaskSuccessEvent(xcoms={"return_value": GIVEN})


class EndsInTheTriggerer(BaseOperator):
    def execute(self, context):
        self.defer(trigger=Ends(), method_name="resumed")


class EndsOnAWorker(BaseOperator):
    def execute(self, context):
        return GIVEN


with DAG("ends", schedule=None):

    @task
    def received(value):
        return repr(value)

    received.override(task_id="from_triggerer")(EndsInTheTriggerer(task_id="in_triggerer").output)
    received.override(task_id="from_worker")(EndsOnAWorker(task_id="on_worker").output)
PY
airflow db migrate >"$work/log" 2>&1
set -m
airflow standalone >"$work/log" 2>&1 &
trap "kill -- -$!; sleep 2; rm -rf '$work'" EXIT
set +m
for _ in {1..60}; do
    airflow dags trigger ends >/dev/null 2>&1 && break
    sleep 2
done
cat >"$work/read.py" <<'PY'
import json
import os
import sqlite3

with sqlite3.connect(f"{os.environ['AIRFLOW_HOME']}/airflow.db") as database:
    (state,) = database.execute("SELECT state FROM dag_run").fetchone()
    told = database.execute("SELECT task_id, value FROM xcom WHERE task_id LIKE 'from_%' ORDER BY task_id").fetchall()
print(state, *(f"{task_id}: {json.loads(value)}" for task_id, value in told), sep="; ")
PY
for _ in {1..90}; do
    seen=$(python3 "$work/read.py")
    [[ $seen == success* || $seen == failed* ]] && break
    sleep 2
done
airflow version
echo "$seen"
[[ $seen == "success; from_triggerer: '{\"number\": 36}'; from_worker: {'number': 36}" ]]
# Seen:
#   3.3.2
#   success; from_triggerer: '{"number": 36}'; from_worker: {'number': 36}
