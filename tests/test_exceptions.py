"""An error that ended a wait is the same after its way through a trigger's event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_workato import exceptions
from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoError,
    WorkatoExistsError,
    WorkatoRateLimitError,
    WorkatoTransportError,
    WorkatoValidationError,
    from_data,
    to_data,
)
from tests.support.strategies import fixed

ERRORS = [
    *(
        value
        for value in vars(exceptions).values()
        if isinstance(value, type) and issubclass(value, WorkatoError)
    ),
    AirflowSensorTimeout,
    AirflowTaskTimeout,
]


def sent(error: BaseException) -> Any:
    """Return what comes out of the database."""
    return json.loads(json.dumps(to_data(error)))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_a_wait_finds_its_way(kind: type[BaseException]) -> None:
    error = from_data(sent(kind("a: b\nc")))
    assert type(error) is kind
    assert str(error) == "a: b\nc"


@pytest.mark.parametrize(
    "error",
    [
        WorkatoAuthorizationError("m", connection_id=36, authorization_status="failed"),
        WorkatoRateLimitError("m", status=429, operation="list_connections", retry_after=2.5),
        WorkatoValidationError("m", status=422, field_errors={"name": ["a: b"]}, support_id="s", detail="d"),
        WorkatoExistsError("m", connection_ids=[1, 2]),
        WorkatoTransportError("m", operation="list_connections", request_sent=False),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_attributes_find_their_way(error: WorkatoError) -> None:
    again = from_data(sent(error))
    assert again is not None
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_what_is_long_does_not_come_along() -> None:
    error = WorkatoValidationError("m", status=422, detail="d" * 100_000)
    assert len(json.dumps(to_data(error))) < 300
    again = from_data(sent(error))
    assert isinstance(again, WorkatoValidationError)
    assert (again.status, again.detail) == (422, "")


@pytest.mark.parametrize("kind", ["ValueError", "KeyboardInterrupt", "TypeVar", "", None, 5, []])
def test_no_other_class_is_made(kind: object) -> None:
    assert from_data({"type": kind, "message": "m", "details": {}}) is None


def test_no_other_attribute_is_set() -> None:
    again = from_data(
        {"type": "WorkatoAuthError", "message": "m", "details": {"status": 401, "args": 1, "x": 2}}
    )
    assert vars(again) == vars(exceptions.WorkatoAuthError("m", status=401))


@fixed
@given(
    data=st.none()
    | st.text()
    | st.dictionaries(st.sampled_from(["type", "message", "details"]), st.none() | st.text() | st.integers())
)
def test_any_data_gives_an_error_or_nothing(data: object) -> None:
    assert from_data(data) is None
