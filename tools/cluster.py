"""A real Airflow on this machine. Each component is a separate process, and all end with the cluster."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tools.airflow_api import AirflowApi
from tools.airflow_orm import AirflowOrm
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Self


_AIRFLOW_2 = version("apache-airflow").startswith("2.")

_LEFT = re.compile(
    r"Received executor event with state success for task instance TaskInstanceKey\(dag_id='(?P<dag>[^']+)', "
    r"task_id='(?P<task>[^']+)', run_id='(?P<run>[^']+)', try_number=1, map_index=(?P<index>-?\d+)"
)


class AirflowCluster:
    """API server, scheduler, DAG processor and triggerers, as a context manager.

    The Airflow is that of the running interpreter. On Airflow 2 there is no API server, and the scheduler
    reads the DAG files; with its default executor it needs a *database* other than SQLite.

    :param home: the ``AIRFLOW_HOME``. It is created if absent, and never removed.
    :param dags_folder: the folder of the DAG files.
    :param env: further environment variables, for example ``AIRFLOW_CONN_...``. They override the defaults.
    :param database: an SQLAlchemy URL; an SQLite file in *home* by default.
    :param triggerers: the number of triggerers to start.
    :param parallelism: the number of tasks that run at once. Airflow starts a process for each beforehand.
    :param executor: the executor.
    :param connections: Airflow connections by id, stored in the database. Airflow reads connections in *env*
        without the database, by another code path.
    :param pools: pools to create, with their slots.
    """

    def __init__(
        self,
        *,
        home: Path,
        dags_folder: Path,
        env: Mapping[str, str] | None = None,
        database: str | None = None,
        triggerers: int = 1,
        parallelism: int = 4,
        executor: str = "LocalExecutor",
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        pools: Mapping[str, int] | None = None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._connections = connections or {}
        self._pools = pools or {}
        self._first_triggerers = triggerers
        self._components: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()
        self.env = _inherited() | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            # Airflow 3.0 requires it to return XCom values. The tests push only their own.
            "AIRFLOW__API__ENABLE_XCOM_DESERIALIZE_SUPPORT": "True",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": executor,
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database or f"sqlite:///{home}/airflow.db",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            # The same settings on Airflow 2.
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "5",
            # By default, Airflow fails a task if its API does not answer within 5 s, as on a busy machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # By default, a task that starts gives up within 10 s, while the API server may still restart.
            "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "10",
            # A shorter deferral can fail the task, because Airflow learns too late that it left its worker.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "PYTHONUNBUFFERED": "1",
            # Remove the temporary files of tasks together with the home.
            "TMPDIR": str(home / "tmp"),
            **(env or {}),
        }
        self.api = AirflowOrm(env=self.env) if _AIRFLOW_2 else AirflowApi(url=self.url)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, deadline: float = 180) -> None:
        """Create the database, start every component and wait until all are healthy.

        :param deadline: seconds to wait at most.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        (self.home / "tmp").mkdir(exist_ok=True)
        self.run_cli("db", "migrate")
        self._import_connections()
        self.start_components()
        # While the components start, which takes longer.
        for name, slots in self._pools.items():
            self.run_cli("pools", "set", name, str(slots), "made for a test")
        wait_until(self.is_up, what=f"a healthy Airflow in {self.home}", deadline=deadline)

    def start_components(self) -> None:
        """Start all components."""
        if not _AIRFLOW_2:
            self.start_component("api-server")
            self.start_component("dag-processor")
        self.start_component("scheduler")
        for number in range(self._first_triggerers):
            self.start_triggerer(number)

    def start_component(self, name: str) -> None:
        """Start a component of which the cluster has only one.

        :param name: ``api-server``, ``scheduler`` or ``dag-processor``.
        """
        self.spawn(name, *["--skip-serve-logs"] * (name == "scheduler"))

    def stop(self, *, deadline: float = 10) -> None:
        """End every process of the cluster, including those that its components started.

        :param deadline: seconds that the components get to end by themselves.
        """
        self.api.close()
        # Terminate only the components: the scheduler can hang if its workers end before it.
        for component in self._components.values():
            if component.poll() is None:
                component.terminate()
        with contextlib.suppress(TimeoutError):
            wait_until(
                lambda: all(component.poll() is not None for component in self._components.values()),
                what="the components to end",
                deadline=deadline,
            )
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not self.processes(), what="the last process to end", deadline=30)
        for component in self._components.values():
            component.wait()
        self._components.clear()

    @property
    def logs(self) -> Path:
        """The folder of the components' log files."""
        return self.home / "components"

    def run_cli(self, *arguments: str, deadline: float = 300) -> str:
        """Run ``airflow`` with the cluster's settings and return its output.

        :param arguments: the arguments.
        :param deadline: the seconds that it may take.
        """
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=deadline,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def start_triggerer(self, number: int) -> None:
        """Start a triggerer.

        :param number: its number; it must not be running.
        """
        self.spawn("triggerer", "--skip-serve-logs", name=f"triggerer-{number}")

    def kill_triggerer(self, number: int) -> None:
        """Kill a triggerer and the process in which its triggers run, and wait for their end.

        :param number: its number.
        """
        self.kill(f"triggerer-{number}")

    def kill(self, name: str) -> None:
        """Kill a component with all of its processes and wait for their end.

        :param name: the component, as :meth:`component_pid` takes it.
        """
        component = self._components.pop(name)
        for process in _in_sessions({component.pid}):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        component.wait(timeout=60)
        wait_until(lambda: not _in_sessions({component.pid}), what=f"the end of {name}", deadline=30)

    def ended_components(self) -> list[str]:
        """Return the components that ended by themselves."""
        return [name for name, component in self._components.items() if component.poll() is not None]

    def end(self, name: str, *, deadline: float = 60) -> None:
        """Terminate a component, wait for its end, and kill its remaining processes.

        :param name: the component, as :meth:`component_pid` takes it.
        :param deadline: seconds that it gets to end by itself.
        """
        component = self._components[name]
        self.ask_to_end(name)
        with contextlib.suppress(subprocess.TimeoutExpired):
            component.wait(timeout=deadline)
        self.kill(name)

    def ask_to_end(self, name: str) -> None:
        """Ask a component to finish what it does and to end.

        :param name: the component, as :meth:`component_pid` takes it.
        """
        self._components[name].terminate()

    def component_pid(self, name: str) -> int:
        """Return a component's process id.

        :param name: ``api-server``, ``scheduler``, ``dag-processor`` or ``triggerer-0`` and so on.
        """
        return self._components[name].pid

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """Return the running processes of the cluster, or of one component.

        :param name: the component.
        """
        return _in_sessions(self._sessions if name is None else {self._components[name].pid})

    def tail(self, name: str, *, lines: int = 40) -> str:
        """Return the end of a component's log.

        :param name: the component.
        :param lines: the number of lines.
        """
        text = (self.logs / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def left_workers(self, dag_id: str, run_id: str) -> set[tuple[str, int]]:
        """Return the tasks, with their map indexes, of which the scheduler knows that they left a worker.

        Airflow can fail a task that resumes earlier (https://github.com/apache/airflow/issues/66374).

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        log = (self.logs / "scheduler.log").read_text(errors="replace")
        return {
            (found["task"], int(found["index"]))
            for found in _LEFT.finditer(log)
            if (found["dag"], found["run"]) == (dag_id, run_id)
        }

    def begun_watches(self) -> int:
        """Return how many watches have seen their first list, whose states they do not tell."""
        logs = [path.read_text(errors="replace") for path in self.logs.glob("triggerer-*.log")]
        return sum(log.count("Watching for connections") for log in logs)

    def _import_connections(self) -> None:
        if not self._connections:
            return
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self.home / "tmp") as file:
            json.dump(self._connections, file)
            file.flush()
            self.run_cli("connections", "import", file.name)

    def environment_of(self, name: str) -> dict[str, str]:  # noqa: ARG002 - for subclasses
        """Return a component's environment.

        :param name: the component.
        """
        return self.env

    def spawn(self, *command: str, name: str | None = None) -> None:
        """Start a component.

        :param command: the command line, without ``airflow``.
        :param name: its name; the first word of *command* by default.
        """
        name = name or command[0]
        with (self.logs / f"{name}.log").open("ab") as log:
            component = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env=self.environment_of(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Task processes leave their process group, but not the session.
                start_new_session=True,
            )
        self._components[name] = component
        self._sessions.add(component.pid)

    def is_up(self) -> bool:
        """Return whether all components are healthy.

        :raises RuntimeError: if one of them ended.
        """
        for name in self.ended_components():
            raise RuntimeError(f"{name} ended with {self._components[name].returncode}:\n{self.tail(name)}")
        health = self.api.health()
        wanted = ["metadatabase", "scheduler"]
        wanted += ["dag_processor"] * (not _AIRFLOW_2) + ["triggerer"] * bool(self._first_triggerers)
        return all(health.get(part) == "healthy" for part in wanted)


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _inherited() -> dict[str, str]:
    # Leave out the settings of the developer's own Airflow and of a coverage run.
    foreign = ("AIRFLOW", "COV_CORE", "COVERAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
        "NO_PROXY": "127.0.0.1,localhost"
    }


def _in_sessions(sessions: Iterable[int]) -> list[psutil.Process]:
    wanted = set(sessions)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) in wanted and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
