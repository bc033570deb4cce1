"""What is JSON but hardly anything else can write down is made harmless; deep nesting is an error of ours."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from airflow_provider_workato.authorization import failure
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.failures import error_details
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.airflow import AIRFLOW
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.strategies import result_or_error

#: Rows that are JSON, and that hardly anything else can write down.
ODD: dict[str, tuple[str, Any]] = {
    "half a character": (r'"a\ud800b"', "a\ufffdb"),
    "the other half": (r'"\uDFFF"', "\ufffd"),
    "two halves": (r'"\ud83d\ude00"', "\U0001f600"),
    "half a character inside": (r'[{"\ud800": ["\ud800"]}]', [{"\ufffd": ["\ufffd"]}]),
    "other escapes": (r'"\u00fc\\ud800"', "ü\\ud800"),
    "a large integer": ("18446744073709551616", "18446744073709551616"),
    "a large negative integer": ("-9223372036854775809", "-9223372036854775809"),
    "a huge integer": ("1" * 5000, "1" * 5000),
    "an integer of 64 bits": ("18446744073709551615", 2**64 - 1),
    "a negative integer of 64 bits": ("-9223372036854775808", -(2**63)),
    "not a number": ("NaN", None),
    "infinity": ("[Infinity, -Infinity]", [None, None]),
    "a float that is too large": ("1e999", None),
    "a float": ("-1.5e3", -1500.0),
}


@pytest.mark.parametrize(("written", "read"), ODD.values(), ids=ODD)
def test_odd_values_are_made_harmless(connect: Connect, written: str, read: Any) -> None:
    for text in (f'[{{"id": 36, "x": {written}}}]', f'{{"result": [{{"id": 36, "x": {written}}}]}}'):
        with listening(body=text.encode()) as workato:
            connect(host=workato.url)
            hook = WorkatoConnectionsHook()
            rows = hook.list_connections()
            assert rows == list(hook.iter_connections()) == [{"id": 36, "x": read}]
            hook.close()
        json.dumps(rows, allow_nan=False, ensure_ascii=False).encode()


def test_half_a_character_in_the_bytes(connect: Connect) -> None:
    with listening(body=b'[{"id": 36, "name": "\xed\xa0\x80"}]') as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        assert hook.list_connections() == list(hook.iter_connections()) == [{"id": 36, "name": "\ufffd"}]
        hook.close()


@pytest.mark.skipif(AIRFLOW.major == 2, reason="Airflow 2 has no supervisor to write to")
@pytest.mark.parametrize("written", [written for written, _ in ODD.values()], ids=ODD)
def test_the_triggerer_can_write_them(connect: Connect, written: str) -> None:
    """The triggerer hands events to its supervisor as msgpack; a row it cannot write ends all triggers."""
    from airflow.sdk.execution_time.comms import _RequestFrame

    with listening(body=f'[{{"id": 36, "x": {written}}}]'.encode()) as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        for row in hook.iter_connections():
            _RequestFrame(id=1, body={"connection": row}).as_bytes()
        hook.close()


# Deep nesting

DEPTHS = [10, 500, 900, *range(sys.getrecursionlimit() - 100, sys.getrecursionlimit(), 3), 10_000]
DEEP_ROWS = [
    b'{"id": 1, "authorization_status": %s, "connection_lost_at": "x", "%s": DEEP}' % (status, key)
    for status in (b'"failed"', b"null")
    for key in (
        b"authorization_status",
        b"authorization_error",
        b"connection_lost_reason",
        b"name",
        b"provider",
    )
]
DEEP_ERRORS = [b'{"errors": {"a": DEEP}}', b'{"errors": [DEEP]}', b'{"errors": {"a": [DEEP]}}']


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_nesting_is_our_error_or_none(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth

    def decoded(text: bytes) -> Any:
        return result_or_error(lambda: decode(text.replace(b"DEEP", deep), operation="list_connections"))

    for row in map(decoded, DEEP_ROWS):
        if isinstance(row, dict):
            assert failure(row) is not None
    for payload in map(decoded, DEEP_ERRORS):
        if isinstance(payload, dict):
            assert error_details(payload)
