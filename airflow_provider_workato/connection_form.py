"""The form of a Workato connection, written once for every Airflow version.

Airflow 3.2 and later read it as metadata, older ones ask the hook for widgets.

Airflow reads the metadata while it is itself being imported: nothing here may import Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_CENTERS: dict[str, str] = {
    "us": "https://www.workato.com",
    "eu": "https://app.eu.workato.com",
    "jp": "https://app.jp.workato.com",
    "sg": "https://app.sg.workato.com",
    "au": "https://app.au.workato.com",
    "il": "https://app.il.workato.com",
    "cn": "https://app.workatoapp.cn",
    "kr": "https://app.kr.workato.com",
    "uk": "https://app.uk.workato.com",
    "trial": "https://app.trial.workato.com",
}
DEFAULT_DATA_CENTER = "us"
DEFAULT_CONNECT_TIMEOUT = 5.0
#: Longer than the 40 s after which Workato itself gives up, so that its answer is always heard.
DEFAULT_READ_TIMEOUT = 45.0
DEFAULT_RETRY_BUDGET = 120.0
#: How long Workato may still work on a call whose answer was lost.
DEFAULT_SERVER_TIMEOUT = 40.0
DEFAULT_LIST_CALLS_PER_MINUTE = 60.0
DEFAULT_CALLS_PER_SECOND = 1.0

#: How the connection form names the fields; errors use the same words.
LABELS: dict[str, str] = {
    "host": "Base URL",
    "password": "API token",
    "port": "Port",
    "data_center": "Data center",
    "allow_http": "Allow plain HTTP",
    "connect_timeout": "Connect timeout (s)",
    "read_timeout": "Read timeout (s)",
    "retry_budget": "Retry budget (s)",
    "server_timeout": "Server time limit (s)",
    "verify": "Verify TLS",
    "proxies": "Proxies",
    "list_calls_per_minute": "List calls per minute",
    "calls_per_second": "Other calls per second",
}


def _field(name: str, description: str, **schema: Any) -> dict[str, Any]:
    # Without "null" the form would refuse to be saved with the field empty.
    schema["type"] = [schema["type"], "null"]
    return {"label": LABELS[name], "description": description, "schema": schema}


CONNECTION_FORM: dict[str, dict[str, Any]] = {
    "ui-field-behaviour": {
        # The port stays although nobody needs it: the Test button of Airflow 3.3 answers "Bad Request" for a
        # connection that was saved without one.
        "hidden-fields": ["login", "schema"],
        "relabeling": {name: LABELS[name] for name in ("host", "password")},
        "placeholders": {
            "host": f"overrides {LABELS['data_center']}, for example {DATA_CENTERS['eu']}",
            "port": "443 (needed by the Test button of Airflow 3.3)",
            "password": "the token of an API client",
        },
    },
    "conn-fields": {
        "data_center": _field(
            "data_center",
            "Where the workspace lives.",
            type="string",
            enum=list(DATA_CENTERS),
            default=DEFAULT_DATA_CENTER,
        ),
        "connect_timeout": _field(
            "connect_timeout",
            "How long to wait for a connection.",
            type="number",
            default=DEFAULT_CONNECT_TIMEOUT,
            exclusiveMinimum=0,
        ),
        "read_timeout": _field(
            "read_timeout",
            "How long to wait for an answer. Workato itself gives up after 40 s.",
            type="number",
            default=DEFAULT_READ_TIMEOUT,
            exclusiveMinimum=0,
        ),
        "retry_budget": _field(
            "retry_budget",
            "How long a failed call is repeated; 0 to never repeat one.",
            type="number",
            default=DEFAULT_RETRY_BUDGET,
            minimum=0,
        ),
        "server_timeout": _field(
            "server_timeout",
            "How long Workato may still work on a call whose answer was lost.",
            type="number",
            default=DEFAULT_SERVER_TIMEOUT,
            minimum=0,
        ),
        "verify": _field(
            "verify",
            "true, false, or the path of a CA bundle.",
            type="string",
            default="true",
        ),
        "proxies": _field(
            "proxies",
            'A proxy\'s URL, or JSON such as {"https": "http://proxy:3128"}.',
            type="string",
            format="password",
        ),
        "allow_http": _field(
            "allow_http",
            "Send the token unencrypted to a host that is not this machine.",
            type="boolean",
            default=False,
        ),
        "list_calls_per_minute": _field(
            "list_calls_per_minute",
            "The workspace's quota of list calls.",
            type="number",
            default=DEFAULT_LIST_CALLS_PER_MINUTE,
            exclusiveMinimum=0,
        ),
        "calls_per_second": _field(
            "calls_per_second",
            "The workspace's quota of all other calls.",
            type="number",
            default=DEFAULT_CALLS_PER_SECOND,
            exclusiveMinimum=0,
        ),
    },
}


def ui_field_behaviour() -> dict[str, Any]:
    """Return the form's standard fields as ``BaseHook.get_ui_field_behaviour`` has them."""
    return {key.replace("-", "_"): value for key, value in CONNECTION_FORM["ui-field-behaviour"].items()}


def form_widgets() -> dict[str, Any]:
    """Return the form's own fields as ``BaseHook.get_connection_form_widgets`` has them."""
    return {name: _widget(field) for name, field in CONNECTION_FORM["conn-fields"].items()}


def _widget(field: Mapping[str, Any]) -> Any:
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, PasswordField, StringField

    schema = field["schema"]
    description = field["description"]
    if "enum" in schema:
        # There is no drop-down among the field classes that Airflow 2 accepts.
        description = f"{description} One of {', '.join(schema['enum'])}."
    common = {"label": field["label"], "description": description, "default": schema.get("default")}
    if "boolean" in schema["type"]:
        return BooleanField(**common)
    if schema.get("format") == "password":
        return PasswordField(**common, widget=BS3PasswordFieldWidget())
    # Nor one for numbers with a fraction.
    return StringField(**common, widget=BS3TextFieldWidget())
