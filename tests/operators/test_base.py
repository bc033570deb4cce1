"""Credentials of an operator: they are hidden, and public values are shown."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoAuthorizationError, WorkatoConfigurationError
from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.redaction import Sealed
from tests.leaks.echo import running_echo
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance


def operator(**arguments: Any) -> WorkatoCreateConnectionOperator:
    return WorkatoCreateConnectionOperator(task_id="create", name="A", provider="jira", **arguments)


@pytest.mark.parametrize("secret", ["abc", "a", "12345678", 'q"u\\ote', "ü"])
def test_credentials_move_out_of_sight(secret: str) -> None:
    task = operator(input={"a": {"b": [secret]}, "c": None, "d": True})
    task.render_template_fields({})
    assert task.input == {"a": {"b": ["***"]}, "c": "***", "d": "***"}
    assert isinstance(task.credentials, Sealed)
    assert task.credentials.reveal() == {"a": {"b": [secret]}, "c": None, "d": True}
    task.render_template_fields({})
    assert task.credentials.reveal()["a"] == {"b": [secret]}, "rendered once more, as Airflow 2 does"
    assert secret not in repr(vars(task).get("_credentials"))


def test_credentials_that_were_never_rendered() -> None:
    task = operator(input={"a": "b"})
    assert task.credentials is not None
    assert task.credentials.reveal() == {"a": "b"}
    assert task.input == {"a": "***"}
    assert operator().credentials is None


PUBLIC = ["host", "advanced.database", "hosts", "port"]


def test_a_public_value_is_shown() -> None:
    given = {
        "host": "acme.example",
        "port": 5432,
        "hosts": ["a.example", "b.example"],
        "advanced": {"database": "globex", "host": "s3cret.example"},
        "password": "pa55-word",
    }
    task = operator(input=given, public_input_keys=PUBLIC)
    for _ in range(2):  # Airflow 2 renders a task's fields more than once
        task.render_template_fields({})
        assert task.input == given | {
            "advanced": {"database": "globex", "host": "***"},
            "password": "***",
        }
    assert task.credentials is not None
    assert task.credentials.reveal() == given
    assert sorted(map(str, task.credentials.leaves())) == ["pa55-word", "s3cret.example"]


@pytest.mark.parametrize(
    "public",
    ["pa55-word", "postgres://app:pa55-word@acme.example", "pa55%2Dword or pa55-word", ["a", "pa55-word"]],
)
def test_a_public_value_that_contains_a_secret_is_not_shown(public: Any) -> None:
    task = operator(input={"host": public, "password": "pa55-word"}, public_input_keys=["host"])
    task.render_template_fields({})
    assert "pa55-word" not in str(task.input)
    assert task.input["host"] in ("***", ["a", "***"])


def test_a_public_key_does_not_make_a_nested_dict_public() -> None:
    task = operator(input={"host": {"password": "pa55-word"}}, public_input_keys=["host", "password"])
    task.render_template_fields({})
    assert task.input == {"host": {"password": "***"}}


def test_a_value_that_rendering_changes_again_keeps_its_secrets() -> None:
    """Airflow 2 renders a shown value once more, and can then turn it into another."""
    task = operator(input={"host": "a", "password": "pa55-word"}, public_input_keys=["host"])
    task.render_template_fields({})
    task.input = {"host": "b", "password": "***"}
    task.render_template_fields({})
    assert task.credentials is not None
    assert task.credentials.reveal() == {"host": "a", "password": "pa55-word"}


@pytest.mark.parametrize("keys", ["host_name", [1]])
def test_public_keys_are_a_list_of_strings(keys: Any) -> None:
    with pytest.raises(WorkatoConfigurationError, match=r"public_input_keys must be a list of keys such as"):
        operator(input={}, public_input_keys=keys)


def test_an_app_may_name_a_public_value(connect: Connect, sandbox: RunningSandbox) -> None:
    with running_echo() as echo:
        connect(host=f"{echo}/refused")
        task = operator(input={"database": "globex", "password": "pa55-word"}, public_input_keys=["database"])
        with pytest.raises(WorkatoAuthorizationError) as caught:
            task.execute(TaskInstance().context)
    assert "[globex] [***]" in str(caught.value)
    assert "pa55-word" not in str(caught.value)


def test_credentials_are_known_to_airflows_masker() -> None:
    from airflow.providers.common.compat.sdk import redact

    task = operator(input={"whatever": ["m4sk-me-please", {"x": 55667788}]})
    task.render_template_fields({})
    assert redact("it is m4sk-me-please and 55667788") == "it is *** and ***"


def test_a_public_value_is_not_masked_in_logs_unless_it_is_a_secret_as_well() -> None:
    from airflow.providers.common.compat.sdk import redact

    given = {"database": "harbour-lights", "owner": "app-own3r", "password": "app-own3r"}
    operator(input=given, public_input_keys=["database", "owner"]).render_template_fields({})
    # Airflow passes each log line of a task through this function.
    assert redact("app-own3r opened harbour-lights") == "*** opened harbour-lights"
