"""The DAG that a benchmark runs, which the environment names.

A task's process imports no more than its own operator.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG


def creates() -> None:
    """Create a connection for each external id."""
    from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator

    WorkatoCreateConnectionOperator.partial(
        task_id="create",
        provider="jira",
        input={"host_name": "{{ conn.jira.host }}", "apitoken": "{{ conn.jira.password }}"},
    ).expand_kwargs(
        [{"name": f"JIRA of {name}", "external_id": name} for name in _words("BENCH_EXTERNAL_IDS")]
    )


def waits_workato() -> None:
    """Wait for each connection."""
    from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

    WorkatoConnectionSensor.partial(
        task_id="wait",
        deferrable=True,
        end_from_trigger=True,
        poke_interval=float(os.environ["BENCH_INTERVAL"]),
        timeout=3600,
    ).expand(connection_id=[int(number) for number in _words("BENCH_CONNECTION_IDS")])


def waits_http() -> None:
    """Wait as often with the sensor of the HTTP provider."""
    from airflow.providers.http.sensors.http import HttpSensor

    # No response_check: with one, HttpSensor stays on its worker although it is deferrable.
    HttpSensor.partial(
        task_id="wait",
        http_conn_id="workato_http",
        endpoint="api/connections",
        deferrable=True,
        poke_interval=float(os.environ["BENCH_INTERVAL"]),
        timeout=3600,
    ).expand(request_params=[{"external_id": external_id} for external_id in _words("BENCH_EXTERNAL_IDS")])


def waits_asleep() -> None:
    """Wait as often for a moment, which costs no more than Airflow's own part."""
    from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync

    DateTimeSensorAsync.partial(task_id="wait").expand(
        target_time=[os.environ["BENCH_UNTIL"] for _ in _words("BENCH_CONNECTION_IDS")]
    )


def _words(name: str) -> list[str]:
    return os.environ[name].split()


with DAG(os.environ["BENCH_DAG"], schedule=None) as dag:
    {each.__name__: each for each in (creates, waits_workato, waits_http, waits_asleep)}[dag.dag_id]()
