"""Rows of the shared poll, which are decoded when they are looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from airflow_provider_workato.exceptions import WorkatoResponseError
from airflow_provider_workato.triggers.rows import read_rows


def test_a_row_nested_too_deeply_for_the_stack_is_a_typed_error() -> None:
    depth = 600
    rows = read_rows([[msgspec.Raw(b'{"id": 36, "x": ' + b"[" * depth + b"]" * depth + b"}")]], {})

    def further_down(frames: int) -> Any:
        return further_down(frames - 1) if frames else rows[36].connection()

    # Python 3.12 and later count the frames of C on their own, and can decode it.
    with suppress(WorkatoResponseError):
        assert further_down(600)["id"] == 36


def _raws(*ids: int, name: str = "a") -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps({"id": number, "name": name}).encode()) for number in ids]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([range(40)], id="nothing"),
        pytest.param([range(15), range(15, 40)], id="other parts"),
        pytest.param([[1, 0, *range(2, 40)]], id="two swapped"),
        pytest.param([range(1, 41)], id="the first removed, one added"),
        pytest.param([[99, *range(20)], range(20, 40)], id="one added before"),
        pytest.param([[*range(39), 99]], id="the last replaced"),
        pytest.param([], id="all removed"),
    ],
)
def test_a_row_keeps_its_object_wherever_it_moves(after: list[Sequence[int]]) -> None:
    before = read_rows([_raws(*range(30)), _raws(*range(30, 40))], {})
    rows = read_rows([_raws(*part) for part in after], before)
    assert list(rows) == [number for part in after for number in part]
    for number, row in rows.items():
        assert row.connection() == {"id": number, "name": "a"}
        assert number not in before or row is before[number]
    changed = read_rows([_raws(0, name="b"), _raws(*range(1, 40))], before)
    assert changed[0] is not before[0]
    assert changed[0].connection()["name"] == "b"
    assert all(changed[number] is before[number] for number in range(1, 40))
