"""Pages for people with a browser: the workspace, and each of its connections."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from airflow_provider_workato.sandbox.sandbox import Sandbox, TheSandbox
from airflow_provider_workato.sandbox.traffic.quota import Window
from airflow_provider_workato.sandbox.web.pages import page
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection

router = APIRouter(include_in_schema=False)

_MAX_CONNECTIONS = 100
_MAX_REQUESTS = 25
_REFRESH_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A quota as the page shows it.

    :param window: the length of the quota's window, in words.
    """

    title: str
    window: str
    used: int
    limit: int | None

    @classmethod
    def of(cls, window: Window, *, title: str, length: str) -> Gauge:
        """Return the gauge of a quota.

        :param window: the quota's window.
        :param title: the calls that it counts.
        :param length: the window's length, in words.
        """
        return cls(title=title, window=length, used=window.used, limit=window.limit)


@router.get("/")
async def home(sandbox: TheSandbox, refresh: Annotated[int, Query(ge=0)] = _REFRESH_SECONDS) -> Response:
    """Show the newest connections, the quotas and the latest API calls, again every few seconds."""
    connections = sandbox.workspace.connections
    newest = [connections[connection_id] for connection_id in sorted(connections, reverse=True)]
    now = time.monotonic()
    return page(
        "home.html",
        title="Workspace",
        refresh=refresh,
        gauges=[
            Gauge.of(sandbox.quota.lists, title="List calls", length="minute"),
            Gauge.of(sandbox.quota.calls, title="Other connection calls", length="second"),
        ],
        counts=sandbox.log.counts(),
        connections=newest[:_MAX_CONNECTIONS],
        total=len(connections),
        requests=sandbox.log.latest(_MAX_REQUESTS),
        folder_name=lambda folder_id: _folder_name(sandbox, folder_id),
        seconds_since=lambda at: now - at,
    )


@router.get("/connections/{connection_id:int}", name="connection_page")
async def connection_page(sandbox: TheSandbox, connection_id: int) -> Response:
    """Show a connection, at the path that it has in Workato's web application."""
    connection = sandbox.workspace.connections.get(connection_id)
    if connection is None:
        text = f"This workspace has no connection {connection_id}. It may have been deleted."
        return page("notice.html", title="Not found", text=text, home="../", status=404)
    about = _about(sandbox, connection)
    return page("connection.html", title=connection.name, connection=connection, about=about)


def _about(sandbox: Sandbox, connection: StoredConnection) -> dict[str, Any]:
    recipes = connection.active_recipes
    users = [f"{recipes} active recipe{'s' if recipes > 1 else ''}"] if recipes else []
    users += ["audit log streaming"] if connection.audit_log_streaming else []
    return {
        "Id": connection.id,
        "Provider": connection.provider,
        "Error": connection.authorization_error,
        "Authorized at": connection.authorized_at,
        "Lost at": connection.connection_lost_at,
        "Lost because": connection.connection_lost_reason,
        "Folder": _folder_name(sandbox, connection.folder_id),
        "Parent": connection.parent_id,
        "External id": connection.external_id,
        "Runtime user": "yes" if connection.is_runtime_user else None,
        "Used by": " and ".join(users) or None,
        "Created at": connection.created_at,
        "Last change": connection.updated_at,
    }


def _folder_name(sandbox: Sandbox, folder_id: int) -> str:
    folder = sandbox.workspace.folders.find(folder_id)
    return folder.name if folder else str(folder_id)
