"""Workato's answers as plain data.

Real answers differ from the documentation (missing keys, extra keys, ``application`` or ``provider``), so the
parsers require nothing of a connection but its ``id``.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from airflow_provider_workato.arguments import is_stored_form
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.fast_decoding import Parts, decode_row
from airflow_provider_workato.exceptions import WorkatoMismatchError, WorkatoResponseError
from airflow_provider_workato.redaction import Sealed, redact, without_credentials

log = logging.getLogger(__name__)

#: A connection as Workato's API describes it; every key but ``id`` may be missing.
WorkatoConnection = dict[str, Any]

#: The keys of what the app says about a connection.
SAID = ("authorization_error", "connection_lost_reason")


class PicklistItem(TypedDict):
    """One entry of a picklist."""

    label: Any
    value: Any


class RuntimeUserConnection(TypedDict):
    """A connection that waits for its user to log in."""

    id: int
    url: str | None


def single_or_list(
    value: int | str | Sequence[int | str], connections: Sequence[WorkatoConnection]
) -> WorkatoConnection | list[WorkatoConnection]:
    """Return the connections in the shape of the question: a list for a list of ids, else one connection.

    :param value: the id or ids, as the user gave them.
    :param connections: the connections.
    """
    return connections[0] if isinstance(value, (int, str)) else list(connections)


def display_name(connection: WorkatoConnection) -> str:
    """Return what a log line calls a connection, such as ``connection 36 ('Prod JIRA', jira)``.

    :param connection: the connection.
    """
    name, provider = connection.get("name"), connection.get("provider")
    known = [repr(redact(name, [], limit=80))] if name else []
    known += [redact(provider, [], limit=80)] if provider else []
    return f"connection {connection['id']}" + (f" ({', '.join(known)})" if known else "")


def parse_connections(
    payload: object, *, operation: str = "list_connections", secrets: Sealed | None = None
) -> list[WorkatoConnection]:
    """Return the connections of a list answer, a bare array or one under ``result``.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :param secrets: the strings that no row may quote, longest first.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    rows = _rows_of(payload, operation)
    for row in rows:
        _tidy(row, operation, secrets)
    return rows


def parse_connection(payload: object, *, operation: str, secrets: Sealed | None = None) -> WorkatoConnection:
    """Return the connection of an answer, as it is or under ``result``.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :param secrets: the strings that it may not quote, longest first.
    :raises WorkatoResponseError: if it is not a connection.
    """
    row = payload
    if isinstance(row, dict) and "id" not in row:
        row = _unwrap(row, "result", "data")
    return _tidy(row, operation, secrets)


def check_answer(
    row: Sealed,
    *,
    sent: Mapping[str, Any],
    operation: str,
    connection_id: int | None = None,
    secrets: Sealed | None = None,
) -> None:
    """Check that the answer to a create or an update shows the connection that was meant.

    What it leaves out proves nothing. A text that was only trimmed, normalised or cut is accepted with a
    warning.

    :param row: the connection of the answer, sealed because a wrong one may quote what it must not.
    :param sent: the fields that were sent.
    :param operation: the call, for the error.
    :param connection_id: the connection that was to be changed.
    :param secrets: the strings that the error may not quote, longest first.
    :raises WorkatoMismatchError: if it shows another connection.
    """

    def shows(key: str) -> Any:
        return row.reveal().get(key)

    if connection_id is not None and shows("id") != connection_id:
        raise _mismatch(operation, "id", shows("id"), connection_id, secrets)
    for key in ("external_id", "provider", "name"):
        wanted = sent.get(key)
        if wanted is None or shows(key) is None or str(shows(key)) == wanted:
            continue
        # An app has a second name, which some answers show as its provider.
        if key == "provider" and shows("application") == wanted:
            continue
        if key == "provider" or not is_stored_form(str(shows(key)), wanted):
            raise _mismatch(operation, key, shows(key), wanted, secrets)
        log.warning(
            "Workato stored the %s of connection %s as %r, not as it was sent (%d characters). Remove blanks "
            "at its ends, write it in Unicode's form NFC, and keep it within 255 characters.",
            key,
            shows("id"),
            redact(shows(key), [], limit=80),
            len(wanted),
        )


