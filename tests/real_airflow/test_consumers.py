"""A result has the same type and value, however it is produced and however a downstream task reads it."""

from __future__ import annotations

import pytest

from tests.real_airflow.play import Outcome, names

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("name", list(names()))
def test_what_a_downstream_task_is_given(name: str, outcome: Outcome) -> None:
    result = outcome.results[name]
    assert result.is_right, (
        f"{name}\nexpected: {str(result.expected)[:2000]}\ncame:     {str(result.came)[:2000]}\n{result.log}"
    )
