"""After a run in which most tasks fail, no credential is on disk, on the screen or in the sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from packaging.version import Version

from tests.leaks.scene import DAGS_FOLDER, LINEAGE, ROOT, TENANTS, Scene, leaking_scene, without_airflow
from tests.leaks.sentinels import PUBLIC, SENTINELS
from tests.support.airflow import AIRFLOW
from tests.support.coverage import unmeasured
from tools.leaks import search

pytestmark = pytest.mark.slow

if Version("3.0") > AIRFLOW:
    EVERYTHING_LOGGED = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
else:
    # All named loggers. In `dag.test()`, the unnamed one stands in for the supervisor and prints what Airflow
    # itself passes to its masker; the test on a real cluster includes it.
    NAMES = ("airflow", "airflow_provider_workato", "supervisor", "task")
    EVERYTHING_LOGGED = {
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": " ".join(f"{name}=DEBUG" for name in NAMES),
    }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The files left by a run of `dag.test()`."""
    home = tmp_path_factory.mktemp("home")
    env = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
        **EVERYTHING_LOGGED,
    }
    with leaking_scene(home) as scene, unmeasured():
        done = subprocess.run(
            [sys.executable, "-m", "tests.leaks.run"],
            cwd=ROOT,
            env={**without_airflow(), **env, **scene.env},
            capture_output=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    (home / "stdout").write_bytes(done.stdout)
    (home / "stderr").write_bytes(done.stderr)
    states = json.loads((home / "states.json").read_text())
    scene.states.update({(task, map_index): state for task, map_index, state in states})
    return scene


def test_everything_happened(scene: Scene) -> None:
    assert scene.is_complete(), scene.states


def test_everything_was_logged(scene: Scene) -> None:
    printed = (scene.home / "stdout").read_bytes() + (scene.home / "stderr").read_bytes()
    # The log lines of urllib3, and the local variables of the provider's frames.
    assert b'"POST /api/connections HTTP/1.1" 200' in printed
    assert b" call = Call(" in printed


def test_everything_was_recorded(scene: Scene) -> None:
    """By a listener, at the start and the end of each task."""
    ends = {(state, task) for (task, _), state in scene.states.items()}
    assert scene.recorded() == ends | {("running", task) for task, _ in scene.states}


def test_the_credentials_of_a_set_are_remembered(scene: Scene) -> None:
    """As fingerprints, among which the next test searches for them; none of those that were refused."""
    assert sorted(filter(None, scene.fingerprints())) == [TENANTS]


@pytest.mark.skipif(not find_spec("openlineage"), reason="this environment has no lineage provider")
def test_the_lineage_of_each_task_was_recorded(scene: Scene) -> None:
    lineage = (scene.home / LINEAGE).read_text()
    assert {task for task, _ in scene.states if f'"task_id": "{task}"' not in lineage} == set()


def test_no_credential_is_left(scene: Scene) -> None:
    assert scene.search().hits == []
    assert search(DAGS_FOLDER, scene.secrets).hits == []


def test_a_public_value_is_shown(scene: Scene) -> None:
    """In the rendered fields, and where the app's error quotes it."""
    found = {hit.where for hit in search(scene.home, {"public": PUBLIC}).hits}
    assert {"airflow.db", "stdout"} <= found
    assert f"[{PUBLIC}] [***]".encode() in (scene.home / "stdout").read_bytes()


@pytest.mark.parametrize("name", SENTINELS)
def test_the_search_finds_a_credential_that_is_left(scene: Scene, name: str) -> None:
    planted = scene.home / "planted.log"
    planted.write_text(f"… {SENTINELS[name]} …")
    try:
        found = {(hit.secret, hit.where) for hit in scene.search().hits}
    finally:
        planted.unlink()
    assert found == {(name, "planted.log")}
