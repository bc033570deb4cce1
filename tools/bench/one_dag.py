"""An Airflow with the benchmarks' DAGs, of which one runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.cluster import AirflowCluster
from tools.postgres import query, running_postgres

_DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDag:
    """A running Airflow.

    :param cluster: its processes.
    :param database: the SQLAlchemy URL of its database.
    :param dag_id: its DAG.
    """

    cluster: AirflowCluster
    database: str
    dag_id: str

    def states(self) -> dict[str, int]:
        """Count the DAG's task instances by state."""
        return dict(
            query(
                self.database,
                "select coalesce(state, 'none'), count(*) from task_instance where dag_id = %s group by 1",
                self.dag_id,
            )
        )

    def triggers(self) -> int:
        """Count the triggers that a triggerer has taken on."""
        return int(self._one("select count(*) from trigger where triggerer_id is not null"))

    def first_start(self) -> datetime:
        """Return when the run of the DAG began."""
        return self._moment("select min(start_date) from dag_run where dag_id = %s")

    def last_end(self) -> datetime:
        """Return when the last task of the DAG ended."""
        return self._moment("select max(end_date) from task_instance where dag_id = %s")

    def _moment(self, statement: str) -> datetime:
        moment = self._one(statement, self.dag_id)
        if not isinstance(moment, datetime):
            raise TypeError(f"{statement}: {moment!r}")
        return moment

    def _one(self, statement: str, *values: Any) -> Any:
        [(value,)] = query(self.database, statement, *values)
        return value


@contextmanager
def airflow_with(
    dag_id: str, *, env: Mapping[str, str], parallelism: int, triggerers: int = 1
) -> Iterator[OneDag]:
    """Run an Airflow over PostgreSQL until the block ends.

    :param dag_id: the DAG.
    :param env: what the DAG reads from the environment, and connections.
    :param parallelism: how many tasks run at a time.
    :param triggerers: how many triggerers.
    """
    with (
        running_postgres() as database,
        tempfile.TemporaryDirectory(prefix="workato-bench-") as home,
        AirflowCluster(
            home=Path(home),
            dags_folder=_DAGS,
            database=database,
            parallelism=parallelism,
            triggerers=triggerers,
            env={**env, "BENCH_DAG": dag_id},
        ) as cluster,
    ):
        cluster.api.wait_for_dags(dag_id)
        yield OneDag(cluster=cluster, database=database, dag_id=dag_id)
