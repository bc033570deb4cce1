"""The fields of a connection, checked once."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.provisioning.identity import Identity
from airflow_provider_workato.provisioning.spec import ConnectionSpec


def test_only_what_is_given_is_sent() -> None:
    spec = ConnectionSpec.checked(
        "name", "provider", name="A", provider="jira", folder_id="5", parent_id=None, shell_connection="no"
    )
    assert spec.payload() == {"name": "A", "provider": "jira", "folder_id": 5, "shell_connection": False}
    assert spec.changes() == {"name": "A", "folder_id": 5, "shell_connection": False}


@pytest.mark.parametrize("given", [{"external_id": "acme\n"}, {"name": " A"}, {"external_id": "\u00a0e"}])
def test_blanks_at_the_ends(given: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    ((name, value),) = given.items()
    assert ConnectionSpec.checked(**given).payload() == given
    assert caplog.messages == [f"{name} is {value!r}: Workato may drop the blanks at its ends."]


def test_identity() -> None:
    spec = ConnectionSpec.checked(name="A", provider="jira", folder_id=5, parent_id=36, external_id="e")
    assert spec.identity() == Identity(provider="jira", name="A", folder_id=5, parent_id=36, external_id="e")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": None}, "name must be a string, not NoneType"),
        ({"name": "A", "folder_id": None}, "folder_id must be a number such as 1892, not None"),
        ({"name": "None", "folder_id": 1}, "name is 'None': probably a template rendered"),
        (
            {"name": "A", "folder_id": 1, "parent_id": "x"},
            "parent_id must be a connection's number such as 36",
        ),
        (
            {"name": "A", "folder_id": 1, "external_id": 5},
            "external_id must be a string, not int. Write '5'.",
        ),
        ({"name": "A", "folder_id": 1, "parent_id": "UNSET"}, "To empty it, write 'unset'"),
        ({"name": "A", "folder_id": 1, "redirect_url": " "}, "redirect_url is ' ': probably a template"),
        ({"name": "A", "folder_id": 1, "shell_connection": "maybe"}, "shell_connection must be true or"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match=said):
        ConnectionSpec.checked("name", "folder_id", **arguments)