def _mismatch(
    operation: str, key: str, shown: object, wanted: object, secrets: Sealed | None
) -> WorkatoMismatchError:
    said = without_credentials(str(shown), secrets.reveal() if secrets else ())
    return WorkatoMismatchError(
        f"The answer to {operation} shows another connection: {key} {redact(said, [], limit=80)!r} where "
        f"{redact(wanted, [], limit=80)!r} was sent. What was sent may have been carried out: look for it in "
        "Workato before you clear the task. A proxy may have mixed up answers.",
        status=200,
        operation=operation,
    )


def decode_connections(
    body: memoryview, *, operation: str = "list_connections", secrets: Sealed | None = None
) -> list[WorkatoConnection]:
    """Return the connections of a list answer.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :param secrets: the strings that no row may quote, longest first.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    parts, rows = Parts(body), []
    for part in parts.rows():
        rows += _tidied(part, operation, secrets)
    if (rest := parts.rest()) is not None:
        rows += parse_connections(decode(rest, operation=operation), operation=operation, secrets=secrets)
    return rows


def iter_connections(body: memoryview, *, operation: str = "list_connections") -> Iterator[WorkatoConnection]:
    """Decode a list answer one connection at a time.

    Decoding a large list at once holds Python's global lock, which stops a triggerer's event loop even from a
    thread. Between two rows, other threads can run.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    for part in split_connections(body, operation=operation):
        for row in part:
            yield decode_connection(row, operation=operation)


def split_connections(
    body: memoryview, *, operation: str = "list_connections"
) -> Iterator[list[msgspec.Raw]]:
    """Split a list answer into its connections without decoding them, some thousands at a time.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a list, or not JSON.
    """
    parts = Parts(body)
    yield from parts.split()
    if (rest := parts.rest()) is not None:
        yield [encode_connection(row) for row in _rows_of(decode(rest, operation=operation), operation)]


def encode_connection(row: object) -> msgspec.Raw:
    """Return a decoded connection in the form that :func:`split_connections` gives.

    :param row: a connection.
    """
    return msgspec.Raw(msgspec.json.encode(row))


def decode_connection(row: msgspec.Raw, *, operation: str = "list_connections") -> WorkatoConnection:
    """Decode one connection of those that :func:`split_connections` gives.

    :param row: the connection.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a connection.
    """
    decoded = decode_row(row)
    return _tidy(decode(bytes(row), operation=operation) if decoded is None else decoded, operation)


def parse_picklist(payload: object) -> list[PicklistItem]:
    """Return a picklist's entries; of each row the first element is the label, the second the value.

    :param payload: the decoded answer, rows under ``data`` or ``result``, or bare.
    :raises WorkatoResponseError: if it is not a picklist.
    """
    rows = _unwrap(payload, "data", "result") if isinstance(payload, dict) else payload
    if rows is None and isinstance(payload, dict) and ("data" in payload or "result" in payload):
        return []
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) >= 2 for row in rows):
        raise _unexpected("get_picklist", "a list of [label, value, …] rows", payload)
    return [{"label": row[0], "value": row[1]} for row in rows]


def parse_runtime_user_connection(
    payload: object, *, sent: Mapping[str, Any] | None = None
) -> RuntimeUserConnection:
    """Return the id and the login URL of a new runtime user connection.

    :param payload: the decoded answer, under ``data`` or ``result``.
    :param sent: the fields that were sent.
    :raises WorkatoResponseError: if it is not one, or shows another connection.
    """
    operation = "create_runtime_user_connection"
    body = _unwrap(payload, "data", "result") if isinstance(payload, dict) else payload
    if not isinstance(body, dict):
        raise _unexpected(operation, "an object with id and url", payload)
    url, body["id"] = body.get("url"), _row_id(body, operation)
    check_answer(Sealed(body), sent=sent or {}, operation=operation)
    return {"id": body["id"], "url": url if isinstance(url, str) and url else None}


