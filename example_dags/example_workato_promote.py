"""Promote the connections of one workspace to another, and wait until its administrators authorize them.

Workato's deployments carry recipes, but no connections. This DAG reads the connections of the workspace
behind the Airflow connection ``workato_dev``, and declares the same in the workspace behind
``workato_prod``, in the folder with the same path. They have no credentials there: the task ``apply`` asks
the administrators to authorize them, reminds them every day, and waits for two weeks at most.

The external id of a promoted connection holds the id of the original. So each run finds it again, also if the
original was renamed. A connection whose folder is missing in ``workato_prod`` is reported and left out.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow import DAG

try:
    from airflow.sdk import task
except ImportError:  # Airflow 2
    from airflow.decorators import task

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.sets import WorkatoApplyConnectionsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

PREFIX = "dev-"


def folder_paths(hook: WorkatoConnectionsHook) -> dict[int, str]:
    """Return the path of each folder by its id. The hook has no call for it, but a session with the token."""
    folders: dict[int, dict[str, Any]] = {}
    for page in count(1):
        answer = hook.get_conn().get(
            f"{hook.settings.base_url}/api/folders",
            params={"with_nested_folders": "true", "page": str(page), "per_page": "100"},
            timeout=40,
        )
        answer.raise_for_status()
        if not answer.json():
            break
        folders |= {folder["id"]: folder for folder in answer.json()}

    def path(folder: dict[str, Any]) -> str:
        parent = folders.get(folder["parent_id"])
        return f"{path(parent) if parent else ''}/{folder['name']}"

    return {number: path(folder) for number, folder in folders.items()}


def ask(context: Context) -> None:
    """Ask the administrators to authorize the connections, or remind them of those that are left."""
    asked: Any = context.get("workato")
    # In your DAG, send a message instead, for example with a notifier of the smtp or slack provider.
    log.info(
        "%s until %s:\n%s",
        "Reminder: please authorize" if asked["is_reminder"] else "Please authorize",
        asked["expires_at"].strftime("%d %B, %H:%M UTC"),
        "\n".join(f"- {each['connection']['name']}: {each['url']}" for each in asked["connections"]),
    )


with DAG(
    "example_workato_promote",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Otherwise two runs on different machines could both create a connection. A backfill has a limit of its
    # own: for one, also give `apply` a pool with one slot.
    max_active_runs=1,
    description="Promote connections to another workspace, and wait for its administrators.",
    doc_md=__doc__,
    tags=["example", "workato"],
) as dag:

    @task
    def connections() -> list[dict[str, Any]]:
        """Declare what is in dev, each in the folder of prod that has the same path."""
        with WorkatoConnectionsHook("workato_dev") as dev, WorkatoConnectionsHook("workato_prod") as prod:
            in_dev = folder_paths(dev)
            in_prod = {path: number for number, path in folder_paths(prod).items()}
            rows = dev.list_connections()
        declared = []
        for row in rows:
            path = in_dev.get(row["folder_id"] or 0, "")
            if path in in_prod:
                declared.append(
                    {
                        "name": row["name"],
                        "provider": row["provider"],
                        "external_id": f"{PREFIX}{row['id']}",
                        "folder_id": in_prod[path],
                    }
                )
            else:
                log.warning("Left out %r: there is no folder %s in workato_prod.", row["name"], path or "/")
        return declared

    apply = WorkatoApplyConnectionsOperator(
        task_id="apply",
        workato_conn_id="workato_prod",
        connections=connections(),
        # Nothing else in the workspace is looked at or changed.
        external_id_prefix=PREFIX,
        wait_for_authorization=True,
        notifiers=ask,
        remind_every=timedelta(days=1),
        deferrable=True,
        timeout=timedelta(weeks=2),
    )

    # Also if `apply` failed: it pushes what it knows while it runs.
    @task(trigger_rule="all_done")
    def report(ti: Any = None) -> None:
        """Log a table of all connections."""
        rows = ti.xcom_pull("apply", key="workato_connections") or []
        lines = [f"{row['did']:<12} {row['status'] or '':<16} {row['name']} {row['reason']}" for row in rows]
        log.info("\n%s", "\n".join(lines))

    apply >> report()
