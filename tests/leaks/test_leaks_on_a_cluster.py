"""The same on real components: scheduler, triggerer, API server and task processes, all of them on DEBUG."""

from __future__ import annotations

import pytest

from tests.leaks.scene import DAGS_FOLDER, Scene, leaking_scene
from tests.support.airflow import on_airflow_33

pytestmark = [pytest.mark.kill, on_airflow_33]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """What is left of a run on a cluster."""
    # What it needs is not installed where these tests are skipped.
    from tools.cluster import AirflowCluster

    home = tmp_path_factory.mktemp("home")
    with leaking_scene(home) as scene:
        env = {**scene.env, "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
        with AirflowCluster(home=home, dags_folder=DAGS_FOLDER, env=env) as cluster:
            cluster.api.wait_for_dags("leaks")
            run_id = cluster.api.trigger("leaks")
            cluster.api.wait_for_run("leaks", run_id, deadline=600)
            tasks = cluster.api.task_instances("leaks", run_id)
            shown = [task["rendered_fields"] for task in tasks]
            xcoms = [
                cluster.api.xcom("leaks", run_id, task["task_id"], key, map_index=task["map_index"])
                for task in tasks
                for key in ("return_value", "connection")
            ]
        scene.states.update({(task["task_id"], task["map_index"]): task["state"] for task in tasks})
        (home / "shown by Airflow").write_text(f"{shown} {xcoms}")
    return scene


def test_everything_happened(scene: Scene) -> None:
    assert scene.is_complete(), scene.states


def test_no_credential_is_left(scene: Scene) -> None:
    found = scene.search()
    print(f"leaks: {found.files} files, {found.size} bytes, {len(found.hits)} hits")
    assert found.hits == []
