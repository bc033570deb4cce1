"""The setting of the leak tests: the workspaces, the environment, and the files left afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from airflow_provider_workato.sandbox.client import running_sandbox
from tests.leaks.echo import ANSWERS, running_echo
from tests.leaks.sentinels import BUNDLE, CONNECTION, PUBLIC, SENTINELS, VARIABLES
from tools.leaks import Search, search

ROOT = Path(__file__).parents[2]
DAGS_FOLDER = Path(__file__).parent / "dags"

#: The sandbox's pages that need no token.
PAGES = ("", "sandbox/state", "sandbox/requests", "sandbox/faults")

#: The tasks that succeed. All others fail.
SUCCEED = {"create", "create_native", "update", "wait"}
MAPPED = 12


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A run of the leaking DAG.

    :param home: the ``AIRFLOW_HOME``, to which printed output and the sandbox's pages are written as well.
    :param env: the environment that Airflow needs, the only place that holds the credentials.
    :param secrets: the credentials that must not be found, by name.
    :param states: the tasks' states by task and map index.
    """

    home: Path
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    states: dict[tuple[str, int], str] = field(default_factory=dict)

    def search(self) -> Search:
        """Search everything that was left behind."""
        return search(self.home, self.secrets)

    def is_complete(self) -> bool:
        """Return whether every task ended as intended, so that every possible leak was provoked."""
        succeeded = {task for (task, _), state in self.states.items() if state == "success"}
        mapped = sum(task == "create_mapped" for task, _ in self.states)
        return (
            succeeded == SUCCEED and set(self.states.values()) == {"success", "failed"} and mapped == MAPPED
        )


@contextmanager
def leaking_scene(home: Path) -> Iterator[Scene]:
    """Set the scene; when the block ends, save the sandbox's pages.

    :param home: the ``AIRFLOW_HOME``.
    """
    # One attempt only, so that failures do not wait for retries.
    extra = {"retry_budget": 0, "calls_per_second": 100_000, "list_calls_per_minute": 6_000_000}
    with running_sandbox("--no-quota") as sandbox, running_echo() as echo:
        addresses = {"default": sandbox.url, **{answer: f"{echo}/{answer}" for answer in ANSWERS}}
        workspaces = {
            f"AIRFLOW_CONN_WORKATO_{name.upper()}": json.dumps(
                {"conn_type": "workato", "host": address, "password": sandbox.token, "extra": extra}
            )
            for name, address in addresses.items()
        }
        variables = {f"AIRFLOW_VAR_{name.upper()}": value for name, value in VARIABLES.items()}
        variables["AIRFLOW_VAR_BUNDLE"] = json.dumps(BUNDLE)
        variables["AIRFLOW_VAR_TOWN"] = PUBLIC
        yield Scene(
            home=home,
            env={**workspaces, **variables, "AIRFLOW_CONN_ELSEWHERE": json.dumps(CONNECTION)},
            secrets={**SENTINELS, "API token": sandbox.token},
        )
        for page in PAGES:
            shown = requests.get(f"{sandbox.url}/{page}", timeout=30)
            shown.raise_for_status()
            (home / f"shown {page.replace('/', ' ')}").write_bytes(shown.content)


def without_airflow(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without the settings of another Airflow."""
    return {name: value for name, value in environment.items() if not name.startswith("AIRFLOW")}
