"""Rows of the shared poll, which are decoded when they are looked at."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from airflow_provider_workato.exceptions import WorkatoResponseError
from airflow_provider_workato.triggers.rows import read_rows


def test_a_row_nested_too_deeply_for_the_stack_is_a_typed_error() -> None:
    depth = 600
    rows = read_rows([msgspec.Raw(b'{"id": 36, "x": ' + b"[" * depth + b"]" * depth + b"}")], {})

    def further_down(frames: int) -> Any:
        return further_down(frames - 1) if frames else rows[36].connection()

    # Python 3.12 and later count the frames of C on their own, and can decode it.
    with suppress(WorkatoResponseError):
        assert further_down(600)["id"] == 36
