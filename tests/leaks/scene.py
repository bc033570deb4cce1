"""The setting of the leak tests: the workspaces, the environment, and the files left afterwards."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from cryptography.fernet import Fernet

from airflow_provider_workato.sandbox.client import running_sandbox
from tests.leaks.echo import ANSWERS, running_echo
from tests.leaks.sentinels import BUNDLE, CONNECTION, PUBLIC, SENTINELS, VARIABLES, tenant
from tools.leaks import Search, search

ROOT = Path(__file__).parents[2]
DAGS_FOLDER = Path(__file__).parent / "dags"
PLUGINS_FOLDER = Path(__file__).parent / "plugins"
#: The files in the ``AIRFLOW_HOME`` that a listener and the lineage provider write.
RECORDED, LINEAGE = "recorded.jsonl", "lineage.jsonl"
#: The file with the Airflow variables, which the database holds encrypted.
STORED = "variables.json"
#: How many Airflow connections there are with the credentials of a set.
TENANTS = 60

#: The sandbox's pages that need no token.
PAGES = ("", "sandbox/state", "sandbox/requests", "sandbox/faults")

#: The tasks that succeed. All others fail.
SUCCEED = {
    "apply",
    "apply_again",
    "create",
    "create_native",
    "names",
    "names_of_tenants",
    "plan",
    "update",
    "wait",
}
#: The number of instances of each mapped task.
MAPPED = {
    "create_mapped": len(VARIABLES) + 4,
    "create_expanded": len(VARIABLES),
    "create_tenants": len(VARIABLES),
}


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

    def recorded(self) -> set[tuple[str, str]]:
        """Return the events that the listener was told of, each with its task."""
        lines = (self.home / RECORDED).read_text().splitlines()
        return {(told["event"], told["task"]) for told in map(json.loads, lines)}

    def fingerprints(self) -> list[int]:
        """Return how many fingerprints each of Airflow's variables holds."""
        stored = json.loads((self.home / STORED).read_text())
        # An empty one says that it is not known what was sent.
        return [sum(map(bool, known.values())) for name, known in stored.items() if "fingerprints" in name]

    def is_complete(self) -> bool:
        """Return whether every task ended as intended, so that every possible leak was provoked."""
        succeeded = {task for (task, _), state in self.states.items() if state == "success"}
        mapped = Counter(task for task, _ in self.states if task in MAPPED)
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
        tenants = {f"AIRFLOW_CONN_TENANT_{number}": json.dumps(tenant(number)) for number in range(TENANTS)}
        lineage = {"type": "file", "log_file_path": str(home / LINEAGE), "append": True}
        listeners = {
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS_FOLDER),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(lineage),
            "AIRFLOW__OPENLINEAGE__INCLUDE_FULL_TASK_INFO": "True",
        }
        yield Scene(
            home=home,
            env={
                **workspaces,
                **variables,
                **tenants,
                **listeners,
                "AIRFLOW_CONN_ELSEWHERE": json.dumps(CONNECTION),
                # Airflow 2 makes none for an Airflow home without a configuration file.
                "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            },
            secrets={**SENTINELS, "API token": sandbox.token},
        )
        for page in PAGES:
            shown = requests.get(f"{sandbox.url}/{page}", timeout=30)
            shown.raise_for_status()
            (home / f"shown {page.replace('/', ' ')}").write_bytes(shown.content)


def without_airflow(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without the settings of another Airflow."""
    return {name: value for name, value in environment.items() if not name.startswith("AIRFLOW")}
