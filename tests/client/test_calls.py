"""The body of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.secrets import SECRET, everything_shown


def bad_inputs() -> Iterator[Callable[[], dict[str, Any]]]:
    yield lambda: {"a": SECRET, "b": {1, 2}}
    yield lambda: {"a": SECRET, "b": float("inf")}
    yield lambda: {"a": SECRET, "b": object()}

    def endless() -> dict[str, Any]:
        made: dict[str, Any] = {"a": SECRET}
        made["self"] = made
        return made

    yield endless


@pytest.mark.parametrize("make", bad_inputs())
def test_no_refused_input_shows_a_credential(
    hook: WorkatoConnectionsHook, make: Callable[[], dict[str, Any]]
) -> None:
    with pytest.raises(WorkatoError, match="input must contain only strings, finite numbers") as caught:
        hook.create_connection(name="A", provider="jira", input=make())
    assert SECRET not in everything_shown(caught.value)
