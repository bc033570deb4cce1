"""What Airflow's database says: asking its REST API for a thousand tasks would be a load of its own."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any


class Database:
    """The metadata database of a running Airflow.

    :param url: its SQLAlchemy URL, for PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self._dsn = url.replace("+psycopg2", "")

    def states(self, dag_id: str) -> dict[str, int]:
        """Count a DAG's task instances by state.

        :param dag_id: the DAG.
        """
        return dict(
            self._rows(
                "select coalesce(state, 'none'), count(*) from task_instance where dag_id = %s group by 1",
                dag_id,
            )
        )

    def triggers(self) -> int:
        """Count the triggers that a triggerer has taken on."""
        [(count,)] = self._rows("select count(*) from trigger where triggerer_id is not null")
        return int(count)

    def first_start(self, dag_id: str) -> datetime:
        """Return when the run of a DAG began.

        :param dag_id: the DAG.
        """
        return self._moment("select min(start_date) from dag_run where dag_id = %s", dag_id)

    def last_end(self, dag_id: str) -> datetime:
        """Return when the last task of a DAG ended.

        :param dag_id: the DAG.
        """
        return self._moment("select max(end_date) from task_instance where dag_id = %s", dag_id)

    def _moment(self, query: str, *values: Any) -> datetime:
        [(moment,)] = self._rows(query, *values)
        if not isinstance(moment, datetime):
            raise TypeError(f"{query}: {moment!r}")
        return moment

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg2

        with closing(psycopg2.connect(self._dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows
