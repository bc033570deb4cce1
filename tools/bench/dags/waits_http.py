"""The same waits with the sensor of the HTTP provider."""

from __future__ import annotations

import os

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

with DAG("waits_http", schedule=None):
    # No response_check: with one, HttpSensor stays on its worker although it is deferrable.
    HttpSensor.partial(
        task_id="wait",
        http_conn_id="workato_http",
        endpoint="api/connections",
        deferrable=True,
        poke_interval=float(os.environ["BENCH_INTERVAL"]),
        timeout=3600,
    ).expand(
        request_params=[
            {"external_id": external_id} for external_id in os.environ["BENCH_EXTERNAL_IDS"].split()
        ]
    )
