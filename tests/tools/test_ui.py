"""``make ui``, stopped while it starts. The tests in tests/browser use what it serves, and stop it then."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_workato.sandbox.client import wait_until
from tests.support.airflow import on_airflow_33
from tests.support.ui import Ui


@on_airflow_33
@pytest.mark.parametrize("step", ["db migrate", "triggerer"])
def test_ctrl_c_while_it_starts(tmp_path: Path, step: str) -> None:
    with Ui(folder=tmp_path) as ui:
        wait_until(lambda: ui.runs(step), what=step, deadline=120)
        children = ui.children()
        ui.interrupt()
        # Once more, as people do.
        ui.interrupt()
        assert ui.ends(children=children) == []
        assert ui.process.returncode == 0, ui.output
        assert "Traceback" not in ui.output
        assert ui.left_files() == []
