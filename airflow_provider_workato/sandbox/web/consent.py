"""The OAuth consent page, on which a person authorizes a connection or denies it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import RedirectResponse

from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.web.pages import page
from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.consent_links import ConsentLink
from airflow_provider_workato.sandbox.workspace.providers import provider_title

router = APIRouter(prefix="/oauth", include_in_schema=False)

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


@router.get("/authorize", name="consent_page")
async def consent_page(opened: OpenLink, state: str) -> Response:
    """Ask for consent."""
    _, connection = opened
    title = f"Connect to {provider_title(connection.provider)}?"
    return page("consent.html", title=title, about=_about(connection), state=state)


@router.post("/authorize")
async def authorize(sandbox: TheSandbox, opened: OpenLink) -> Response:
    """Record consent."""
    link, connection = opened
    link.outcome = "authorized"
    sandbox.external_changes.authorize(connection.id)
    if link.redirect_url is not None:
        return RedirectResponse(link.redirect_url, status_code=303)
    text = "The connection is ready. You can close this page."
    return page("notice.html", title="Authorized", text=text, about=_about(connection))


@router.post("/deny")
async def deny(sandbox: TheSandbox, opened: OpenLink) -> Response:
    """Record a refusal."""
    link, connection = opened
    link.outcome = "denied"
    sandbox.external_changes.fail(connection.id, status="failed", error=DENIED)
    text = "The connection was not authorized."
    return page("notice.html", title="Denied", text=text, about=_about(connection))


def _about(connection: StoredConnection) -> dict[str, str | int | None]:
    return {
        "Connection": connection.name,
        "Id": connection.id,
        "User": connection.external_id,
    }
