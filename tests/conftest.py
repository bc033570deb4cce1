"""Set up the environment before Airflow is imported, and load the shared fixtures."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import threading
from types import FrameType

import pytest

# Airflow reads its home and other environment variables on import: ignore those of the developer's shell.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
_HOME = tempfile.mkdtemp(prefix="airflow-provider-workato-")
_OWNER = os.getpid()
os.environ.update(
    AIRFLOW_HOME=_HOME,
    # With some versions of svcs, dag.test() fails in Airflow 3.2 without it.
    AIRFLOW__API_AUTH__JWT_SECRET="only-for-tests" * 5,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=f"{_HOME}/dags",
    NO_PROXY="127.0.0.1,localhost",
)


@atexit.register
def _remove_home() -> None:
    # Task processes are forks of this one: they must not remove the home of running tests.
    if os.getpid() == _OWNER:
        shutil.rmtree(_HOME, ignore_errors=True)


def _end_as_on_ctrl_c(number: int, frame: FrameType | None) -> None:
    if os.getpid() == _OWNER:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


# What ends a run that takes too long must not leave clusters and databases behind.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, _end_as_on_ctrl_c)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of asynchronous tests, which the plugin of anyio runs: Airflow's."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


pytest_plugins = [
    "tests.support.airflow",
    "tests.support.folder",
    "tests.support.sandbox",
    "tests.support.hook",
    "tests.support.tasks",
    "tests.support.triggerer",
]
