"""The demo, run from the command line on a real scheduler and triggerer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow import on_airflow_33

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.airflow


@on_airflow_33
def test_demo(tmp_path: Path) -> None:
    from tools.demo import EXAMPLES

    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["succeeded"]
    assert {task["dag"] for task in report["tasks"]} == set(EXAMPLES)
    assert {task["state"] for task in report["tasks"]} == {"success"}
    statuses = {task["status"] for task in report["tasks"]}
    assert {"not authorized", "success", "disconnected", "deleted"} <= statuses
    assert "clicked Authorize" in done.stderr
    assert report["searched"]["hits"] == []
    # The logs of the components and of each task, and the database.
    assert report["searched"]["files"] > len(report["tasks"])
    assert list(tmp_path.iterdir()) == []
