"""Creates with Airflow's XCom backend for object storage, in an Airflow of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what the run left. Airflow chooses its backend on import, hence the process."""
    folder = tmp_path_factory.mktemp("backend")
    store, told = folder / "store", folder / "told.json"
    environment = os.environ | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{store}",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
    }
    command = [sys.executable, "-m", "tests.operators.xcom_backend_run", str(store), str(told)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    answer = json.loads(Path(told).read_text())
    assert set(answer["states"].values()) == {"success"}
    return answer


def test_the_buttons_work_while_a_task_waits(left: Any) -> None:
    links = {
        name: json.loads(value)
        for name, value in left["waiting"].items()
        if name.startswith("wait.") and name.endswith(("Link", "_url"))
    }
    assert {"wait.workato_connection_url", "wait.workato_oauth_url"} <= links.keys()
    assert [url for url in links.values() if not url.startswith("http://")] == []


def test_few_objects_are_left(left: Any) -> None:
    assert left["objects"] == {"create": 2, "update": 3, "wait": 3, "delete": 1}
    assert left["after"]["create.workato_connection"].startswith('"file://')


def test_a_backend_that_reads_only_its_own_can_read_all_that_tasks_pull(tmp_path: Path) -> None:
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__CORE__XCOM_BACKEND": "tests.support.sealing_xcom.SealingXCom",
    }
    command = [sys.executable, "-m", "tests.operators.xcom_sealed_run"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
