"""The bodies of errors have many shapes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workato.client.failures import error_details


@pytest.mark.parametrize(
    ("payload", "message", "fields", "support_id"),
    [
        ({"message": "Not found"}, "Not found", {}, None),
        ({"message": "Oops", "id": "3188c2d0"}, "Oops", {}, "3188c2d0"),
        ({"message": "", "error": "bad"}, "bad", {}, None),
        ({"message": {"a": 1}, "detail": "bad"}, "bad", {}, None),
        ({"id": 7}, "", {}, None),
        (
            {"errors": {"name": ["is empty", "is odd"], "x": "bad"}},
            "",
            {"name": ["is empty", "is odd"], "x": ["bad"]},
            None,
        ),
        ({"errors": [{"title": "a"}, {"message": "b"}, {"code": 3}, "d"]}, "a; b; 3; d", {}, None),
        ({"message": "m", "errors": ["d"]}, "m", {}, None),
        ({}, "", {}, None),
    ],
)
def test_bodies_of_errors(
    payload: dict[str, Any], message: str, fields: dict[str, list[str]], support_id: str | None
) -> None:
    assert error_details(payload) == (message, fields, support_id)
