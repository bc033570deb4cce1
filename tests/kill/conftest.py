"""One real Airflow for all kill tests, and a separate workspace for each experiment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_workato.sandbox.client import SandboxControl, running_sandbox
from tests.kill.points import POINTS

if TYPE_CHECKING:
    from tools.airflow_api import AirflowApi
    from tools.cluster import AirflowCluster

#: The extras of each Airflow connection. A call that is held must not time out before it is killed.
EXTRAS: dict[str, dict[str, float]] = {
    "waits": {},
    # Sixty creates take so long that they can be killed halfway. What that interrupts arrives soon or late.
    "killed_at_random": {"calls_per_second": 10, "read_timeout": 600, "server_timeout": 0.5},
    "killed_while_late": {"calls_per_second": 10, "read_timeout": 600, "server_timeout": 600},
    **{point.name: {"read_timeout": 600, "server_timeout": point.server_timeout} for point in POINTS},
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The processes that the kill tests use.

    :param cluster: Airflow, without a triggerer at first.
    :param workspaces: the sandboxes by the ids of their Airflow connections.
    :param answered: the directory in which a create leaves a file once it has read the answer.
    """

    cluster: AirflowCluster
    workspaces: dict[str, SandboxControl]
    answered: Path

    @property
    def api(self) -> AirflowApi:
        return self.cluster.api


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # Import here: where these tests are skipped, the dependencies are not installed.
    from tools.cluster import AirflowCluster
    from tools.postgres import running_postgres

    answered = tmp_path_factory.mktemp("answered")
    env = {
        "AIRFLOW_CONN_JIRA": json.dumps({"conn_type": "generic", "password": "a-credential"}),
        # The API server serves all tasks at once; by default it has database connections for fifteen.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "60",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        # A takeover takes this long, 30 s by default. A busy triggerer must not seem dead.
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
        "KILL_TESTS_ANSWERED": str(answered),
    }
    workspaces = {}
    with ExitStack() as stack:
        for name, extra in EXTRAS.items():
            sandbox = stack.enter_context(running_sandbox("--no-quota"))
            connection = json.loads(sandbox.airflow_conn) | {"extra": extra}
            env[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(connection)
            workspaces[name] = sandbox.control
        cluster = stack.enter_context(
            AirflowCluster(
                home=tmp_path_factory.mktemp("airflow"),
                dags_folder=Path(__file__).parent / "dags",
                env=env,
                database=stack.enter_context(running_postgres()),
                triggerers=0,
                # All creates run at once: each waits at its point until all have reached theirs.
                parallelism=40,
            )
        )
        cluster.api.wait_for_dags("killed_create", "killed_set", "killed_waits")
        yield Stage(cluster=cluster, workspaces=workspaces, answered=answered)
