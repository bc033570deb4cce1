"""The installed Airflow: which one it is, and a database for it."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

AIRFLOW = Version(version("apache-airflow"))

#: For what Airflow 2 does not have. One place, so that the reason reads the same everywhere.
on_airflow_33 = pytest.mark.skipif(
    Version("3.3") > AIRFLOW, reason=f"Airflow {AIRFLOW} does not have what this is about; it came with 3.3"
)
on_airflow_2 = pytest.mark.skipif(
    Version("3.0") <= AIRFLOW, reason=f"Airflow {AIRFLOW} does not do this any more; it is about Airflow 2"
)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create the metadata database of the tests' own Airflow home."""
    from airflow.utils.db import initdb

    initdb()
