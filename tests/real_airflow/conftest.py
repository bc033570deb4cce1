"""Run the whole table once on a real Airflow, and print it at the end of pytest's report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workato.sandbox.client import running_sandbox
from tests.real_airflow.abilities import READS_STORED, abilities
from tests.real_airflow.cells import (
    AIRFLOW,
    BESIDE_DAG_ID,
    CELLS,
    CONN_ID,
    IS_SHORT,
    OWNED_DAG_ID,
    RUNS_DAG_ID,
    STORED,
    SUBJECTS,
    TAKES,
    WATCHED_CONN_ID,
    WATCHED_SEEDS,
    WATCHES,
    seeds,
)
from tests.real_airflow.play import EXAMPLES, LOST_EXAMPLE, Outcome, Stage, example_sources, play

_OUTCOME = pytest.StashKey[Outcome]()
_ROOT = Path(__file__).parents[2]
#: The table does not test quotas, and would spend most of its time waiting for them.
_NO_QUOTA = {"calls_per_second": 10_000, "list_calls_per_minute": 600_000}
_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
_DAG_FILE = """\
# Airflow reads files that say DAG and airflow.
from tests.real_airflow.build import dag_of

dag = dag_of({dag_id!r})
"""


@pytest.fixture(scope="session")
def outcome(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    record_testsuite_property: Callable[[str, object], None],
) -> Outcome:
    """Run the table once and return the outcome."""
    with _staged(tmp_path_factory.mktemp("airflow")) as stage:
        found = play(stage)
    request.config.stash[_OUTCOME] = found
    for name, ability in abilities(found.results).items():
        record_testsuite_property(name, ability)
    return found


@contextmanager
def _staged(folder: Path) -> Iterator[Stage]:
    """Run a cluster with three workspaces: for the table, the watches and the examples.

    A second cluster keeps its XComs in an object store, and shares the table's workspace.
    """
    # Import here: where these tests are skipped, the dependencies are not installed.
    from tools.cluster import AirflowCluster
    from tools.example_runs import EXAMPLE_POOLS
    from tools.mailbox import running_mailbox
    from tools.postgres import running_postgres

    with ExitStack() as stack:
        connections: dict[str, dict[str, Any]] = {
            "jira": {
                "conn_type": "generic",
                "host": "acme.atlassian.net",
                "login": "ada",
                "password": "a-credential",
            }
        }
        mailbox = stack.enter_context(running_mailbox())
        connections["smtp_default"] = json.loads(mailbox.airflow_conn)
        workspaces = {}
        for conn_id in (CONN_ID, WATCHED_CONN_ID, "workato_default"):
            sandbox = stack.enter_context(running_sandbox("--no-quota"))
            connections[conn_id] = json.loads(sandbox.airflow_conn) | {"extra": _NO_QUOTA}
            workspaces[conn_id] = sandbox
        workspaces[CONN_ID].control.seed(seeds())
        workspaces[WATCHED_CONN_ID].control.seed(WATCHED_SEEDS)
        dags = _write_dags(folder / "dags", _dag_ids())
        for name, source in example_sources().items():
            (dags / f"{name}.py").write_text(source)
        env = {
            **({} if READS_STORED else _in_environment(connections)),
            "PYTHONPATH": str(_ROOT),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "60",
            # For the examples: Airflow can fail their short waits. The table's tasks have one try.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "2",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "0",
            # Parsing the files repeatedly would take more time than all tasks.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3600",
        }
        cluster = stack.enter_context(
            AirflowCluster(
                home=folder / "home",
                dags_folder=dags,
                env=env,
                database=stack.enter_context(running_postgres()),
                parallelism=12,
                connections=connections if READS_STORED else {},
                pools=EXAMPLE_POOLS,
            )
        )
        cluster.api.wait_for_dags(*_dag_ids(), *EXAMPLES)
        for path in dags.iterdir():
            if path.stem.startswith("watch_") or path.stem == LOST_EXAMPLE:
                # Airflow 3.0 starts a watch only when it parses the file for the second time.
                path.touch()
        objects = folder / "objects"
        storing = None
        if not IS_SHORT:
            storing = stack.enter_context(
                AirflowCluster(
                    home=folder / "storing",
                    dags_folder=_write_dags(folder / "stored_dags", _stored_dag_ids()),
                    env=env
                    | {
                        "AIRFLOW__CORE__XCOM_BACKEND": _BACKEND,
                        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": objects.as_uri(),
                        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
                    },
                    database=stack.enter_context(running_postgres()),
                    parallelism=4,
                    connections=connections if READS_STORED else {},
                )
            )
            storing.api.wait_for_dags(*_stored_dag_ids())
        yield Stage(cluster=cluster, storing=storing, objects=objects, workspaces=workspaces, mailbox=mailbox)


def _write_dags(folder: Path, dag_ids: list[str]) -> Path:
    folder.mkdir()
    for dag_id in dag_ids:
        (folder / f"{dag_id}.py").write_text(_DAG_FILE.format(dag_id=dag_id))
    return folder


def _in_environment(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(each) for conn_id, each in connections.items()}


def _dag_ids() -> list[str]:
    watches = [watch.dag_id for watch in WATCHES] + [BESIDE_DAG_ID] if AIRFLOW >= (3, 0) else []
    return [subject.dag_id for subject in SUBJECTS if subject.variant != STORED] + [RUNS_DAG_ID] + watches


def _stored_dag_ids() -> list[str]:
    return [subject.dag_id for subject in SUBJECTS if subject.variant == STORED] + [OWNED_DAG_ID]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(_OUTCOME, None)
    if found is None:
        return
    terminalreporter.section(f"consumer table on Airflow {version('apache-airflow')}")
    for line in _table(found):
        terminalreporter.write_line(line)
    for name, ability in abilities(found.results).items():
        terminalreporter.write_line(f"{name}: {ability}")


def _table(found: Outcome) -> Iterator[str]:
    rows: dict[str, dict[str, str]] = {}
    for cell in CELLS:
        rows.setdefault(cell.row, {})[cell.take] = _verdict(found, str(cell))
    width = max(map(len, rows))
    yield " ".join(["".ljust(width), *(take.center(len(take)) for take in TAKES)])
    for row, verdicts in rows.items():
        yield " ".join([row.ljust(width), *(verdicts.get(take, "").center(len(take)) for take in TAKES)])
    yield ""
    for name in found.results:
        if name not in {str(cell) for cell in CELLS}:
            yield f"{name.ljust(width + 20)} {_verdict(found, name)}"
    good = sum(result.is_right for result in found.results.values())
    yield f"{good} of {len(found.results)} right in {found.seconds:.0f} s"


def _verdict(found: Outcome, name: str) -> str:
    result = found.results.get(name)
    return "ok" if result and result.is_right else "FAIL"
