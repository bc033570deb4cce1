"""One wait for each connection named by the environment."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

with DAG("waits_workato", schedule=None):
    WorkatoConnectionSensor.partial(
        task_id="wait",
        deferrable=True,
        end_from_trigger=True,
        poke_interval=float(os.environ["BENCH_INTERVAL"]),
        timeout=3600,
    ).expand(connection_id=[int(number) for number in os.environ["BENCH_CONNECTION_IDS"].split()])
