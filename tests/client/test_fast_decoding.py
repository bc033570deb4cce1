"""Every way to decode a list gives the same, from plain JSON to the rows of the shared poll."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_workato.authorization import state_of
from airflow_provider_workato.client import fast_decoding
from airflow_provider_workato.client.answers import (
    decode_connections,
    iter_connections,
    parse_connections,
    split_connections,
)
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.triggers.rows import read_rows
from tests.support.strategies import fixed, json_values, list_bodies, result_or_error


@settings(fixed, max_examples=200)
@given(
    body=list_bodies() | st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode())
)
@example(body=b"[" + b"[" * 5000 + b"]" * 5000 + b"]")
@example(body=b'[{"id": ' + b"1" * 5000 + b"}]")
@example(body=b'[{"id": 1, "name": "\xff"}]')
@example(body=b"[\xc2\xa0]")
@example(body=b"[]\x0b")
@example(body='[{"id": 1}]'.encode("utf-16-le"))
@example(body='\ufeff[{"id": 1}]'.encode())
@example(body=b"[NaN]")
@example(body=b'[{"id": 1, "x": 18446744073709551616}]')
@example(body=b'[{"id": 1, "x": [-9223372036854775809]}]')
@example(body=b'[{"id": 1, "x": 1e999}]')
@example(body=b'[{"id": 1, "x": -0, "y": 1.0, "z": -0.0}]')
@example(body=b'[{"id": 1, "id": "2", "input": 3}]')
@example(body=b'[{"id": 1, "x": "\\ud800"}]')
@example(body=b'[{"id": 1, "x": [[[[[[]]]]]]}]')
@example(body=b'[{"id": 1, "application": "jira"}]')
@example(body=b'[{"id": 1, "x": "{},{"},{"id": 2},{"id": 3, "x": [{},{"y": "},{"}]},{"id": 4}]')
@example(body=b'[{"id": 1},{"id": 2, "x": NaN},{"id": 3}]')
@example(body=b'[{"id": 1},{"id": 2},3]')
@example(body=b'{"result": [{"id": 1},{"id": 2}]}')
@pytest.mark.parametrize("part", [0, 30, 1 << 20])
def test_every_way_to_decode_a_list_gives_the_same(part: int, body: bytes) -> None:
    with mock.patch.object(fast_decoding, "_PART", part):
        every_way_gives_the_same(body)


def every_way_gives_the_same(body: bytes) -> None:
    by_json = result_or_error(lambda: parse_connections(decode(body, operation="list_connections")))
    at_once = result_or_error(lambda: decode_connections(memoryview(body)))
    row_by_row = result_or_error(lambda: list(iter_connections(memoryview(body))))
    polled = result_or_error(lambda: polled_rows(body))
    # By their texts: -0.0 is equal to 0.
    assert repr(at_once) == repr(by_json)
    assert repr(row_by_row) == repr(by_json)
    if isinstance(by_json, list):
        by_id = {row["id"]: row for row in by_json}
        assert repr(polled) == repr(by_id)
    else:
        assert polled is by_json


def polled_rows(body: bytes) -> dict[int, Any]:
    """Return the rows as a shared poll gives them, and check what it shows of them without decoding them."""
    rows = read_rows(split_connections(memoryview(body)), {})
    again = read_rows(split_connections(memoryview(body)), rows)
    assert list(rows) == list(again)
    assert all(again[number] is row for number, row in rows.items())
    whole = {number: row.connection() for number, row in rows.items()}
    for number, row in rows.items():
        assert row.state is state_of(whole[number])
        for name in ("external_id", "folder_id", "provider"):
            assert repr(getattr(row.fields(), name)) == repr(whole[number].get(name))
    return whole