def parse_oauth_url(payload: object) -> str:
    """Return the URL at which a person authorizes a connection.

    :param payload: the decoded answer, under ``data`` or ``result``.
    :raises WorkatoResponseError: if there is none.
    """
    body = _unwrap(payload, "data", "result") if isinstance(payload, dict) else payload
    url = body.get("url") if isinstance(body, dict) else None
    if not isinstance(url, str) or not re.match(r"https?://\S+\Z", url):
        raise _unexpected("get_oauth_url", "an object with a url", payload)
    return url


def parse_outcome(payload: object, *, operation: str) -> dict[str, Any]:
    """Return Workato's answer to a disconnect or delete.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it does not report success.
    """
    body = _unwrap(payload, "result") if isinstance(payload, dict) and "success" not in payload else payload
    if not isinstance(body, dict) or body.get("success") is not True:
        raise _unexpected(operation, 'an object with "success": true', payload)
    return body


def _rows_of(payload: object, operation: str) -> list[Any]:
    rows = _unwrap(payload, "result", "data") if isinstance(payload, dict) else payload
    if not isinstance(rows, list):
        raise _unexpected(operation, "a list of connections", payload)
    return rows


def without_secrets(connection: WorkatoConnection, secrets: Sequence[str]) -> WorkatoConnection:
    """Return a copy of a listed connection in which no message quotes *secrets*.

    :param connection: a connection from the list.
    :param secrets: strings that must not be quoted, longest first.
    """
    said = {key: redact(connection[key], secrets) for key in SAID if connection.get(key)}
    return {**connection, **said}


def _tidied(rows: list[Any], operation: str, secrets: Sealed | None) -> list[WorkatoConnection]:
    try:
        # Hardly any of many thousand rows needs a change: avoid a function call for each.
        unusual = [
            row
            for row in rows
            if row["authorization_error"]
            or row["connection_lost_reason"]
            or row["provider"] is None
            or type(row["id"]) is not int
            or "input" in row
        ]
    except (KeyError, TypeError):
        unusual = rows
    for row in unusual:
        _tidy(row, operation, secrets)
    return rows


def _tidy(row: object, operation: str, secrets: Sealed | None = None) -> WorkatoConnection:
    if not isinstance(row, dict):
        raise _unexpected(operation, "a connection", row)
    if type(row.get("id")) is not int:
        row["id"] = _row_id(row, operation)
    if row.get("provider") is None and "application" in row:
        row["provider"] = row["application"]
    # No endpoint returns the credentials. Should one ever do so, they must not reach an XCom.
    row.pop("input", None)
    for key in SAID:
        if row.get(key):
            row[key] = _harmless(row[key], secrets)
    return row


def _harmless(said: object, secrets: Sealed | None) -> object:
    if isinstance(said, (dict, list)):
        try:
            said = json.dumps(said, ensure_ascii=False)
        except RecursionError:
            return None
    if not isinstance(said, str):
        return said
    return without_credentials(said, secrets.reveal() if secrets else ())


def _row_id(row: dict[str, Any], operation: str) -> int:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    raise _unexpected(operation, "a numeric id", value)


def _unwrap(payload: dict[str, Any], *keys: str) -> Any:
    inner = next((payload[key] for key in keys if key in payload), payload)
    # An answer that has an envelope of its own can be wrapped in another.
    return next((inner[key] for key in keys if key in inner), inner) if isinstance(inner, dict) else inner


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _unexpected(operation: str, wanted: str, got: object) -> WorkatoResponseError:
    return WorkatoResponseError(
        f"Workato answered {operation} with {_kind(got)} where {wanted} was expected. "
        "Check that the Airflow connection's Base URL leads to Workato's API.",
        status=200,
        operation=operation,
    )
