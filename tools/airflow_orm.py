"""A substitute for the REST API on Airflow 2: ORM queries in a process with the cluster's settings.

Airflow 2's own REST API needs a web server with users, and returns an XCom as a string.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.airflow_api import AirflowApi

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A component without a heartbeat for this long counts as dead.
_ALIVE = timedelta(seconds=30)


class AirflowOrm(AirflowApi):
    """Queries the database of an Airflow 2 cluster, for the tests that run on several Airflow versions.

    :param env: the cluster's environment.
    """

    def __init__(self, *, env: Mapping[str, str]) -> None:
        super().__init__(url="")
        self._env = dict(env)
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the process that runs the queries."""
        super().close()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            # It ends when there is nothing more to read.
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def health(self) -> dict[str, str]:
        """Return the status of each component."""
        return dict(self._ask("health"))

    def import_errors(self) -> list[str]:
        """Return the tracebacks of the DAG files that could not be imported."""
        return list(self._ask("import_errors"))

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that Airflow knows."""
        return set(self._ask("dag_ids"))

    def trigger(self, dag_id: str, *, conf: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run and return its id.

        :param dag_id: the DAG.
        :param conf: the run's configuration.
        :param run_id: the run's id; Airflow chooses one by default.
        """
        return str(self._ask("trigger", dag_id=dag_id, conf=conf or {}, run_id=run_id))

    def run_ids(self, dag_id: str) -> list[str]:
        """Return the ids of a DAG's latest hundred runs.

        :param dag_id: the DAG.
        """
        return list(self._ask("run_ids", dag_id=dag_id))

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        return str(self._ask("run_state", dag_id=dag_id, run_id=run_id))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run, in the order in which they started.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        found = self._ask("task_instances", dag_id=dag_id, run_id=run_id)
        return sorted(found, key=lambda task: (task["start_date"] or "~", task["map_index"]))

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """Return an XCom of a task, or ``None`` if there is none.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param key: the XCom's key.
        :param map_index: the instance, if the task is mapped.
        """
        return self._ask("xcom", dag_id=dag_id, run_id=run_id, task_id=task_id, key=key, map_index=map_index)

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        """Return a task's log as the web interface shows it.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param try_number: the number of the try.
        :param map_index: the instance, if the task is mapped.
        """
        arguments = {"task_id": task_id, "try_number": try_number, "map_index": map_index}
        return str(self._ask("log", dag_id=dag_id, run_id=run_id, **arguments))

    def _ask(self, question: str, **arguments: Any) -> Any:
        with self._lock:
            process = self._running()
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the process that queries Airflow's database has no pipes")
            process.stdin.write(json.dumps([question, arguments]) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the process that queries Airflow's database exited with {process.wait(30)} on {question}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{question}: {answer['error']}")
        return answer["answer"]

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            with Path(self._env["AIRFLOW_HOME"], "orm.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tools.airflow_orm"],
                    cwd=Path(__file__).parent.parent,
                    env=self._env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        return self._process


class _Answers:
    """Queries of Airflow's models. Their modules are named by strings, since Airflow 3 lacks some."""

    def __init__(self) -> None:
        self._run = import_module("airflow.models.dagrun").DagRun
        self._task = import_module("airflow.models.taskinstance").TaskInstance
        self._session = import_module("airflow.utils.session").create_session

    def health(self) -> dict[str, str]:
        job = import_module("airflow.jobs.job").Job
        with self._session() as session:
            seen = session.query(job.job_type).filter(
                job.state == "running", job.latest_heartbeat > datetime.now(tz=UTC) - _ALIVE
            )
            return {"metadatabase": "healthy"} | {
                str(row[0]).removesuffix("Job").lower(): "healthy" for row in seen
            }

    def import_errors(self) -> list[str]:
        error = import_module("airflow.models.errors").ParseImportError
        with self._session() as session:
            return [row[0] for row in session.query(error.stacktrace)]

    def dag_ids(self) -> list[str]:
        # Airflow writes the two rows separately, and a run needs both.
        model = import_module("airflow.models.dag").DagModel
        serialized = import_module("airflow.models.serialized_dag").SerializedDagModel
        with self._session() as session:
            rows = session.query(model.dag_id).join(serialized, serialized.dag_id == model.dag_id)
            return [row[0] for row in rows]

    def trigger(self, dag_id: str, conf: dict[str, Any], run_id: str | None) -> str:
        trigger_dag = import_module("airflow.api.common.trigger_dag").trigger_dag
        return str(trigger_dag(dag_id, run_id=run_id, conf=conf, replace_microseconds=False).run_id)

    def run_ids(self, dag_id: str) -> list[str]:
        with self._session() as session:
            rows = session.query(self._run.run_id).filter_by(dag_id=dag_id).order_by(self._run.id.desc())
            return [row[0] for row in rows.limit(100)]

    def run_state(self, dag_id: str, run_id: str) -> str:
        with self._session() as session:
            row = session.query(self._run.state).filter_by(dag_id=dag_id, run_id=run_id).one()
            return str(getattr(row[0], "value", row[0]))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        names = ("task_id", "map_index", "state", "try_number", "start_date", "end_date")
        columns = [getattr(self._task, name) for name in names]
        with self._session() as session:
            rows = session.query(*columns).filter_by(dag_id=dag_id, run_id=run_id).all()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str, map_index: int) -> Any:
        xcom = import_module("airflow.models.xcom").XCom
        with self._session() as session:
            row = (
                session.query(xcom.value)
                .filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id, key=key, map_index=map_index)
                .first()
            )
            return None if row is None else xcom.deserialize_value(row)

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int) -> str:
        reader = import_module("airflow.utils.log.log_reader").TaskLogReader()
        with self._session() as session:
            task = session.query(self._task).filter_by(
                dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index
            )
            (pieces, *_), _ = reader.read_log_chunks(task.one(), try_number, {})
        return "\n".join(text for _host, text in pieces)


def _serve() -> None:
    # Airflow logs to standard output, which carries the answers: send its log to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    source = _Answers()
    for line in sys.stdin:
        question, arguments = json.loads(line)
        try:
            answer = {"answer": getattr(source, question)(**arguments)}
        except Exception as error:  # noqa: BLE001 - the caller handles it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer, default=_as_json) + "\n")
        answers.flush()


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


if __name__ == "__main__":
    _serve()
