"""Hypothesis strategies for what a server may answer, valid and invalid."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from airflow_provider_workato.exceptions import WorkatoError

# The same examples in every run: a test that fails now and then helps nobody.
fixed = settings(derandomize=True, deadline=None, max_examples=150, database=None)

#: A row as it was recorded.
RECORDED_ROW = {
    "application": "github",
    "id": 13116439,
    "name": "My GitHub account Test 1",
    "description": None,
    "authorized_at": "2023-12-10T22:20:38.092-06:00",
    "authorization_status": "exception",
    "authorization_error": "GitHub OAuth connection is no longer valid",
    "created_at": "2023-12-10T22:20:38.058-06:00",
    "updated_at": "2023-12-10T22:20:38.093-06:00",
    "external_id": None,
    "folder_id": 16667974,
    "parent_id": None,
    "connection_lost_at": None,
    "connection_lost_reason": None,
    "provider": None,
    "tags": None,
}
KEYS = [
    *RECORDED_ROW,
    "result",
    "data",
    "url",
    "success",
    "status",
    "message",
    "errors",
    "error",
    "title",
    "code",
    "input",
]
TIMES = [
    "2023-12-10T22:20:38.092-06:00",
    "2023-12-10T22:20:38Z",
    "2023-12-10",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "24:00",
    "",
]

texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    [*TIMES, "success", "failed", "exception", "7"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | texts
    | st.text(st.characters(categories=["Cs"]), max_size=3)
)
keys = st.sampled_from(KEYS) | st.text(max_size=5)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Return a connection, right but for a few keys."""
    row: dict[str, Any] = dict(RECORDED_ROW)
    for key in draw(st.lists(st.sampled_from(list(RECORDED_ROW)), max_size=4)):
        row.pop(key, None)
    return {**row, **draw(st.dictionaries(keys, json_values, max_size=4))}


payloads = (
    json_values
    | rows()
    | st.lists(rows() | json_values, max_size=3)
    | rows().map(lambda row: {"result": row})
)
blanks = st.text(st.sampled_from(" \t\r\n\v\f\x00\u00a0\u2028,"), max_size=3)


@st.composite
def list_bodies(draw: st.DrawFn) -> bytes:
    """Return the bytes of a list answer, right but for blanks, a cut, a flipped byte or an odd encoding."""
    parts = [json.dumps(row, ensure_ascii=draw(st.booleans())) for row in draw(st.lists(rows(), max_size=3))]
    separator = draw(st.sampled_from([",", ", ", ",\n", ",,", "", " "]))
    text = draw(blanks) + "[" + draw(blanks) + separator.join(parts) + draw(blanks) + "]" + draw(blanks)
    encoding = draw(
        st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
    )
    body = bytearray(text.encode(encoding, "surrogatepass"))
    if body and draw(st.booleans()):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body[: draw(st.integers(0, len(body))) if draw(st.booleans()) else len(body)])


def result_or_error(call: Callable[[], Any]) -> Any:
    """Return what a call gives, or the class of our error; let every other error through."""
    try:
        return call()
    except WorkatoError as error:
        return type(error)
