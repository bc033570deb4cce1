"""A DAG that runs when a connection is lost runs once for each loss, even if its triggerer is killed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from airflow_provider_workato.sandbox.client import SandboxControl, running_sandbox, wait_until
from tests.support.airflow import on_airflow_33

pytestmark = [pytest.mark.kill, on_airflow_33]

DAG_ID = "example_workato_lost"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"


def test_once_per_loss(tmp_path: Path) -> None:
    from tools.cluster import AirflowCluster

    def polled(control: SandboxControl, *, times: int) -> None:
        goal = len(control.requests(operation="list_connections")) + times
        wait_until(
            lambda: len(control.requests(operation="list_connections")) >= goal,
            deadline=120,
            what="the watch's polls",
        )

    dags = tmp_path / "dags"
    dags.mkdir()
    # The default of one poll a minute is too slow for a test.
    source = EXAMPLE.read_text().replace(
        'provider="salesforce", ', 'provider="salesforce", poke_interval=2, '
    )
    assert "poke_interval=2" in source
    (dags / EXAMPLE.name).write_text(source)
    with running_sandbox("--no-quota") as sandbox:
        control = sandbox.control
        (user,) = control.seed(
            [
                {
                    "name": "Salesforce of Ada",
                    "provider": "salesforce",
                    "parent_id": 36,
                    "external_id": "ada",
                    "is_runtime_user": True,
                }
            ]
        )
        control.authorize(user)
        env = {
            "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            # A takeover takes this long, 30 s by default. A busy triggerer must not seem dead.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
        }
        with AirflowCluster(home=tmp_path / "home", dags_folder=dags, env=env) as cluster:
            cluster.api.wait_for_dags(DAG_ID)
            runs = partial(cluster.api.run_states, DAG_ID)
            polled(control, times=2)
            assert runs() == []

            control.lose(user)
            wait_until(lambda: runs() == ["success"], deadline=180, what="the run for the loss")
            cluster.kill_triggerer(0)
            cluster.start_triggerer(0)
            polled(control, times=4)
            assert runs() == ["success"]

            # Lose it again while no triggerer runs.
            cluster.kill_triggerer(0)
            control.authorize(user)
            control.lose(user)
            cluster.start_triggerer(0)
            wait_until(lambda: runs() == ["success"] * 2, deadline=180, what="the run for the second loss")
            polled(control, times=4)
            assert runs() == ["success"] * 2
            print(f"\n2 losses, 2 triggerers killed, {len(runs())} runs")
        assert control.counts()["by_operation"]["get_oauth_url"] == 2
