"""What a connection's status means, decided in one place for sensors, triggers and operators."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_workato.arguments import parse_time
from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoNotFoundError,
)
from airflow_provider_workato.redaction import redact

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection

#: Apps that a person logs in to. Some of them also take a key or certificate, but none a password: the
#: vendor's own list of their fields has neither (tests/vendor checks that).
LOGIN_APPS = frozenset(
    {
        "box",
        "docusign",
        "gmail",
        "hubspot",
        "outlook",
        "salesforce",
        "salesforce_secondary",
        "slack_bot",
        "smartsheet",
        "wrike",
        "xero",
    }
)

#: The most connections that a message about a wait names.
_NAMED = 5


class State(StrEnum):
    """What a connection's status means for a wait."""

    AUTHORIZED = "authorized"
    WAITING = "waiting"
    FAILED = "failed"
    LOST = "lost"


class Advice(StrEnum):
    """What to do about a connection that failed or was lost, by the task that reports it."""

    REFUSED = "Correct 'input' and clear this task, which repairs the connection."
    #: What *REFUSED* is if the app may want a person's login instead.
    REFUSED_WITHOUT_LOGIN = (
        "If a person logs in to this app, leave 'input' out and log in in Workato; otherwise correct "
        "'input'. Then clear this task."
    )
    ASKED = "Clear this task to ask again, or set ask_again=True."
    WAITED = "Correct the credentials or log in again in Workato, then clear this task."
    #: What *WAITED* is for a connection with a parent, such as that of a runtime user, who needs a login URL.
    WAITED_FOR_LOGIN = (
        "Log in again, then clear this task. For a new login URL, clear the task that fetches it, or use "
        "ask_again=True on the create."
    )


def state_of(connection: WorkatoConnection) -> State:
    """Return what a connection's status means.

    :param connection: a connection from the list. ``authorized_at`` does not prove success, since Workato
        sets it after failed attempts, too. It tells whether the latest login came after a loss.
    """
    return state_from(
        status=connection.get("authorization_status"),
        lost_at=connection.get("connection_lost_at"),
        authorized_at=connection.get("authorized_at"),
    )


def state_from(*, status: object, lost_at: object, authorized_at: object) -> State:
    """Return what a connection's status means, from the three fields that decide it.

    :param status: ``authorization_status``.
    :param lost_at: ``connection_lost_at``.
    :param authorized_at: ``authorized_at``.
    """
    if status in ("failed", "exception"):
        return State.FAILED
    if lost_at:
        lost, authorized = parse_time(lost_at), parse_time(authorized_at)
        again = lost and authorized and bool(lost.tzinfo) == bool(authorized.tzinfo) and authorized > lost
        if not again:
            return State.LOST
    return State.AUTHORIZED if status == "success" else State.WAITING


def failure_mark(connection: WorkatoConnection) -> str | None:
    """Return a string that tells a failure or loss from a later one, ``None`` if there is neither.

    :param connection: a connection from the list.
    """
    if state_of(connection) not in (State.FAILED, State.LOST):
        return None
    # Without the error's text: what is masked in it depends on who lists the connection. Each attempt stamps
    # authorized_at, each loss connection_lost_at.
    keys = ("id", "authorization_status", "authorized_at", "connection_lost_at")
    return hashlib.sha256(repr([connection.get(key) for key in keys]).encode()).hexdigest()[:16]


def state_for_wait(connection: WorkatoConnection, known_failures: Collection[str]) -> State:
    """Return what a connection's status means for a wait that began after some failures.

    :param connection: a connection from the list.
    :param known_failures: the marks of failures that happened before the wait, from :func:`failure_mark`.
    """
    if known_failures and failure_mark(connection) in known_failures:
        return State.WAITING
    return state_of(connection)


def has_unknown_status(connection: WorkatoConnection) -> bool:
    """Tell whether the status is one that this provider does not know. A wait continues in that case.

    :param connection: a connection from the list.
    """
    return state_of(connection) is State.WAITING and connection.get("authorization_status") not in (
        None,
        "success",
    )


def pending_text(pending: Sequence[WorkatoConnection], *, dated: bool = False) -> str:
    """Name connections with their status, such as ``connection 36 (no status yet)``.

    :param pending: the connections that are not authorized yet.
    :param dated: also tell when each was lost, failed or, if it did neither, was created.
    """

    def one(row: WorkatoConnection) -> str:
        return f"connection {row.get('id')} ({status_text(row)}{_moment_of(row) if dated else ''})"

    return _listed([one(row) for row in pending[:_NAMED]], len(pending))


