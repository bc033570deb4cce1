"""Build the table's DAGs on a real Airflow. Each has its own file, because every task reads its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.operators import connections as operators
from airflow_provider_workato.operators import sets
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.real_airflow.cells import (
    AIRFLOW,
    BESIDE,
    BESIDE_DAG_ID,
    CELLS,
    CONN_ID,
    NATIVE,
    OWNED_DAG_ID,
    PATIENCE,
    RUNS_DAG_ID,
    RUNS_MODES,
    WATCHED_CONN_ID,
    WATCHES,
    Cell,
    Producer,
    Watch,
    producers,
)

task: Any = import_module("airflow.decorators" if AIRFLOW < (3, 0) else "airflow.sdk").task


@task  # type: ignore[untyped-decorator]
def report(value: Any) -> str:
    """Return the type and value of this task's argument as a string, which no XCom backend alters."""
    return _described(value)


@task  # type: ignore[untyped-decorator]
def tell(triggering_asset_events: Any = None) -> str:
    """Return the changes that triggered this run."""
    payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
    return _described([[payload["change"], payload["connection"]["id"]] for payload in payloads])


def _described(value: Any) -> str:
    # Airflow passes the results of a mapped task as a special sequence type.
    if isinstance(value, Sequence) and not isinstance(value, (str, list, tuple)):
        value = list(value)
    return json.dumps({"type": type(value).__name__, "value": value}, default=repr)


def _wrapped(value: Any) -> dict[str, Any]:
    return {"mapped": value}


def dag_of(dag_id: str) -> DAG:
    """Build one DAG.

    :param dag_id: the DAG.
    """
    if watch := next((watch for watch in WATCHES if watch.dag_id == dag_id), None):
        return _watch(watch)
    with _dag(dag_id, render_template_as_native_obj=dag_id.endswith(NATIVE)) as dag:
        if dag_id == RUNS_DAG_ID:
            for mode in RUNS_MODES:
                wait = WorkatoConnectionSensor(
                    task_id=mode.slug,
                    connection_id="{{ run_id }}",
                    workato_conn_id=CONN_ID,
                    **PATIENCE | mode.options,
                )
                report.override(task_id=f"{mode.slug}_report")(wait.output)
        elif dag_id == OWNED_DAG_ID:
            # It waits on its worker: when a task leaves the worker, Airflow itself writes its links.
            made = operators.WorkatoCreateRuntimeUserConnectionOperator(
                task_id="create",
                workato_conn_id=CONN_ID,
                parent_id=36,
                folder_id=4515,
                external_id=OWNED_DAG_ID,
                wait_for_authorization=True,
                **PATIENCE,
            )
            deleted = operators.WorkatoDeleteConnectionOperator(
                task_id="delete", workato_conn_id=CONN_ID, connection_id=made.output
            )
            report(deleted.output)
        elif dag_id == BESIDE_DAG_ID:
            for beside in BESIDE:
                wait = WorkatoConnectionSensor(
                    task_id=beside.task_id,
                    connection_id=beside.number,
                    workato_conn_id=WATCHED_CONN_ID,
                    deferrable=True,
                    **PATIENCE | beside.arguments,
                )
                report.override(task_id=f"{beside.task_id}_report")(wait.output)
        else:
            for producer in producers(dag_id):
                made = _produce(producer)
                for cell in CELLS:
                    if cell.producer == producer:
                        made >> _consume(cell, made.output)
    return dag


def _dag(dag_id: str, **options: Any) -> DAG:
    return DAG(
        dag_id,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_tasks=100,
        default_args={"retries": 0},
        **{"schedule": None, **options},
    )


def _watch(watch: Watch) -> DAG:
    from airflow.sdk import Asset, AssetWatcher

    from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

    watchers = [
        AssetWatcher(
            name=f"{watch.name}_{number}",
            trigger=WorkatoConnectionStatusTrigger(workato_conn_id=WATCHED_CONN_ID, **arguments),
        )
        for number, arguments in enumerate(watch.watchers)
    ]
    asset = Asset(watch.asset, watchers=watchers)
    with _dag(watch.dag_id, schedule=[asset]) as dag:
        tell()
    return dag


def _produce(producer: Producer) -> Any:
    subject = producer.subject
    cls: Any = (
        WorkatoConnectionSensor
        if subject.is_sensor
        else getattr(sets if subject.is_set else operators, subject.cls)
    )
    shared = {
        "task_id": producer.task_id,
        "workato_conn_id": CONN_ID,
        **producer.options,
        **subject.common,
    }
    if producer.shape == "mapped":
        return cls.partial(**shared).expand_kwargs(producer.each)
    return cls(**shared, **producer.each[0])


def _consume(cell: Cell, output: Any) -> Any:
    consumer = report.override(task_id=cell.task_id)
    producer = cell.producer
    of_one = ", map_indexes=0" if producer.shape == "mapped" else ""
    pulled = f"ti.xcom_pull(task_ids='{producer.task_id}'{of_one})"
    match cell.take:
        case "argument":
            return consumer(output)
        case "jinja":
            return consumer(f"{{{{ {pulled}{producer.kind.path} }}}}")
        case "expand" | "expand dict":
            return consumer.expand(value=output)
        case "map":
            return consumer.expand(value=output.map(_wrapped))
        case "no push":
            return consumer(f"{{{{ {pulled} }}}}")
        case "multiple outputs":
            return consumer(output[producer.kind.key])
