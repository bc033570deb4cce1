"""What goes to Workato and what comes back, as plain data.

Real answers differ from the documentation (missing keys, extra keys, ``application`` or
``provider``), so nothing but a connection's ``id`` is taken for granted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoResponseError

#: What JSON takes for a blank; Python's own idea of it is wider.
_BLANK = " \t\n\r"

#: A connection as Workato's API describes it; every key but ``id`` may be missing.
Connection = dict[str, Any]


class PicklistItem(TypedDict):
    """One entry of a picklist."""

    label: Any
    value: Any


class RuntimeUserConnection(TypedDict):
    """A connection that waits for its user to log in."""

    id: int
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes two connections the same one.

    With an external id it is that and the provider, within the folder and under the parent if those
    are given; without one it is name, provider and parent, within the folder if that is given.
    """

    provider: str | None
    name: str | None = None
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None

    def matches(self, row: Connection) -> bool:
        """Tell whether *row* is the connection meant.

        :param row: a connection from the list.
        :raises WorkatoResponseError: if it could be, and leaves out the key that decides.
        """
        decides = "name" if self.external_id is None else "external_id"
        wanted: dict[str, Any] = {"provider": self.provider, "folder_id": self.folder_id}
        if self.external_id is not None:
            wanted["parent_id"] = self.parent_id
        elif row.get("parent_id", self.parent_id) != self.parent_id:
            return False
        # A key that an answer leaves out proves nothing: better to meet an existing
        # connection twice than to make a second one.
        if not all(value is None or row.get(key, value) == value for key, value in wanted.items()):
            return False
        if decides not in row:
            # It may be somebody else's: to give it these credentials would be worse than to stop.
            raise WorkatoResponseError(
                f"Workato's list shows no {decides} for connection {row['id']}, so it cannot be told whether "
                f"it is the one meant ({self}). Nothing was made or changed.",
                status=200,
                operation="list_connections",
            )
        return bool(row[decides] == getattr(self, decides))

    def __str__(self) -> str:
        said = {
            "external_id": self.external_id,
            "name": None if self.external_id else self.name,
            "provider": self.provider,
            "folder_id": self.folder_id,
            "parent_id": self.parent_id,
        }
        return ", ".join(f"{key}={value!r}" for key, value in said.items() if value is not None)


def to_id(value: object, *, what: str = "connection_id") -> int:
    """Return *value* as the number that Workato uses as an id.

    :param value: an integer or a text of digits (as templates give).
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: for everything else, before any request is made.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value) and int(value) > 0:
        return int(value)
    shown = repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
    raise WorkatoConfigurationError(
        f"{what} must be a connection's number such as 36, not {shown[:80]}."
        if what == "connection_id"
        else f"{what} must be a number such as 1892, not {shown[:80]}."
    )


def to_optional_id(value: object, *, what: str) -> int | None:
    """Like :func:`to_id`, with ``None`` for an argument that was not given.

    :param value: an integer, a text of digits, or ``None``.
    :param what: the argument's name, for the error.
    """
    return None if value is None else to_id(value, what=what)


def connection_ids(value: int | str | Sequence[int | str]) -> list[int]:
    """Return the numbers of the connections to wait for.

    :param value: one id, or a list of them.
    :raises WorkatoConfigurationError: if there is none or one is no number.
    """
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return [to_id(value)]
    # The output of mapped tasks is a lazy sequence: a slice is one call to Airflow, a loop one per item.
    items = value if isinstance(value, (list, tuple)) else value[:]
    if not items:
        raise WorkatoConfigurationError(
            "connection_id is an empty list: there is nothing to wait for. Check the task that gives the ids."
        )
    return [to_id(item) for item in items]


def result_of(
    value: int | str | Sequence[int | str], connections: Sequence[Connection]
) -> Connection | list[Connection]:
    """Return what the task returns: a list if it was given one, else the connection.

    :param value: what was waited for, as the user gave it.
    :param connections: the connections, authorized.
    """
    return connections[0] if isinstance(value, (int, str)) else list(connections)


def to_timestamp(value: datetime | str, *, what: str = "updated_after") -> str:
    """Return a point in time as Workato's filters want it, such as ``2026-01-31T08:00:00Z``.

    :param value: an aware datetime, or ISO 8601 text with an offset.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if it is no time or has no time zone.
    """
    moment = parse_time(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise WorkatoConfigurationError(
            f"{what} must be a datetime with a time zone or ISO 8601 text such as 2026-01-31T08:00:00Z."
        )
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(value: object) -> datetime | None:
    """Return the time that *value* stands for, ``None`` if it is none.

    :param value: a timestamp from an answer, with ``Z`` or the workspace's offset.
    """
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def parse_connections(payload: object, *, operation: str = "list_connections") -> list[Connection]:
    """Return the connections of a list answer, a bare array or one under ``result``.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    rows = _unwrap(payload, "result", "data") if isinstance(payload, dict) else payload
    if not isinstance(rows, list):
        raise _unexpected(operation, "a list of connections", payload)
    for row in rows:
        _tidy(row, operation)
    return rows


