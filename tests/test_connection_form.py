"""The form of an Airflow connection, on each line of Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_workato.connection_form import (
    CONNECTION_FORM,
    DATA_CENTERS,
    EXTRAS,
    LABELS,
    form_widgets,
    ui_field_behaviour,
)
from tests.support.airflow import on_airflow_2, on_airflow_33
from tools.settings_table import PAGE, with_table

EXTRA_NAMES = {setting.name for setting in EXTRAS}


def test_older_airflow_gets_the_same_form() -> None:
    behaviour = CONNECTION_FORM["ui-field-behaviour"]
    assert ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "placeholders": behaviour["placeholders"],
        "relabeling": behaviour["relabeling"],
    }


def test_keys_of_connection_fields() -> None:
    fields = CONNECTION_FORM["conn-fields"]
    assert set(fields) == EXTRA_NAMES
    known = {"type", "enum", "default", "format", "minimum", "exclusiveMinimum"}
    for name, field in fields.items():
        assert set(field) == {"label", "description", "schema"}
        assert field["label"] == LABELS[name]
        assert set(field["schema"]) <= known
        assert "null" in field["schema"]["type"]


def test_every_data_center_is_named_by_its_region() -> None:
    described = CONNECTION_FORM["conn-fields"]["data_center"]["description"]
    assert "eu: Europe, app.eu.workato.com;" in described
    assert all(f"{name}: {center.region}" in described for name, center in DATA_CENTERS.items())
    assert "`" not in described


def test_the_data_centers_are_all_there() -> None:
    assert list(DATA_CENTERS) == ["us", "eu", "jp", "sg", "au", "il", "cn", "kr", "uk", "trial"]


def test_the_docs_have_the_current_table_of_settings() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run `python -m tools.settings_table`"


def test_defaults_of_form_satisfy_the_form() -> None:
    import jsonschema

    for field in CONNECTION_FORM["conn-fields"].values():
        jsonschema.validate(field["schema"].get("default"), field["schema"] | {"enum": [None, *_enum(field)]})


def _enum(field: dict[str, Any]) -> list[Any]:
    schema = field["schema"]
    return list(schema.get("enum", [schema.get("default")]))


@on_airflow_33
def test_form_from_metadata() -> None:
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
        for name, field in CONNECTION_FORM["conn-fields"].items()
    }


@on_airflow_2
def test_form_from_widgets() -> None:
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
    for name, field in CONNECTION_FORM["conn-fields"].items():
        assert bound[name].label.text == field["label"]
        assert bound[name].data == field["schema"].get("default")
    shown_behaviour = manager.field_behaviours["workato"]
    assert shown_behaviour["relabeling"] == CONNECTION_FORM["ui-field-behaviour"]["relabeling"]
    assert shown_behaviour["hidden_fields"] == CONNECTION_FORM["ui-field-behaviour"]["hidden-fields"]


@on_airflow_2
def test_widgets_are_of_the_classes_that_airflow_accepts() -> None:
    from wtforms import BooleanField, PasswordField, StringField

    classes = {name: widget.field_class for name, widget in form_widgets().items()}
    assert classes.pop("allow_http") is BooleanField
    assert classes.pop("proxies") is PasswordField
    assert set(classes.values()) == {StringField}
