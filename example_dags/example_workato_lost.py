"""React to a lost connection: ask the user to log in again, and wait for the login. Needs Airflow 3.

Until a connection is lost, no task waits: the triggerer watches the workspace with one list call a minute.
``log_in_again`` then finds the lost connection, fetches a new login URL, announces it and waits. If the user
denies access, the URL is used up; the task announces a new one and keeps waiting.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_workato.operators.connections import WorkatoCreateRuntimeUserConnectionOperator
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

lost_connections = Asset(
    "workato_lost_connections",
    watchers=[
        AssetWatcher(
            name="lost", trigger=WorkatoConnectionStatusTrigger(provider="salesforce", changes=["lost"])
        )
    ],
)


def announce(context: Context) -> None:
    """Ask the user to log in again."""
    # In your DAG, send a message instead: example_workato_email does, with a notifier.
    about: Any = context["workato"]  # type: ignore[typeddict-item]
    name, reason, url = about["connection"]["name"], about["reason"], about["url"]
    log.info("%s does not work any more (%s). Please log in again at %s", name, reason, url)


with DAG(
    "example_workato_lost",
    schedule=[lost_connections],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["example", "workato"],
):

    @task
    def lost(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        # One run can handle several events. Only runtime user connections have a login URL, and a parent.
        connections = [
            event.extra["payload"]["connection"] for event in triggering_asset_events[lost_connections]
        ]
        users = {row["id"]: row for row in connections if row["parent_id"] and row["external_id"]}
        keys = ("parent_id", "folder_id", "external_id")
        return [{key: row[key] for key in keys} for row in users.values()]

    WorkatoCreateRuntimeUserConnectionOperator.partial(
        task_id="log_in_again",
        wait_for_authorization=True,
        notifiers=announce,
        ask_again=True,
        deferrable=True,
        timeout=timedelta(days=7),
        map_index_template="{{ task.external_id }}",
    ).expand_kwargs(lost())
