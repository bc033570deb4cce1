"""A task instance for operators that run without a DAG run; it records their XComs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests.support.airflow import AIRFLOW


class TaskInstance:
    """The part of Airflow's task instance that the provider's operators use."""

    def __init__(self, *, dag_id: str = "dag", task_id: str = "wait", run_id: str = "run") -> None:
        self.dag_id = dag_id
        self.task_id = task_id
        self.run_id = run_id
        self.map_index = -1
        self.try_number = 1
        self.max_tries = 0
        self.start_date = datetime.now(UTC)
        self.xcoms: dict[str, Any] = {}
        self.first_reschedule: datetime | None = None

    @property
    def context(self) -> Any:
        return {"ti": self, "task_instance": self}

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.xcoms[key] = value

    def get_first_reschedule_date(self, _: Any) -> datetime | None:
        return self.first_reschedule

    def rescheduled(self, *, began: datetime, until: datetime) -> None:
        """Record that a sensor was rescheduled, where the installed Airflow looks for it."""
        self.first_reschedule = self.first_reschedule or began
        if AIRFLOW.major == 2:
            _write_reschedule(self, began=began, until=until)


def deferred_instance(task: Any = None, *, map_index: int = -1) -> Any:
    """Return a task instance as a triggerer has it; with *task* if it started in the triggerer."""
    known = {"task": task} if task is not None else {}
    return SimpleNamespace(
        id=uuid4(),
        dag_id="dag",
        task_id="wait",
        run_id="run",
        try_number=1,
        map_index=map_index,
        context_carrier=None,
        **known,
    )


@pytest.fixture
def make_task_instance(request: pytest.FixtureRequest) -> Callable[[], TaskInstance]:
    """Make task instances; on Airflow 2 also in the database, where sensors look for their first try."""
    if AIRFLOW.major == 2:
        request.getfixturevalue("airflow_db")
    return _in_database if AIRFLOW.major == 2 else TaskInstance


def _in_database() -> TaskInstance:
    from airflow import DAG
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    from airflow_provider_workato.version_compat import BaseOperator

    now = datetime.now(UTC)
    dag: Any = DAG(f"sensor-{uuid4()}", schedule=None, start_date=now)
    BaseOperator(task_id="wait", dag=dag)
    dag.sync_to_db()
    dag.create_dagrun(
        state=DagRunState.RUNNING,
        execution_date=now,
        run_id="run",
        run_type=DagRunType.MANUAL,
        data_interval=(now, now),
    )
    return TaskInstance(dag_id=dag.dag_id)


def _write_reschedule(ti: TaskInstance, *, began: datetime, until: datetime) -> None:
    from airflow.models.taskreschedule import TaskReschedule
    from airflow.utils.session import create_session

    model: Any = TaskReschedule
    with create_session() as session:
        session.add(
            model(
                dag_id=ti.dag_id,
                task_id=ti.task_id,
                run_id=ti.run_id,
                try_number=1,
                start_date=began,
                end_date=began,
                reschedule_date=until,
            )
        )
