"""One cluster and one workspace for all scenarios, which run in the order of their file."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox, wait_until
from tests.cluster.figures import TRIGGERERS, Figures, Meter
from tools.example_runs import OF_SETS

if TYPE_CHECKING:
    from tools.airflow_api import AirflowApi
    from tools.edge_cluster import EdgeCluster
    from tools.mailbox import Mailbox

WATCHED = ("salesforce", "jira")
WORKERS = 2
#: With this prefix, the tasks of a run go to Edge workers.
EDGE_RUN = "edge"
#: The creates of ``cluster_held``.
HELD = 2
#: Airflow loads it as the cluster's policy.
_POLICY = f"""
def task_instance_mutation_hook(task_instance, dag_run=None):
    if (task_instance.run_id or "").startswith("{EDGE_RUN}"):
        task_instance.executor = "EdgeExecutor"
"""
_EXAMPLES_FOLDER = Path(__file__).parents[2] / "example_dags"
EXAMPLES = tuple(path.stem for path in sorted(_EXAMPLES_FOLDER.glob("*.py")) if path.stem not in OF_SETS)
_FIGURES = pytest.StashKey[list[Figures]]()


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the scenarios are.

    :param interval: seconds between two polls
    """

    waits: int
    creates: int
    restarted: int
    rotated: int
    interval: float = 10.0


FULL = Size(waits=200, creates=40, restarted=50, rotated=30)
SHORT = Size(waits=60, creates=16, restarted=20, rotated=10, interval=5.0)


@dataclass(kw_only=True)
class Stage:
    """The processes and the workspace of the scenarios.

    :param workers: the names of the workers that run all tasks but those of :data:`EDGE_RUN`
    :param ids: the connections that each DAG waits for
    :param whole: counts from the start of the first scenario
    """

    cluster: EdgeCluster
    workers: Sequence[str]
    sandbox: SandboxProcess
    mailbox: Mailbox
    size: Size
    ids: dict[str, list[int]]
    figures: list[Figures] = field(default_factory=list)

    @cached_property
    def whole(self) -> Meter:
        return self.meter("all scenarios")

    @property
    def api(self) -> AirflowApi:
        return self.cluster.api

    def meter(self, scenario: str) -> Meter:
        return Meter(
            scenario,
            control=self.sandbox.control,
            api=self.api,
            watched=WATCHED,
            lasting=2 * self.size.interval,
        )

    def seed(self, dag_id: str) -> list[int]:
        """Put the connections that a DAG waits for into the workspace."""
        rows = [
            {"id": number, "name": f"{dag_id} {number}", "provider": "salesforce"}
            for number in self.ids[dag_id]
        ]
        return self.sandbox.control.seed(rows)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="play the scenarios with fewer tasks")
    parser.addoption("--edge", action="store_true", help="play them on Edge workers instead of Celery's")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stage]:
    # Import here: where these tests are not selected, the dependencies are not installed.
    from tools.edge_cluster import EdgeCluster
    from tools.example_runs import EXAMPLE_POOLS
    from tools.mailbox import running_mailbox
    from tools.postgres import running_postgres
    from tools.redis import running_redis

    size = SHORT if request.config.getoption("--short", default=False) else FULL
    edge: bool = request.config.getoption("--edge", default=False)
    ids = {
        "cluster_waits": list(range(100_001, 100_001 + size.waits)),
        "cluster_restart": list(range(200_001, 200_001 + size.restarted)),
        "cluster_rotation": list(range(300_001, 300_001 + size.rotated)),
        "cluster_edge_waits": list(range(400_001, 400_004)),
    }
    creates = {
        "cluster_creates": size.creates,
        "cluster_one_run": 8,
        "cluster_one_slot": 4,
        "cluster_held": HELD,
    }
    plan = {"interval": size.interval, "waits": ids, "creates": creates, "watched": WATCHED}
    dags = tmp_path_factory.mktemp("dags")
    for path in [Path(__file__).parent / "dags" / "cluster.py", *_EXAMPLES_FOLDER.glob("*.py")]:
        source = path.read_text()
        if path.stem == "example_workato_lost":
            given = source
            source = source.replace(
                'provider="salesforce", ', f'provider="salesforce", poke_interval={size.interval}, '
            )
            assert source != given
        (dags / path.name).write_text(source)
    home = tmp_path_factory.mktemp("airflow")
    (home / "config").mkdir()
    (home / "config" / "airflow_local_settings.py").write_text(_POLICY)
    began = time.monotonic()
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox())
        mailbox = stack.enter_context(running_mailbox())
        cluster = stack.enter_context(
            EdgeCluster(
                home=home,
                dags_folder=dags,
                database=stack.enter_context(running_postgres()),
                broker=stack.enter_context(nullcontext("") if edge else running_redis()),
                triggerers=TRIGGERERS,
                workers=0 if edge else WORKERS,
                edge_workers=WORKERS if edge else 0,
                env={"CLUSTER_TESTS_PLAN": json.dumps(plan)},
                connections=_connections(sandbox, mailbox, interval=size.interval),
                pools=EXAMPLE_POOLS,
            )
        )
        cluster.api.wait_for_dags(*ids, *creates, *EXAMPLES, *(f"cluster_watch_{app}" for app in WATCHED))
        print(f"\ncluster started in {time.monotonic() - began:.0f} s", flush=True)
        stage = Stage(
            cluster=cluster,
            workers=[f"{'edge' if edge else 'worker'}-{number}" for number in range(WORKERS)],
            sandbox=sandbox,
            mailbox=mailbox,
            size=size,
            ids=ids,
        )
        request.config.stash[_FIGURES] = stage.figures
        # From now on it counts: a watch does not tell what already holds when it begins.
        wait_until(lambda: cluster.begun_watches() > len(WATCHED), what="all watches to begin", deadline=180)
        stage.whole.seconds()
        yield stage
    if not request.session.testsfailed:
        shutil.rmtree(home, ignore_errors=True)


def _connections(sandbox: SandboxProcess, mailbox: Mailbox, *, interval: float) -> dict[str, dict[str, Any]]:
    # Each worker limits only itself, so each gets its share of what the triggerers leave of Workato's quotas.
    # Waits that follow other tasks may need a list of their own, together, twice a minute.
    polls = TRIGGERERS * (60 / interval + 2)
    shares = {"list_calls_per_minute": int((60 - polls) / WORKERS), "calls_per_second": 1 / WORKERS}
    jira = {"conn_type": "generic", "host": "acme.atlassian.net", "login": "ada", "password": "a-credential"}
    # A call that is held must not time out before its worker is killed, nor count as over before the retry.
    held = {"read_timeout": 600, "server_timeout": 600}
    return {
        "workato_default": json.loads(sandbox.airflow_conn) | {"extra": shares},
        "workato_held": json.loads(sandbox.airflow_conn) | {"extra": shares | held},
        "jira": jira,
        "jira_hooli": jira | {"password": "wrong-credentials-of-hooli"},
        "smtp_default": json.loads(mailbox.airflow_conn),
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(_FIGURES, []):
        terminalreporter.section("a cluster of two workers and two triggerers")
        for figures in found:
            terminalreporter.write_line(str(figures))
