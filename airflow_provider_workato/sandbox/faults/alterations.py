"""Turn a request or a response into one that the API does not document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from unicodedata import normalize

#: Keys that every recorded response has.
ALWAYS_PRESENT = frozenset({"id", "success", "data", "url"})

_UNDOCUMENTED = {"identity": None, "on_prem_group_id": 77, "undocumented": {"nested": ["value"]}}


_STORED: Final[Mapping[str, Callable[[str], str]]] = {
    "trimmed": str.strip,
    "normalized": lambda text: normalize("NFC", text),
    "cut": lambda text: text[:255],
    "replaced": lambda text: f"another {text}",
}


def with_stored_texts(request_body: bytes, *, how: str) -> bytes:
    """Change the name and the external id of a request as a server may before it stores them.

    :param request_body: the request's body.
    :param how: ``trimmed``, ``normalized``, ``cut`` or ``replaced``.
    """
    try:
        body = json.loads(request_body)
    except ValueError:
        return request_body
    if not isinstance(body, dict):
        return request_body
    texts = {key: body[key] for key in ("name", "external_id") if isinstance(body.get(key), str)}
    return json.dumps(body | {key: _STORED[how](text) for key, text in texts.items()}).encode()


def with_wrong_values(value: Any) -> Any:
    """Replace every value by one of another type, numbers by strings for instance.

    :param value: any JSON value.
    """
    if isinstance(value, dict):
        return {key: with_wrong_values(item) for key, item in value.items()}
    if isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            return [with_wrong_values(item) for item in value]
        return "letters"
    if isinstance(value, bool):
        return "maybe"
    if isinstance(value, int | float):
        return "letters"
    return value if value is None else 7


def with_wrong_container(value: Any) -> Any:
    """Put an object where a list belongs and a list where an object belongs.

    :param value: any JSON value.
    """
    return {"connections": value} if isinstance(value, list) else [value]


def with_extra_keys(value: Any) -> Any:
    """Add keys to every object, and columns to every picklist row.

    :param value: any JSON value.
    """
    if isinstance(value, dict):
        return {**{key: with_extra_keys(item) for key, item in value.items()}, **_UNDOCUMENTED}
    if isinstance(value, list):
        is_row = bool(value) and not any(isinstance(item, dict | list) for item in value)
        return [*value, "another column"] if is_row else [with_extra_keys(item) for item in value]
    return value


def with_missing_keys(value: Any) -> Any:
    """Leave out every key that some real responses lack, and cut picklist rows to two columns.

    :param value: any JSON value.
    """
    if isinstance(value, dict):
        return {key: with_missing_keys(item) for key, item in value.items() if key in ALWAYS_PRESENT}
    if isinstance(value, list):
        is_row = bool(value) and not any(isinstance(item, dict | list) for item in value)
        return value[:2] if is_row else [with_missing_keys(item) for item in value]
    return value


def with_envelope(value: Any) -> Any:
    """Put the response under ``result``, as the embedding API does, in place of ``data`` if there is one.

    :param value: any JSON value.
    """
    is_wrapped = isinstance(value, dict) and list(value) == ["data"]
    return {"result": value["data"] if is_wrapped else value}
