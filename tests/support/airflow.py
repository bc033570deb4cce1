"""The installed Airflow's version, and a metadata database for it."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

from tests.support.coverage import unmeasured

AIRFLOW = Version(version("apache-airflow"))

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
