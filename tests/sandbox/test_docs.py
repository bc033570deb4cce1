"""The documentation says what the sandbox does."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from airflow_provider_workato.sandbox import cli
from airflow_provider_workato.sandbox.connection import CREDENTIAL_WORDS
from airflow_provider_workato.sandbox.faults import FAULTS, Fault
from airflow_provider_workato.sandbox.folders import FOLDERS
from airflow_provider_workato.sandbox.providers import OAUTH_PROVIDERS, PROVIDER_LISTS
from airflow_provider_workato.sandbox.traffic import Operation
from tests.support.sandbox import RunningSandbox

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


def row(name: str, fault: Fault) -> str:
    carried_out = "always" if fault.needs_response else "yes" if fault.performed else "no"
    parameters = ", ".join(f"`{parameter}` = {value}" for parameter, value in fault.parameters.items())
    return f"| `{name}` | {fault.what} | {carried_out} | {parameters} |"


def test_the_table_of_faults_is_the_table_in_the_code() -> None:
    rows = [row(name, fault) for name, fault in FAULTS.items()]
    shown = [line for line in PAGE.split("| Fault |", 1)[1].splitlines() if line.startswith("| `")]
    assert shown == rows, "paste this:\n" + "\n".join(rows)


@pytest.mark.parametrize(
    "word",
    [
        # Sorted, since parallel processes must collect the same tests.
        *sorted(CREDENTIAL_WORDS),
        *sorted(OAUTH_PROVIDERS),
        *sorted(PROVIDER_LISTS),
        *(operation for operation in Operation if operation is not Operation.UNKNOWN),
    ],
)
def test_words_that_mean_something(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_folders() -> None:
    for folder in FOLDERS:
        assert f"{folder.id} “{folder.name}”" in PAGE


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    options = {
        word.strip("[],") for word in capsys.readouterr().out.split() if word.strip("[").startswith("--")
    }
    assert options - {"--help"} == {
        line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `--")
    }


def test_control_routes(sandbox: RunningSandbox) -> None:
    described = requests.get(f"{sandbox.url}/sandbox/openapi.json", timeout=30).json()["paths"]
    for path, methods in described.items():
        if path.startswith("/sandbox/"):
            for method in methods:
                route = f"{method.upper()} {path.removeprefix('/sandbox/').replace('connection_id', 'id')}"
                assert f"`{route}`" in PAGE
