"""An error that ended a trigger is found in the traceback that Airflow passes on."""

from __future__ import annotations

import traceback

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_workato import exceptions
from airflow_provider_workato.exceptions import WorkatoError, from_traceback
from tests.support.strategies import fixed

ERRORS = [
    value
    for value in vars(exceptions).values()
    if isinstance(value, type) and issubclass(value, WorkatoError)
]


@fixed
@given(
    error=st.sampled_from(ERRORS),
    message=st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=60),
)
def test_an_error_is_rebuilt_from_its_traceback(error: type[WorkatoError], message: str) -> None:
    try:
        raise error(message)
    except WorkatoError:
        lines = traceback.format_exc().splitlines()
    for told in (lines, "\n".join(lines)):
        rebuilt = from_traceback(told)
        assert type(rebuilt) is error
        assert str(rebuilt) == message


@fixed
@given(
    lines=st.none()
    | st.text()
    | st.lists(
        st.text()
        | st.builds(
            "{}{}{}".format,
            st.sampled_from(["airflow_provider_workato.exceptions.", ""]),
            st.sampled_from([*vars(exceptions), "", "."]),
            st.sampled_from([": ", ":", "", ": a: b"]),
        )
    )
)
def test_any_traceback_gives_our_error_or_nothing(lines: list[str] | str | None) -> None:
    assert isinstance(from_traceback(lines), WorkatoError | None)
