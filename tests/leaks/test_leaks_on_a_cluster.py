"""The leak test on real components: scheduler, triggerer, API server and task processes, all on DEBUG."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.leaks.scene import DAGS_FOLDER, STORED, TENANTS, Scene, leaking_scene
from tests.leaks.sentinels import PUBLIC
from tests.support.airflow import on_airflow_33

if TYPE_CHECKING:
    from tools.airflow_api import AirflowApi

DAGS = ("leaks", "leaks_native")
pytestmark = [pytest.mark.kill, on_airflow_33]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The files left by a run on a cluster."""
    # Import here: where these tests are skipped, the dependencies are not installed.
    from tools.cluster import AirflowCluster

    home = tmp_path_factory.mktemp("home")
    with leaking_scene(home) as scene:
        env = {**scene.env, "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
        with AirflowCluster(home=home, dags_folder=DAGS_FOLDER, env=env) as cluster:
            cluster.api.wait_for_dags(*DAGS)
            runs = [(dag_id, cluster.api.trigger(dag_id)) for dag_id in DAGS]
            shown = [told for dag_id, run_id in runs for told in _tell(cluster.api, dag_id, run_id, scene)]
            cluster.run_cli("variables", "export", str(home / STORED))
        exported = json.loads((home / STORED).read_text())
        (home / STORED).write_text(json.dumps({name: told["value"] for name, told in exported.items()}))
        (home / "shown by Airflow").write_text(str(shown))
    return scene


def _tell(api: AirflowApi, dag_id: str, run_id: str, scene: Scene) -> Iterator[object]:
    """Wait for the end of a run, record the tasks' states, and yield all that Airflow shows of them."""
    api.wait_for_run(dag_id, run_id, deadline=600)
    for task in api.task_instances(dag_id, run_id):
        task_id, map_index = task["task_id"], task["map_index"]
        scene.states[task_id, map_index] = task["state"]
        yield task["rendered_fields"]
        for key in ("return_value", "workato_connection", "workato_connections", "workato_plan"):
            yield api.xcom(dag_id, run_id, task_id, key, map_index=map_index)


def test_everything_happened(scene: Scene) -> None:
    assert scene.is_complete(), scene.states


def test_the_credentials_of_a_set_are_remembered(scene: Scene) -> None:
    assert sorted(filter(None, scene.fingerprints())) == [TENANTS]


def test_no_credential_is_left(scene: Scene) -> None:
    found = scene.search()
    print(f"leaks: {found.files} files, {found.size} bytes, {len(found.hits)} hits")
    assert found.hits == []


def test_a_public_value_is_shown(scene: Scene) -> None:
    """Airflow masks the log of a real task, unlike that of `dag.test()`."""
    logs = [path.read_text() for path in scene.home.glob("logs/**/*create_public*/*.log")]
    assert any(f"[{PUBLIC}] [***]" in log for log in logs), logs