def _moment_of(connection: WorkatoConnection) -> str:
    # A new name changes updated_at, too.
    moments = [(", created", connection.get("created_at"))]
    match state_of(connection):
        case State.LOST:
            moments.insert(0, (" at", connection.get("connection_lost_at")))
        case State.FAILED:
            moments.insert(0, (", last attempt", connection.get("authorized_at")))
    texts = ((word, moment_text(parse_time(value))) for word, value in moments)
    return next((f"{word} {text}" for word, text in texts if text), "")


def ids_text(ids: Sequence[int]) -> str:
    """Name connections by id, such as ``connections 36, 37``.

    :param ids: the connections.
    """
    shown = _listed([str(number) for number in ids[:_NAMED]], len(ids))
    return f"connection{'' if len(ids) == 1 else 's'} {shown}"


def _listed(named: Sequence[str], total: int) -> str:
    more = total - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def moment_text(moment: datetime | None) -> str:
    """Return a time as ``2026-01-31 08:00:00 UTC``; an empty string for ``None`` or a time without a zone.

    :param moment: the time.
    """
    if moment is None or moment.tzinfo is None:
        return ""
    try:
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        # The first and last day of the calendar overflow in some time zones.
        return ""


def status_text(connection: WorkatoConnection) -> str:
    """Return what a log or an error calls the status of a connection.

    :param connection: a connection from the list.
    """
    state = state_of(connection)
    if state in (State.LOST, State.AUTHORIZED):
        return state.value
    status = connection.get("authorization_status")
    if status is None:
        return "no status yet"
    shown = redact(str(status), [], limit=60)
    return f"unknown status {shown!r}" if has_unknown_status(connection) else shown


def reason_text(connection: WorkatoConnection, *, secrets: Sequence[str] = ()) -> str | None:
    """Return what Workato says about a failure or a loss; ``None`` if it says nothing.

    :param connection: a connection that failed or was lost.
    :param secrets: strings that must not be quoted.
    """
    lost = state_of(connection) is State.LOST
    said = connection.get("connection_lost_reason" if lost else "authorization_error")
    return redact(said, secrets) if said else None


def failure(
    connection: WorkatoConnection, *, advice: Advice | None = None, secrets: Sequence[str] = ()
) -> WorkatoAuthorizationError | None:
    """Return the error for a connection that failed or was lost, ``None`` for any other.

    :param connection: a connection as Workato describes it.
    :param advice: what the error says after the fact, ``None`` for nothing.
    :param secrets: strings that the error must not quote.
    """
    state = state_of(connection)
    if state not in (State.FAILED, State.LOST):
        return None
    connection_id, status = connection.get("id"), connection.get("authorization_status")
    quoted = reason_text(connection, secrets=secrets)
    if advice is Advice.WAITED and connection.get("parent_id"):
        advice = Advice.WAITED_FOR_LOGIN
    if advice is Advice.REFUSED and (
        connection.get("provider") in LOGIN_APPS or "oauth" in (quoted or "").lower()
    ):
        advice = Advice.REFUSED_WITHOUT_LOGIN

    def shown(key: str) -> str:
        return redact(connection.get(key) or "", secrets, limit=80)

    return WorkatoAuthorizationError(
        f"Connection {connection_id} ({shown('name')!r}, {shown('provider')}) "
        + (
            f"was lost at {shown('connection_lost_at')}"
            if state is State.LOST
            else f"has authorization_status {shown('authorization_status')!r}"
        )
        + f": {quoted or 'no reason given'}."
        + (f" {advice}" if advice else ""),
        connection_id=connection_id,
        authorization_status=status,
        authorization_error=quoted,
    )


def not_in_list(missing: Sequence[int]) -> WorkatoNotFoundError:
    """Return the error for connections that are not in the list.

    :param missing: their ids.
    """
    one = len(missing) == 1
    return WorkatoNotFoundError(
        f"C{ids_text(missing)[1:]} {'is' if one else 'are'} not in the "
        "list of connections: deleted, or not visible to this token. Check the id and that the "
        "API client's role and projects include the connection's folder.",
        operation="find_connection",
    )
