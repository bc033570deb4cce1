"""The pages for people with a browser, and what their buttons do."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_provider_workato.sandbox.bodies import Refused
from airflow_provider_workato.sandbox.connection import StoredConnection
from airflow_provider_workato.sandbox.control import FailConnection, LoseConnection
from airflow_provider_workato.sandbox.external_changes import ConsentLink
from airflow_provider_workato.sandbox.providers import provider_title
from airflow_provider_workato.sandbox.sandbox import Sandbox, TheSandbox
from airflow_provider_workato.sandbox.traffic import Window

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    auto_reload=False,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    # With "no-referrer" a browser hides the origin of the sandbox's own forms, too.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """Return a length of time in words.

    :param seconds: the length in seconds.
    """
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h"


def ago(timestamp: str) -> str:
    """Return how long ago a moment was, or its date after a day.

    :param timestamp: the moment as the API writes it.
    """
    moment = datetime.fromisoformat(timestamp)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds < _DAY else moment.date().isoformat()


_TEMPLATES.filters |= {"ago": ago, "duration": duration}


def page(template: str, /, *, status: int = 200, **values: Any) -> Response:
    """Return a page. All values are escaped.

    :param template: file name of the template.
    :param status: HTTP status.
    :param values: what the template shows. Every template needs ``title``.
    """
    text = _TEMPLATES.get_template(template).render(values)
    return Response(text, status_code=status, media_type="text/html", headers=_HEADERS)


router = APIRouter(include_in_schema=False)

_MAX_CONNECTIONS = 100
_MAX_REQUESTS = 25
_REFRESH_SECONDS = 5


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
            _gauge(sandbox.quota.lists, title="List calls", length="minute"),
            _gauge(sandbox.quota.calls, title="Other connection calls", length="second"),
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


def _gauge(window: Window, *, title: str, length: str) -> dict[str, Any]:
    return {"title": title, "window": length, "used": window.used, "limit": window.limit}


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


# Buttons: change a connection as a person or an app would.

# Only the name of a page, not a URL, or any site could use the sandbox for redirects.
Origin = Annotated[Literal["workspace", "connection"], Query(alias="from")]

# Relative, so that it also works behind a proxy that serves the sandbox below another path.
_HOME = "../../"


@router.post("/connections/{connection_id:int}/authorize")
async def authorize(sandbox: TheSandbox, connection_id: int, origin: Origin = "workspace") -> Response:
    """Authorize a connection, as a person would."""
    if connection_id in sandbox.workspace.connections:
        sandbox.external_changes.authorize(connection_id)
    return _back(connection_id, origin)


@router.post("/connections/{connection_id:int}/fail")
async def fail(sandbox: TheSandbox, connection_id: int, origin: Origin = "workspace") -> Response:
    """Let an attempt to authorize fail."""
    if connection_id in sandbox.workspace.connections:
        sandbox.external_changes.fail(connection_id, **FailConnection().model_dump())
    return _back(connection_id, origin)


@router.post("/connections/{connection_id:int}/lose")
async def lose(sandbox: TheSandbox, connection_id: int, origin: Origin = "workspace") -> Response:
    """Lose a connection, as a refused token refresh does."""
    if connection_id in sandbox.workspace.connections:
        sandbox.external_changes.lose(connection_id, **LoseConnection().model_dump())
    return _back(connection_id, origin)


@router.post("/connections/{connection_id:int}/delete")
async def delete(sandbox: TheSandbox, connection_id: int) -> Response:
    """Delete a connection, unless something uses it."""
    try:
        if connection_id in sandbox.workspace.connections:
            sandbox.calls.delete(connection_id)
    except Refused as refused:
        return page("notice.html", title="Not deleted", text=f"{refused}.", home=_HOME, status=409)
    return _back(connection_id, "workspace")


def _back(connection_id: int, origin: str) -> Response:
    path = f"../{connection_id}" if origin == "connection" else _HOME
    return RedirectResponse(path, status_code=303)


# The consent page, on which a person authorizes a connection or denies it.

DENIED = "The user denied access"


class BadLink(Exception):
    """A link that does not work.

    :param shown: the page that says why.
    """

    def __init__(self, shown: Response) -> None:
        super().__init__()
        self.shown = shown


def _open_link(sandbox: TheSandbox, state: str = "") -> tuple[ConsentLink, StoredConnection]:
    link = sandbox.consent_links.find(state)
    connection = sandbox.workspace.connections.get(link.connection_id) if link else None
    if link is None or connection is None:
        text = "It is incomplete, or its connection was deleted. Ask for a new link."
        raise BadLink(page("notice.html", title="This link does not work", text=text, status=404))
    if link.outcome is not None:
        text = f"The answer was: {link.outcome}. A link works once. Ask for a new link to answer again."
        raise BadLink(page("notice.html", title="This link was already used", text=text, status=410))
    return link, connection


OpenLink = Annotated[tuple[ConsentLink, StoredConnection], Depends(_open_link)]


@router.get("/oauth/authorize", name="consent_page")
async def consent_page(opened: OpenLink, state: str) -> Response:
    """Ask for consent."""
    _, connection = opened
    title = f"Connect to {provider_title(connection.provider)}?"
    return page("consent.html", title=title, about=_asked_about(connection), state=state)


@router.post("/oauth/authorize")
async def consent(sandbox: TheSandbox, opened: OpenLink) -> Response:
    """Record consent."""
    link, connection = opened
    link.outcome = "authorized"
    sandbox.external_changes.authorize(connection.id)
    if link.redirect_url is not None:
        return RedirectResponse(link.redirect_url, status_code=303)
    text = "The connection is ready. You can close this page."
    return page("notice.html", title="Authorized", text=text, about=_asked_about(connection))


@router.post("/oauth/deny")
async def deny(sandbox: TheSandbox, opened: OpenLink) -> Response:
    """Record a refusal."""
    link, connection = opened
    link.outcome = "denied"
    sandbox.external_changes.fail(connection.id, status="failed", error=DENIED)
    text = "The connection was not authorized."
    return page("notice.html", title="Denied", text=text, about=_asked_about(connection))


def _asked_about(connection: StoredConnection) -> dict[str, str | int | None]:
    return {
        "Connection": connection.name,
        "Id": connection.id,
        "User": connection.external_id,
    }
