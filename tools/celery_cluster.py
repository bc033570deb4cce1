"""A real Airflow as on several machines: Celery workers and triggerers with separate temporary folders."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tools.cluster import AirflowCluster
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Shorter times after which Airflow notices that a process died; the defaults are minutes. But a process
#: on a busy machine must not seem dead.
_NOTICED_SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
}


#: The components that have a job in Airflow's database, by the first part of their names.
_JOBS = {
    "triggerer": "TriggererJob",
    "scheduler": "SchedulerJob",
    "dag-processor": "DagProcessorJob",
}


class CeleryCluster(AirflowCluster):
    """A cluster whose tasks run on Celery workers.

    Each component has its own ``TMPDIR``.

    :param database: an SQLAlchemy URL for PostgreSQL.
    :param broker: the URL of a Redis server.
    :param workers: number of workers to start.
    :param slots: number of tasks that a worker runs at once.
    :param executor: the executor, or several, of which the first is the default.
    :param env: further environment variables. They override the defaults.
    :param options: further arguments of :class:`~tools.cluster.AirflowCluster`.
    """

    def __init__(
        self,
        *,
        database: str,
        broker: str,
        workers: int = 2,
        slots: int = 8,
        executor: str = "CeleryExecutor",
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._first_workers = workers
        self._broker = broker
        self._slots = slots
        celery = {
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "3600",
            # The API server serves all workers at once; by default it has database connections for fifteen.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "40",
        }
        super().__init__(
            database=database,
            executor=executor,
            parallelism=workers * slots,
            env=_NOTICED_SOON | celery | dict(env or {}),
            **options,
        )

    def start_components(self) -> None:
        """Start all components, including the workers."""
        super().start_components()
        for number in range(self._first_workers):
            self.start_worker(number)

    def start_worker(self, number: int) -> None:
        """Start a worker.

        :param number: its number; it must not be running.
        """
        name = f"worker-{number}"
        command = ["celery", "worker", "--skip-serve-logs", "--concurrency", str(self._slots)]
        self.spawn(*command, "--celery-hostname", f"{name}@%h", name=name)

    def start_again(self, name: str) -> None:
        """Start a component that was ended, and wait until it works.

        :param name: the component, as :meth:`component_pid` takes it.
        """
        began = datetime.now(tz=UTC)
        kind, _, number = name.rpartition("-")
        if kind == "worker":
            self.start_worker(int(number))
        elif kind == "triggerer":
            self.start_triggerer(int(number))
        else:
            self.start_component(name)
        wait_until(lambda: self._is_back(name, since=began), what=f"the return of {name}", deadline=180)

    def _is_back(self, name: str, *, since: datetime) -> bool:
        if not self.is_up():
            return False
        if name.startswith("worker-"):
            return self._answers(name)
        job_type = _JOBS.get(name if name in _JOBS else name.rpartition("-")[0])
        return job_type is None or self.api.has_job(job_type, since=since)

    def _answers(self, worker: str) -> bool:
        from celery import Celery

        with Celery(broker=self._broker) as app:
            return bool(app.control.ping(destination=[f"{worker}@{socket.gethostname()}"], timeout=2))

    def environment_of(self, name: str) -> dict[str, str]:
        """Return a component's environment, with its own temporary folder.

        :param name: the component.
        """
        folder = self.temporary_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        return self.env | {"TMPDIR": str(folder)}

    def temporary_folder(self, name: str) -> Path:
        """Return a component's temporary folder.

        :param name: the component.
        """
        return self.home / "tmp" / name
