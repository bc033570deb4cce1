"""The body of a call."""

from __future__ import annotations

import json
from collections import ChainMap, OrderedDict, UserDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.redaction import Sealed
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import SECRET, everything_shown


@dataclass
class Given:
    key: str = SECRET


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "shown"


class Region(str, Enum):  # noqa: UP042 - as people wrote it before StrEnum
    EU = "eu"


WITHOUT_JSON: dict[str, Any] = {
    "Decimal": Decimal("1.10"),
    "UUID": UUID(int=7),
    "date": date(2026, 1, 31),
    "datetime": datetime(2026, 1, 31, tzinfo=UTC),
    "bytes": SECRET.encode(),
    "set": {SECRET},
    "deque": deque([SECRET]),
    "Given": Given(),
    "generator": (letter for letter in SECRET),
    "Sealed": Sealed(SECRET),
}


@pytest.mark.parametrize("kind", WITHOUT_JSON)
def test_a_value_that_json_does_not_have_is_named_by_its_key(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, kind: str
) -> None:
    given = {"a": SECRET, "advanced": [{}, MappingProxyType({"b": WITHOUT_JSON[kind]})]}
    calls: tuple[Callable[[], object], ...] = (
        lambda: hook.create_connection(name="A", provider="jira", input=given),
        lambda: hook.update_connection(36, input=given),
        lambda: hook.ensure_connection(name="A", provider="jira", input=given),
    )
    for call in calls:
        with pytest.raises(WorkatoConfigurationError) as caught:
            call()
        assert str(caught.value).startswith(f"input.advanced.1.b is of type {kind}. input must contain only")
        assert SECRET not in everything_shown(caught.value)
    with pytest.raises(WorkatoConfigurationError, match=rf"^pick_list_params\.x is of type {kind}\. The arg"):
        hook.get_picklist(36, "projects", {"x": WITHOUT_JSON[kind]})
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have(hook: WorkatoConnectionsHook, number: float) -> None:
    with pytest.raises(WorkatoConfigurationError, match=r"^input\.a is not a finite number\. "):
        hook.create_connection(name="A", provider="jira", input={"a": number})


def test_a_key_that_json_does_not_have(hook: WorkatoConnectionsHook) -> None:
    with pytest.raises(WorkatoConfigurationError, match=r"^input\.a is a dict with a key of type tuple\. "):
        hook.create_connection(name="A", provider="jira", input={"a": {("b", "c"): 1}})


def test_what_json_has_is_sent(connect: Connect) -> None:
    given: ChainMap[str, Any] = ChainMap(
        {"text": Name("sent"), "region": Region.EU, Name("key"): (1, 2.5, True, None)},
        {"advanced": MappingProxyType({"a": UserDict(b=OrderedDict(c=[]))}), "7": {7: "x"}},
    )
    with listening(body=b'{"id": 7}') as workato:
        connect(host=workato.url)
        with WorkatoConnectionsHook() as hook:
            hook.create_connection(name=Name("A"), provider="jira", input=given)
    assert json.loads(workato.heard[0].body) == {
        "name": "A",
        "provider": "jira",
        "input": {
            "text": "sent",
            "region": "eu",
            "key": [1, 2.5, True, None],
            "advanced": {"a": {"b": {"c": []}}},
            "7": {"7": "x"},
        },
    }


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