def parse_connection(payload: object, *, operation: str) -> Connection:
    """Return the connection of an answer, as it is or under ``result``.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a connection.
    """
    row = payload
    if isinstance(row, dict) and "id" not in row:
        row = _unwrap(row, "result", "data")
    return _tidy(row, operation)


def iter_connections(body: bytes, *, operation: str = "list_connections") -> Iterator[Connection]:
    """Decode a list answer one connection at a time.

    Decoding a large list in one go holds Python's global lock for all of it, which stops a
    triggerer's event loop even when done in a thread; between two rows other threads get their turn.

    :param body: the answer, a JSON array or an object with one under ``result``.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")
    except UnicodeDecodeError:
        raise _unreadable(operation) from None
    start = re.match(rf"[{_BLANK}]*\[", text)
    if not start:
        yield from parse_connections(decode(body, operation=operation), operation=operation)
        return
    decoder, gap, position = json.JSONDecoder(), re.compile(rf"[{_BLANK}]*(,?)[{_BLANK}]*"), start.end()
    first = True
    while True:
        between = gap.match(text, position)
        position = between.end() if between else position
        if text[position : position + 1] == "]":
            if text[position + 1 :].strip(_BLANK) or (between and between.group(1)):
                raise _unreadable(operation)
            return
        if first == bool(between and between.group(1)):
            raise _unreadable(operation)
        try:
            row, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            raise _unreadable(operation) from None
        first = False
        yield _tidy(row, operation)


def decode(body: bytes, *, operation: str) -> Any:
    """Decode a JSON answer.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not JSON; the body is not quoted.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    # Raised here and not above: the decoder's own error carries the whole body.
    raise _unreadable(operation)


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


def parse_runtime_user_connection(payload: object) -> RuntimeUserConnection:
    """Return the id and the login URL of a new runtime user connection.

    :param payload: the decoded answer, under ``data`` or ``result``.
    :raises WorkatoResponseError: if it is not one.
    """
    operation = "create_runtime_user_connection"
    body = _unwrap(payload, "data", "result") if isinstance(payload, dict) else payload
    if not isinstance(body, dict):
        raise _unexpected(operation, "an object with id and url", payload)
    url = body.get("url")
    return {"id": _row_id(body, operation), "url": url if isinstance(url, str) and url else None}


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
    """Return what the API said of a disconnect or delete.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it does not report success.
    """
    body = _unwrap(payload, "result") if isinstance(payload, dict) and "success" not in payload else payload
    if not isinstance(body, dict) or body.get("success") is not True:
        raise _unexpected(operation, 'an object with "success": true', payload)
    return body


def with_details(payload: Mapping[str, Any]) -> tuple[str, dict[str, list[str]], str | None]:
    """Return message, errors by field and support id of an error's body.

    :param payload: the decoded body, in any of the shapes Workato's controllers use.
    """
    message = next(
        (payload[key] for key in ("message", "error", "detail", "description", "error_type", "title")
         if isinstance(payload.get(key), str) and payload[key]),
        "",
    )  # fmt: skip
    errors = payload.get("errors")
    fields: dict[str, list[str]] = {}
    if isinstance(errors, Mapping):
        for name, texts in errors.items():
            fields[str(name)] = [str(text) for text in texts] if isinstance(texts, list) else [str(texts)]
    elif isinstance(errors, list):
        titles = [
            str(error.get("title") or error.get("message") or error.get("code"))
            if isinstance(error, Mapping)
            else str(error)
            for error in errors
        ]
        message = message or "; ".join(titles)
    support_id = payload.get("id")
    return message, fields, support_id if isinstance(support_id, str) else None


def _tidy(row: object, operation: str) -> Connection:
    if not isinstance(row, dict):
        raise _unexpected(operation, "a connection", row)
    if type(row.get("id")) is not int:
        row["id"] = _row_id(row, operation)
    if row.get("provider") is None and "application" in row:
        row["provider"] = row["application"]
    # No endpoint returns it; should one ever do, it must not reach an XCom.
    row.pop("input", None)
    return row


def _row_id(row: dict[str, Any], operation: str) -> int:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    raise _unexpected(operation, "a numeric id", value)


def _unwrap(payload: dict[str, Any], *keys: str) -> Any:
    inner = next((payload[key] for key in keys if key in payload), payload)
    # Where an answer has an envelope of its own, another can be around it.
    return next((inner[key] for key in keys if key in inner), inner) if isinstance(inner, dict) else inner


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _unexpected(operation: str, wanted: str, got: object) -> WorkatoResponseError:
    return WorkatoResponseError(
        f"Workato answered {operation} with {_kind(got)} where {wanted} was expected. "
        "Check that the Airflow connection's Base URL leads to Workato's API.",
        status=200,
        operation=operation,
    )


def _unreadable(operation: str) -> WorkatoResponseError:
    return WorkatoResponseError(
        f"The answer to {operation} is not complete JSON. A proxy or a login page may have answered in "
        "Workato's place: check the Airflow connection's Base URL and Proxies.",
        status=200,
        operation=operation,
    )
