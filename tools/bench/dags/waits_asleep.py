"""As many waits that do nothing: what they cost is Airflow's own."""

from __future__ import annotations

import os

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG

with DAG("waits_asleep", schedule=None):
    DateTimeSensorAsync.partial(task_id="wait").expand(
        target_time=[os.environ["BENCH_UNTIL"] for _ in os.environ["BENCH_CONNECTION_IDS"].split()]
    )
