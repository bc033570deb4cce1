"""A real Airflow with Edge workers, which share no folder and no database with it, nor with each other."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

from tools.celery_cluster import CeleryCluster
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EXECUTOR = "airflow.providers.edge3.executors.EdgeExecutor"

#: What an Edge worker must do without.
_CENTRAL = ("AIRFLOW__CELERY", "AIRFLOW__DATABASE", "AIRFLOW__CORE__FERNET_KEY")


class EdgeCluster(CeleryCluster):
    """A cluster with Edge workers, named ``edge-0`` and so on, beside its Celery workers or instead of them.

    With both, tasks run on Celery workers unless their ``executor`` is ``EdgeExecutor``. An Edge worker has a
    home, a temporary folder and DAG files of its own, and talks HTTP to the API server only.

    :param edge_workers: number of Edge workers to start.
    :param workers: number of Celery workers to start.
    :param slots: number of tasks that a worker runs at once.
    :param env: further environment variables. They override the defaults.
    :param options: further arguments of :class:`~tools.celery_cluster.CeleryCluster`.
    """

    #: Seconds between two signs of life. Five without one free the name of a killed worker.
    HEARTBEAT = 3

    def __init__(
        self,
        *,
        edge_workers: int = 2,
        workers: int = 2,
        slots: int = 8,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._first_edge_workers = edge_workers
        super().__init__(
            workers=workers,
            slots=slots,
            executor=f"CeleryExecutor,{_EXECUTOR}" if workers else _EXECUTOR,
            env={
                "AIRFLOW__CORE__PARALLELISM": str((edge_workers + workers) * slots),
                "AIRFLOW__EDGE__API_ENABLED": "True",
                "AIRFLOW__EDGE__HEARTBEAT_INTERVAL": str(self.HEARTBEAT),
                "AIRFLOW__EDGE__JOB_POLL_INTERVAL": "1",
                # An Edge worker ends itself if the API server answers a call after twice this time; 10 s by
                # default, which a busy machine can take.
                "AIRFLOW__API_AUTH__JWT_LEEWAY": "60",
                **(env or {}),
            },
            **options,
        )
        self.env["AIRFLOW__EDGE__API_URL"] = f"{self.url}/edge_worker/v1/rpcapi"

    def start_components(self) -> None:
        """Start all components, including the Edge workers."""
        super().start_components()
        for number in range(self._first_edge_workers):
            self.start_edge_worker(number)

    def start_edge_worker(self, number: int) -> None:
        """Start an Edge worker.

        :param number: its number; it must not be running.
        """
        name = f"edge-{number}"
        self.spawn("edge", "worker", "--edge-hostname", name, "--concurrency", str(self._slots), name=name)

    def start_again(self, name: str) -> None:
        """Start a component that was ended, and wait until it works.

        :param name: the component, as :meth:`component_pid` takes it.
        """
        if not name.startswith("edge-"):
            super().start_again(name)
            return
        number = int(name.removeprefix("edge-"))
        self.start_edge_worker(number)
        pid_file = self.edge_home(name) / "airflow-edge-worker.pid"

        def is_back() -> bool:
            # Airflow refuses the name of a killed worker for a while, and the new one ends.
            if name in self.ended_components():
                self.start_edge_worker(number)
            return pid_file.exists() and pid_file.read_text().strip() == str(self.component_pid(name))

        wait_until(is_back, what=f"the return of {name}", deadline=180)

    def ask_to_end(self, name: str) -> None:
        """Ask a component to finish what it does and to end.

        :param name: the component.
        """
        if name.startswith("edge-"):
            # After a SIGTERM, an Edge worker would end its tasks, too.
            os.kill(self.component_pid(name), signal.SIGINT)
        else:
            super().ask_to_end(name)

    def temporary_folder(self, name: str) -> Path:
        """Return a component's temporary folder.

        :param name: the component.
        """
        return self.edge_home(name) / "tmp" if name.startswith("edge-") else super().temporary_folder(name)

    def environment_of(self, name: str) -> dict[str, str]:
        """Return a component's environment: for an Edge worker, one that leads to no file of another.

        :param name: the component.
        """
        env = super().environment_of(name)
        if not name.startswith("edge-"):
            return env
        home = self.edge_home(name)
        dags = shutil.copytree(env["AIRFLOW__CORE__DAGS_FOLDER"], home / "dags", dirs_exist_ok=True)
        own = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        return {key: value for key, value in env.items() if not key.startswith(_CENTRAL)} | own

    def edge_home(self, name: str) -> Path:
        """Return the folder that holds all files of an Edge worker.

        :param name: the worker.
        """
        return self.home / "machines" / name
