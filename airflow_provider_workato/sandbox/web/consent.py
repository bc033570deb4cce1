"""The OAuth consent page, on which a person authorizes a connection or denies it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import RedirectResponse

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.web.pages import page
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.grants import Grant

router = APIRouter(prefix="/oauth", include_in_schema=False)

DENIED = "The user denied access"


class BadLink(Exception):
    """A link that does not work.

    :param shown: the page that says why.
    """

    def __init__(self, shown: Response) -> None:
        super().__init__()
        self.shown = shown


def _open_grant(sandbox: TheSandbox, state: str = "") -> tuple[Grant, StoredConnection]:
    grant = sandbox.grants.find(state)
    connection = sandbox.workspace.connections.get(grant.connection_id) if grant else None
    if grant is None or connection is None:
        text = "It was mistyped, or its connection is gone. Ask for a new one."
        raise BadLink(page("notice.html", title="This link does not work", text=text, status=404))
    if grant.outcome is not None:
        text = f"The answer was: {grant.outcome}. Ask for a new link to answer again."
        raise BadLink(page("notice.html", title="This link was used already", text=text, status=410))
    return grant, connection


OpenGrant = Annotated[tuple[Grant, StoredConnection], Depends(_open_grant)]


@router.get("/authorize", name="consent_page")
async def consent_page(opened: OpenGrant, state: str) -> Response:
    """Ask for consent."""
    _, connection = opened
    title = f"Connect {connection.provider}?"
    return page("consent.html", title=title, about=_about(connection), state=state)


@router.post("/authorize")
async def authorize(sandbox: TheSandbox, opened: OpenGrant) -> Response:
    """Record consent."""
    grant, connection = opened
    grant.outcome = "authorized"
    sandbox.outer_world.authorize(connection.id)
    if grant.redirect_url is not None:
        return RedirectResponse(grant.redirect_url, status_code=303)
    text = "The connection is ready. You can close this page."
    return page("notice.html", title="Authorized", text=text, about=_about(connection))


@router.post("/deny")
async def deny(sandbox: TheSandbox, opened: OpenGrant) -> Response:
    """Record a refusal."""
    grant, connection = opened
    grant.outcome = "denied"
    sandbox.outer_world.fail(connection.id, status="failed", error=DENIED)
    text = "The connection was not authorized."
    return page("notice.html", title="Denied", text=text, about=_about(connection))


def _about(connection: StoredConnection) -> dict[str, str | int | None]:
    return {
        "Connection": connection.name,
        "Number": connection.id,
        "App": connection.provider,
        "User": connection.external_id,
    }
