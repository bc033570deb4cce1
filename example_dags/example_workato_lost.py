"""React to a lost connection: fetch a new login URL and notify the user. Needs Airflow 3.

No task waits for the event. The triggerer watches the workspace with one list call a minute.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_workato.operators.connections import WorkatoGetOAuthUrlOperator
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

log = logging.getLogger(__name__)

lost_connections = Asset(
    "workato_lost_connections",
    watchers=[
        AssetWatcher(
            name="lost", trigger=WorkatoConnectionStatusTrigger(provider="salesforce", changes=["lost"])
        )
    ],
)

with DAG(
    "example_workato_lost",
    schedule=[lost_connections],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    description="Fetch a new login URL when a connection is lost.",
    doc_md=__doc__,
    tags=["example", "workato"],
):

    @task
    def lost(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        # One run can handle several events. Only runtime user connections have a login URL, and a parent.
        connections = [
            event.extra["payload"]["connection"] for event in triggering_asset_events[lost_connections]
        ]
        return [{"id": row["id"], "name": row.get("name")} for row in connections if row.get("parent_id")]

    # The UI shows the connections' names instead of numbers.
    name = "{{ ti.xcom_pull('lost')[ti.map_index].name }}"

    @task(map_index_template=name)
    def notify(url: str) -> None:
        # In your DAG, send a message instead, for example with a notifier of the smtp or slack provider.
        log.info("Your connection was lost. Please log in again at %s", url)

    login_page = WorkatoGetOAuthUrlOperator.partial(task_id="login_page", map_index_template=name).expand(
        connection_id=lost().map(lambda row: row["id"])
    )
    notify.expand(url=login_page.output)
