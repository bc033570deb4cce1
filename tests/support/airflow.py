"""The installed Airflow's version, and a metadata database for it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_workato import version_compat
from tests.support.coverage import unmeasured

AIRFLOW = Version(version("apache-airflow"))

if AIRFLOW.release == (3, 1, 0):
    # There, a process that looks up a connection needs what only a task and a triggerer have.
    from airflow.sdk.execution_time import task_runner

    from airflow_provider_workato.version_compat import AirflowNotFoundException

    class _KnowsNoConnection:
        def send(self, message: object) -> None:
            raise AirflowNotFoundException(f"no answer to {type(message).__name__}")

    vars(task_runner).setdefault("SUPERVISOR_COMMS", _KnowsNoConnection())

#: For features that came with Airflow 3.3.
on_airflow_33 = pytest.mark.skipif(
    Version("3.3") > AIRFLOW, reason=f"Airflow {AIRFLOW} lacks the tested feature, which came with 3.3"
)
on_airflow_2 = pytest.mark.skipif(
    Version("3.0") <= AIRFLOW, reason=f"Airflow {AIRFLOW} lacks the tested feature, which only Airflow 2 has"
)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create the metadata database in the tests' own Airflow home."""
    from airflow.utils.db import initdb

    with unmeasured():
        initdb()


@pytest.fixture(autouse=True)
def _forgotten_secrets() -> Iterator[None]:
    """Let Airflow's masker forget a test's secrets: at each new one it compiles a pattern of all it knows."""
    module: Any = import_module(version_compat._MASKER)
    masker = module._secrets_masker()
    before = set(masker.patterns), masker.replacer
    yield
    masker.patterns, masker.replacer = before
