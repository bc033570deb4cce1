"""An object that holds a credential does not show it when it is printed, copied or stored."""

from __future__ import annotations

import copy
import http.client
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workato import exceptions
from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.calls import Call, json_body
from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.exceptions import WorkatoError, WorkatoRateLimitError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.redaction import HiddenBytes, Sealed
from tests.leaks.sentinels import SENTINELS
from tests.support.sandbox import RunningSandbox

INPUT = {"pwd": list(SENTINELS.values()), "deep": [{"er": dict(SENTINELS)}]}
#: As an operator's argument, where every text is a template.
TEMPLATES = json.loads(json.dumps(INPUT).replace("{%", "{{ '{%' }}"))


def shown_by(text: str | bytes, *secrets: str) -> list[str]:
    """Return the credentials that a string contains."""
    shown = text if isinstance(text, bytes) else text.encode()
    return [
        secret
        for secret in (*SENTINELS.values(), *secrets)
        for spelling in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(secret.encode())[2:-1])
        if spelling.encode() in shown
    ]


def pickled(value: object) -> bytes:
    """Return a pickle, or nothing if the object cannot be pickled."""
    try:
        return pickle.dumps(value)
    except (TypeError, pickle.PicklingError, AttributeError):
        return b""


FACES: dict[str, Callable[[Any], str | bytes]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "vars": lambda value: repr(getattr(value, "__dict__", None)),
    "vars of a copy": lambda value: repr(getattr(copy.copy(value), "__dict__", None)),
    "repr of a deep copy": lambda value: repr(copy.deepcopy(value)),
    "pickle": pickled,
}


def rendered(operator: Any) -> Any:
    """Render an operator's fields, as Airflow does before it stores them."""
    operator.render_template_fields({})
    return operator


HOLDERS: dict[str, Callable[[], Any]] = {
    "sealed": lambda: Sealed(INPUT),
    "body": lambda: json_body({"name": "x"}, secrets=Sealed(INPUT)),
    "bytes of a body": lambda: HiddenBytes(json.dumps(INPUT).encode()),
    "call": lambda: Call(
        endpoint=endpoints.CREATE, body=json_body({}, secrets=Sealed(INPUT)), secrets=Sealed(INPUT)
    ),
    "create operator": lambda: rendered(
        WorkatoCreateConnectionOperator(task_id="x", name="x", provider="rest", input=TEMPLATES)
    ),
    "update operator": lambda: rendered(
        WorkatoUpdateConnectionOperator(task_id="x", connection_id=1, input=TEMPLATES)
    ),
}


@pytest.mark.parametrize("face", ["repr", "str", "format", "repr of a deep copy", "pickle"])
@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
def test_what_holds_credentials_does_not_show_them(make: Callable[[], Any], face: str) -> None:
    assert shown_by(FACES[face](make())) == []


def test_the_bytes_of_a_body_are_still_there() -> None:
    """Without this, the test above would prove nothing."""
    assert len(set(shown_by(bytes(json_body({}, secrets=Sealed(INPUT)).reveal())))) == len(SENTINELS)


@pytest.mark.parametrize("face", FACES)
def test_a_hook_does_not_show_its_token(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, face: str
) -> None:
    for holder in (hook, hook.settings, hook.transport, hook.get_conn(), hook.get_conn().auth):
        if face == "repr of a deep copy" and not isinstance(holder, WorkatoSettings):
            continue  # a session has locks, which cannot be copied
        assert shown_by(FACES[face](holder), sandbox.token) == []


def test_the_debug_output_of_the_http_library_shows_no_credential(
    hook: WorkatoConnectionsHook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    hook.create_connection(name="x", provider="rest", input=INPUT)
    printed = capsys.readouterr().out
    assert "send: b'POST /api/connections" in printed
    assert shown_by(printed) == []


def test_an_error_of_the_http_library_shows_no_credential(hook: WorkatoConnectionsHook) -> None:
    """It never reaches a task, but an error reporter that hooks into the library sees it."""
    call = Call(endpoint=endpoints.CREATE, body=json_body({}, secrets=Sealed(INPUT)), secrets=Sealed(INPUT))
    assert call.body is not None
    with pytest.raises(OSError, match="Connection refused") as caught:
        hook.get_conn().post("http://127.0.0.1:1/", data=call.body.reveal(), timeout=5)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert shown_by("".join(told.format())) == []


ERRORS = [
    value
    for value in vars(exceptions).values()
    if isinstance(value, type) and issubclass(value, WorkatoError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_survives_being_stored(kind: type[WorkatoError]) -> None:
    error = kind("what happened")
    if isinstance(error, WorkatoRateLimitError):
        error = WorkatoRateLimitError("what happened", retry_after=7, status=429, field_errors={"a": ["b"]})
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(twin) is kind
        assert str(twin) == "what happened"
        assert vars(twin) == vars(error)
