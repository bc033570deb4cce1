"""The OAuth consent page: a person authorizes a connection, or does not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import RedirectResponse

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.web.pages import facts, page
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.grants import Grant

router = APIRouter(prefix="/oauth", include_in_schema=False)

DENIED = "The user denied access"

_CHOICES = """
<p>The app asks for permission to act in your name through this connection.</p>
<form method="post">
<button formaction="authorize?state={state}" class="primary" name="answer" value="yes">Authorize</button>
<button formaction="deny?state={state}" name="answer" value="no">Deny</button>
</form>
"""


class BadLink(Exception):
    """A link that cannot be answered, with the page that says why."""

    def __init__(self, shown: Response) -> None:
        super().__init__()
        self.shown = shown


def _open_grant(sandbox: TheSandbox, state: str = "") -> tuple[Grant, StoredConnection]:
    grant = sandbox.grants.find(state)
    connection = sandbox.workspace.connections.get(grant.connection_id) if grant else None
    if grant is None or connection is None:
        body = "<p>It was mistyped, or its connection is gone. Ask for a new one.</p>"
        raise BadLink(page(title="This link does not work", body=body, status=404))
    if grant.outcome is not None:
        body = f"<p>The answer was: {grant.outcome}. Ask for a new link to answer again.</p>"
        raise BadLink(page(title="This link was used already", body=body, status=410))
    return grant, connection


OpenGrant = Annotated[tuple[Grant, StoredConnection], Depends(_open_grant)]


@router.get("/authorize", name="consent_page")
async def consent_page(opened: OpenGrant, state: str) -> Response:
    """Ask the person."""
    _, connection = opened
    # The state is one that was found, so it has none of the characters that need escaping.
    return page(
        title=f"Connect {connection.provider}?", body=_about(connection) + _CHOICES.format(state=state)
    )


@router.post("/authorize")
async def authorize(sandbox: TheSandbox, opened: OpenGrant) -> Response:
    """Take a yes."""
    grant, connection = opened
    grant.outcome = "authorized"
    sandbox.outer_world.authorize(connection.id)
    if grant.redirect_url is not None:
        return RedirectResponse(grant.redirect_url, status_code=303)
    body = f"<p>The connection is ready. You can close this page.</p>{_about(connection)}"
    return page(title="Authorized", body=body)


@router.post("/deny")
async def deny(sandbox: TheSandbox, opened: OpenGrant) -> Response:
    """Take a no."""
    grant, connection = opened
    grant.outcome = "denied"
    sandbox.outer_world.fail(connection.id, status="failed", error=DENIED)
    return page(title="Denied", body=f"<p>The connection was not authorized.</p>{_about(connection)}")


def _about(connection: StoredConnection) -> str:
    return facts(
        {
            "Connection": connection.name,
            "Number": str(connection.id),
            "App": connection.provider,
            "User": connection.external_id,
        }
    )
