"""The pytest fixture ``workato_sandbox``, in sessions of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.plugin import installed_plugin

_TESTS = """
import json, os

def test_first(workato_sandbox):
    value = json.loads(os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"])
    assert value["host"] == workato_sandbox.url
    assert value["password"] == workato_sandbox.token
    control = workato_sandbox.control
    control.seed([{"name": "mine", "provider": "jira"}])
    control.add_fault("server_error", times=None)
    control.set_quota(list_per_minute=1)
    assert len(control.connections()) == 2

def test_without_it():
    assert "AIRFLOW_CONN_WORKATO_DEFAULT" not in os.environ

def test_second(workato_sandbox):
    control = workato_sandbox.control
    assert [row["id"] for row in control.connections()] == [36]
    assert control.faults() == []
    assert set(control.set_quota().values()) == {"off"}, control.set_quota()
"""


_LOST_CREATE = """
import json, os
import pytest
from airflow_provider_workato.exceptions import WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

@pytest.fixture
def ensure(workato_sandbox, monkeypatch):
    value = json.loads(os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"])
    value["extra"] |= {"retry_budget": 0, "server_timeout": 10}
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", json.dumps(value))
    return lambda: WorkatoConnectionsHook().ensure_connection(name="A", provider="jira", folder_id=4515)

def test_first(workato_sandbox, ensure):
    workato_sandbox.control.add_fault("close_before_answer", operation="create_connection", times=1)
    workato_sandbox.control.add_fault("server_error", operation="list_connections", times=None, skip=1)
    with pytest.raises(WorkatoError):
        ensure()

def test_second(workato_sandbox, ensure):
    ensure()
    assert len(workato_sandbox.control.requests(operation="list_connections")) == 1, "it waited for nothing"
"""


def run_pytest(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a file in an otherwise empty folder."""
    installed_plugin()
    (folder / "test_it.py").write_text(tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment["AIRFLOW_HOME"] = str(folder / "airflow")
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), *sys.path])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_each_test_has_a_fresh_workspace(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, _TESTS)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_lost_create_does_not_delay_the_next_test(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, _LOST_CREATE)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError(\"No module named 'fastapi'\")\n")
    done = run_pytest(tmp_path, "def test_it(workato_sandbox): pass")
    assert done.returncode == 1, done.stdout
    assert "No module named 'fastapi'; install airflow-provider-workato[sandbox]" in done.stdout


def test_it_is_loaded_without_airflow() -> None:
    module = installed_plugin().value
    code = f"import sys, {module}; print({{'airflow', 'fastapi', 'requests'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
