"""The metadata. Airflow ignores misspelled keys silently, so every key is checked here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest

from airflow_provider_workato import __version__
from airflow_provider_workato.get_provider_info import get_provider_info
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

STANDARD_FIELDS = {"description", "host", "login", "password", "port", "schema"}


@pytest.fixture(scope="module")
def info() -> dict[str, Any]:
    return get_provider_info()


@pytest.fixture(scope="module")
def connection_type(info: dict[str, Any]) -> dict[str, Any]:
    (only,) = info["connection-types"]
    return dict(only)


def imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_keys(info: dict[str, Any]) -> None:
    assert set(info) == {
        "connection-types",
        "description",
        "extra-links",
        "hooks",
        "integrations",
        "name",
        "operators",
        "package-name",
        "sensors",
        "triggers",
    }
    (integration,) = info["integrations"]
    assert set(integration) == {"external-doc-url", "integration-name", "tags"}


def test_keys_of_connection_type(connection_type: dict[str, Any]) -> None:
    assert set(connection_type) == {
        "conn-fields",
        "connection-type",
        "hook-class-name",
        "hook-name",
        "ui-field-behaviour",
    }
    behaviour = connection_type["ui-field-behaviour"]
    assert set(behaviour) == {"hidden-fields", "placeholders", "relabeling"}
    for named in behaviour.values():
        assert set(named) <= STANDARD_FIELDS
    assert not set(behaviour["hidden-fields"]) & set(behaviour["placeholders"])


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_modules_exist(info: dict[str, Any], kind: str) -> None:
    (entry,) = info[kind]
    assert set(entry) == {"integration-name", "python-modules"}
    assert entry["integration-name"] == info["integrations"][0]["integration-name"]
    for module in entry["python-modules"]:
        importlib.import_module(module)


def test_classes_exist(info: dict[str, Any], connection_type: dict[str, Any]) -> None:
    from airflow_provider_workato.version_compat import BaseOperatorLink

    assert imported(connection_type["hook-class-name"]) is WorkatoConnectionsHook
    assert WorkatoConnectionsHook.conn_type == connection_type["connection-type"]
    assert WorkatoConnectionsHook.hook_name == connection_type["hook-name"]
    for path in info["extra-links"]:
        assert issubclass(imported(path), BaseOperatorLink)


def test_entry_point_is_the_distribution(info: dict[str, Any]) -> None:
    (entry,) = (
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.module.startswith("airflow_provider_workato")
    )
    assert entry.load() is get_provider_info
    assert entry.dist is not None
    assert entry.dist.name == info["package-name"]
    assert entry.dist.version == __version__


def test_metadata_needs_no_airflow() -> None:
    # Airflow reads it while it is being imported itself.
    code = (
        "import sys; from airflow_provider_workato.get_provider_info import get_provider_info; "
        "get_provider_info(); print(sorted({'airflow', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
def test_airflow_lists_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert manager.providers["airflow-provider-workato"].version == __version__
    hook = manager.hooks["workato"]
    assert hook is not None
    assert (hook.hook_name, hook.connection_type, hook.connection_testable) == ("Workato", "workato", True)
    assert set(get_provider_info()["extra-links"]) <= set(manager.extra_links_class_names)
