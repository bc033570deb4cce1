"""The metadata. Airflow ignores misspelled keys silently, so every key is checked here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest

from airflow_provider_workato import __version__
from airflow_provider_workato.connection_form import (
    DATA_CENTERS,
    EXTRAS,
    LABELS,
    form_widgets,
    ui_field_behaviour,
)
from airflow_provider_workato.get_provider_info import get_provider_info
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.airflow import on_airflow_2, on_airflow_33
from tools.settings_table import PAGE, with_table

STANDARD_FIELDS = {"description", "host", "login", "password", "port", "schema"}
EXTRA_NAMES = {setting.name for setting in EXTRAS}


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


def test_older_airflow_gets_the_same_form(connection_type: dict[str, Any]) -> None:
    behaviour = connection_type["ui-field-behaviour"]
    assert ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "placeholders": behaviour["placeholders"],
        "relabeling": behaviour["relabeling"],
    }


def test_keys_of_connection_fields(connection_type: dict[str, Any]) -> None:
    fields = connection_type["conn-fields"]
    assert set(fields) == EXTRA_NAMES
    known = {"type", "enum", "default", "format", "minimum", "exclusiveMinimum"}
    for name, field in fields.items():
        assert set(field) == {"label", "description", "schema"}
        assert field["label"] == LABELS[name]
        assert set(field["schema"]) <= known
        assert "null" in field["schema"]["type"]


def test_every_data_center_is_named_by_its_region(connection_type: dict[str, Any]) -> None:
    described = connection_type["conn-fields"]["data_center"]["description"]
    assert "eu: Europe, app.eu.workato.com;" in described
    assert all(f"{name}: {center.region}" in described for name, center in DATA_CENTERS.items())
    assert "`" not in described


def test_the_docs_have_the_current_table_of_settings() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run `python -m tools.settings_table`"


def test_defaults_of_form_satisfy_the_form(connection_type: dict[str, Any]) -> None:
    import jsonschema

    for field in connection_type["conn-fields"].values():
        jsonschema.validate(field["schema"].get("default"), field["schema"] | {"enum": [None, *_enum(field)]})


def _enum(field: dict[str, Any]) -> list[Any]:
    schema = field["schema"]
    return list(schema.get("enum", [schema.get("default")]))


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_modules_exist(info: dict[str, Any], kind: str) -> None:
    (entry,) = info[kind]
    assert set(entry) == {"integration-name", "python-modules"}
    assert entry["integration-name"] == info["integrations"][0]["integration-name"]
    for module in entry["python-modules"]:
        importlib.import_module(module)


def test_classes_exist(info: dict[str, Any], connection_type: dict[str, Any]) -> None:
    from airflow.providers.common.compat.sdk import BaseOperatorLink

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


@on_airflow_33
def test_form_from_metadata(connection_type: dict[str, Any]) -> None:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (meta,) = (meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "workato")
    assert meta.hook_name == "Workato"
    assert meta.standard_fields is not None
    assert meta.standard_fields.password is not None
    assert meta.standard_fields.password.title == "API token"
    assert meta.standard_fields.login is not None
    assert meta.standard_fields.login.hidden
    assert meta.extra_fields is not None
    assert {
        name: (field["schema"]["title"], field["value"]) for name, field in meta.extra_fields.items()
    } == {
        name: (field["label"], field["schema"].get("default"))
        for name, field in connection_type["conn-fields"].items()
    }


@on_airflow_2
def test_form_from_widgets(connection_type: dict[str, Any]) -> None:
    from airflow.providers_manager import ProvidersManager
    from wtforms import Form

    manager = ProvidersManager()
    shown = {
        widget.field_name: widget.field
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith("extra__workato__")
    }
    assert set(shown) == EXTRA_NAMES
    bound = type("Bound", (Form,), shown)()
    for name, field in connection_type["conn-fields"].items():
        assert bound[name].label.text == field["label"]
        assert bound[name].data == field["schema"].get("default")
    shown_behaviour = manager.field_behaviours["workato"]
    assert shown_behaviour["relabeling"] == connection_type["ui-field-behaviour"]["relabeling"]
    assert shown_behaviour["hidden_fields"] == connection_type["ui-field-behaviour"]["hidden-fields"]


@on_airflow_2
def test_widgets_are_of_the_classes_that_airflow_accepts() -> None:
    from wtforms import BooleanField, PasswordField, StringField

    classes = {name: widget.field_class for name, widget in form_widgets().items()}
    assert classes.pop("allow_http") is BooleanField
    assert classes.pop("proxies") is PasswordField
    assert set(classes.values()) == {StringField}
