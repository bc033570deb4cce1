"""What goes to Workato and what comes back, as plain data.

Real answers differ from the documentation (missing keys, extra keys, ``application`` or
``provider``), so nothing but a connection's ``id`` is taken for granted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoResponseError
from airflow_provider_workato.redaction import Sealed, without_credentials

#: Half a character, which no encoding can write.
_SURROGATE = re.compile("[\ud800-\udfff]")

#: What JSON takes for a blank; Python's own idea of it is wider.
_BLANK = " \t\n\r"

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

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

    @property
    def key(self) -> str:
        """What all that could mean the same connection have in common."""
        return f"name {self.name}" if self.external_id is None else f"external_id {self.external_id}"

    def is_certain_of(self, row: Connection) -> bool:
        """Tell whether *row*, which matches, cannot be another's: a name is unique in a folder at best.

        :param row: a connection from the list.
        """
        return self.external_id is not None or (
            self.folder_id is not None and row.get("folder_id") == self.folder_id
        )

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
    raise WorkatoConfigurationError(
        f"{what} must be a connection's number such as 36, not {_shown(value)}."
        if what == "connection_id"
        else f"{what} must be a number such as 1892, not {_shown(value)}."
    )


def to_optional_id(value: object, *, what: str) -> int | None:
    """Like :func:`to_id`, with ``None`` for an argument that was not given.

    :param value: an integer, a text of digits, or ``None``.
    :param what: the argument's name, for the error.
    """
    return None if value is None else to_id(value, what=what)


def to_flag(value: object, *, what: str) -> bool:
    """Return a boolean, as it is or as a template gives it.

    :param value: a boolean, or one of the strings true, false, yes, no, 1 and 0 in any case.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: for everything else, before any request is made.
    """
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if flag is None:
        raise WorkatoConfigurationError(
            f"{what} must be true or false (also yes, no, 1 or 0), not {_shown(value)}."
        )
    return flag


def to_optional_flag(value: object, *, what: str) -> bool | None:
    """Like :func:`to_flag`, with ``None`` for an argument that was not given.

    :param value: a boolean, a string as for :func:`to_flag`, or ``None``.
    :param what: the argument's name, for the error.
    """
    return None if value is None else to_flag(value, what=what)


def one_of(value: object, choices: Sequence[str], *, what: str) -> None:
    """Check an argument that has a closed set of values.

    :param value: what was given.
    :param choices: the values there are.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is none of them.
    """
    if value not in choices:
        raise WorkatoConfigurationError(f"{what} must be one of {', '.join(choices)}, not {_shown(value)}.")


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


def parse_connections(
    payload: object, *, operation: str = "list_connections", secrets: Sealed | None = None
) -> list[Connection]:
    """Return the connections of a list answer, a bare array or one under ``result``.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :param secrets: the texts that no row may quote, longest first.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    rows = _unwrap(payload, "result", "data") if isinstance(payload, dict) else payload
    if not isinstance(rows, list):
        raise _unexpected(operation, "a list of connections", payload)
    for row in rows:
        _tidy(row, operation, secrets)
    return rows


def parse_connection(payload: object, *, operation: str, secrets: Sealed | None = None) -> Connection:
    """Return the connection of an answer, as it is or under ``result``.

    :param payload: the decoded answer.
    :param operation: the call, for the error.
    :param secrets: the texts that it may not quote, longest first.
    :raises WorkatoResponseError: if it is not a connection.
    """
    row = payload
    if isinstance(row, dict) and "id" not in row:
        row = _unwrap(row, "result", "data")
    return _tidy(row, operation, secrets)


def iter_connections(body: bytes, *, operation: str = "list_connections") -> Iterator[Connection]:
    """Decode a list answer one connection at a time.

    Decoding a large list in one go holds Python's global lock for all of it, which stops a
    triggerer's event loop even when done in a thread; between two rows other threads get their turn.

    :param body: the answer, a JSON array or an object with one under ``result``.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not a list of connections.
    """
    text = _text(body, operation)
    start = re.match(rf"[{_BLANK}]*\[", text)
    if not start:
        yield from parse_connections(decode(body, operation=operation), operation=operation)
        return
    gap, position = re.compile(rf"[{_BLANK}]*(,?)[{_BLANK}]*"), start.end()
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
            row, end = _DECODER.raw_decode(text, position)
            if text.find("\\u", position, end) >= 0:
                row = _mended(row)
        except (ValueError, RecursionError):
            raise _unreadable(operation) from None
        first, position = False, end
        yield _tidy(row, operation)


def decode(body: bytes, *, operation: str) -> Any:
    """Decode a JSON answer into values that Airflow can pass on and store.

    JSON allows what the rest of the world does not: half a character becomes U+FFFD, an integer beyond 64
    bits a string of its digits, and what is no finite number ``None``.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not JSON; the body is not quoted.
    """
    text = _text(body, operation)
    try:
        value = _DECODER.decode(text)
        return _mended(value) if "\\u" in text else value
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


def _shown(value: object) -> str:
    shown = repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
    return shown[:80]


def _tidy(row: object, operation: str, secrets: Sealed | None = None) -> Connection:
    if not isinstance(row, dict):
        raise _unexpected(operation, "a connection", row)
    if type(row.get("id")) is not int:
        row["id"] = _row_id(row, operation)
    if row.get("provider") is None and "application" in row:
        row["provider"] = row["application"]
    # No endpoint returns it; should one ever do, it must not reach an XCom.
    row.pop("input", None)
    # Written out twice: a list can have many thousand rows, and next to none has either.
    if row.get("authorization_error"):
        row["authorization_error"] = _harmless(row["authorization_error"], secrets)
    if row.get("connection_lost_reason"):
        row["connection_lost_reason"] = _harmless(row["connection_lost_reason"], secrets)
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


def _text(body: bytes, operation: str) -> str:
    encoding = json.detect_encoding(body)
    for errors in ("strict", "surrogatepass"):
        try:
            text = body.decode(encoding, errors)
        except UnicodeDecodeError:
            continue
        return text if errors == "strict" else _SURROGATE.sub("\ufffd", text)
    # Raised here and not above: the error of the encoding carries the whole body.
    raise _unreadable(operation)


def _integer(digits: str) -> int | str:
    if len(digits) < 19:
        return int(digits)
    # Python refuses to read more than some thousand digits.
    return int(digits) if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64 else digits


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=lambda _: None)


def _mended(value: Any) -> Any:
    """Return a decoded value without the half characters that escapes can have left in it."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


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
