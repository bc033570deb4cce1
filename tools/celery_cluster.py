"""A real Airflow as on several machines: Celery workers and triggerers with separate temporary folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.cluster import AirflowCluster
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Shorter times after which Airflow notices that a process died; the defaults are minutes. A process on a busy
#: machine must not seem dead.
_NOTICED_SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
}


class CeleryCluster(AirflowCluster):
    """A cluster whose tasks run on Celery workers.

    Each component has its own ``TMPDIR``.

    :param database: an SQLAlchemy URL for PostgreSQL.
    :param broker: the URL of a Redis server.
    :param workers: number of workers to start.
    :param slots: number of tasks that a worker runs at once.
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
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._first_workers = workers
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
            executor="CeleryExecutor",
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

    def restart(self, name: str) -> None:
        """Terminate a component gracefully and start it again.

        :param name: the component, as :meth:`component_pid` takes it.
        """
        self.end(name)
        kind, _, number = name.rpartition("-")
        if kind == "worker":
            self.start_worker(int(number))
        elif kind == "triggerer":
            self.start_triggerer(int(number))
        else:
            self.start_component(name)
        wait_until(self.is_up, what=f"a healthy Airflow after the restart of {name}", deadline=180)

    def environment_of(self, name: str) -> dict[str, str]:
        """Return a component's environment, with its own temporary folder.

        :param name: the component.
        """
        folder: Path = self.home / "tmp" / name
        folder.mkdir(parents=True, exist_ok=True)
        return self.env | {"TMPDIR": str(folder)}
