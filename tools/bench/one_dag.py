"""An Airflow with one DAG on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.bench.database import Database
from tools.cluster import AirflowCluster
from tools.postgres import running_postgres

_DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDag:
    """A running Airflow.

    :param cluster: its processes.
    :param database: its database.
    :param dag_id: its DAG.
    """

    cluster: AirflowCluster
    database: Database
    dag_id: str

    def states(self) -> dict[str, int]:
        """Count the DAG's task instances by state."""
        return self.database.states(self.dag_id)


@contextmanager
def airflow_with(
    dag_id: str, *, env: Mapping[str, str], parallelism: int, triggerers: int = 1
) -> Iterator[OneDag]:
    """Run an Airflow over PostgreSQL until the block ends.

    :param dag_id: the DAG, and the name of its file.
    :param env: what the DAG reads from the environment, and connections.
    :param parallelism: how many tasks run at a time.
    :param triggerers: how many triggerers.
    """
    with (
        running_postgres() as database_url,
        tempfile.TemporaryDirectory(prefix="workato-bench-") as directory,
    ):
        home, dags_folder = Path(directory, "home"), Path(directory, "dags")
        home.mkdir()
        dags_folder.mkdir()
        shutil.copy(_DAGS / f"{dag_id}.py", dags_folder)
        with AirflowCluster(
            home=home,
            dags_folder=dags_folder,
            database=database_url,
            parallelism=parallelism,
            triggerers=triggerers,
            env=env,
        ) as cluster:
            cluster.api.wait_for_dags(dag_id)
            yield OneDag(cluster=cluster, database=Database(database_url), dag_id=dag_id)
