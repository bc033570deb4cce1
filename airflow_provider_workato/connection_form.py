"""The settings of a Workato connection in Airflow, each declared once.

What follows from :data:`SETTINGS`: the form (metadata for Airflow 3.2 and later, widgets of the hook for
older versions), how :mod:`~airflow_provider_workato.client.settings` reads and checks a connection, the names
that errors use, and the table in the docs, which ``make format`` writes.

Airflow reads the metadata while it is itself being imported, so nothing here may import Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["string", "choice", "number", "flag", "file", "ca_bundle", "proxies"]

#: The type of an Airflow connection to Workato.
CONN_TYPE = "workato"

#: What the form's schema calls the type of a setting of each kind.
_SCHEMA_TYPES: dict[Kind, str] = {
    "string": "string",
    "choice": "string",
    "number": "number",
    "flag": "boolean",
    "file": "string",
    "ca_bundle": "string",
    "proxies": "string",
}


class DataCenter(NamedTuple):
    """A data center of Workato."""

    region: str
    url: str


#: https://docs.workato.com/en/workato-api/workato-api.html names the hosts.
DATA_CENTERS: dict[str, DataCenter] = {
    "us": DataCenter("United States", "https://www.workato.com"),
    "eu": DataCenter("Europe", "https://app.eu.workato.com"),
    "jp": DataCenter("Japan", "https://app.jp.workato.com"),
    "sg": DataCenter("Singapore", "https://app.sg.workato.com"),
    "au": DataCenter("Australia", "https://app.au.workato.com"),
    "il": DataCenter("Israel", "https://app.il.workato.com"),
    "cn": DataCenter("China", "https://app.workatoapp.cn"),
    "kr": DataCenter("South Korea", "https://app.kr.workato.com"),
    "uk": DataCenter("United Kingdom", "https://app.uk.workato.com"),
    "trial": DataCenter("developer sandbox", "https://app.trial.workato.com"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of the Airflow connection.

    :param name: the standard field or the extra that holds it.
    :param label: its name in the form and in errors.
    :param help: what it does, for the form and the docs; code in backticks.
    :param kind: how it is written, shown and read.
    :param default: the value of an empty field, as the form shows it.
    :param minimum: the least number allowed. One above 0 keeps divisions by the setting from overflowing.
    :param maximum: the largest number allowed. Anything larger is a typo, and might overflow.
    :param choices: the values of a *choice*.
    :param standard: whether Airflow has a field for it; all others are extras.
    :param placeholder: what an empty standard field shows.
    :param required: whether a connection needs it.
    :param secret: whether the form hides what is typed.
    """

    name: str
    label: str
    help: str
    kind: Kind = "string"
    default: Any = None
    minimum: float = 0.001
    maximum: float = 1e9
    choices: tuple[str, ...] = ()
    standard: bool = False
    placeholder: str = ""
    required: bool = False
    secret: bool = False

    @property
    def key(self) -> str:
        """Where the setting stands in an Airflow connection, as errors name it."""
        return self.name if self.standard else f"extra {self.name}"

    @property
    def plain_help(self) -> str:
        """The help without Markdown."""
        return self.help.replace("`", "")


#: In the order of the form. To add a setting, add it here and run ``make format``. If it is an extra, also
#: add its name and type to ``WorkatoSettings``: mypy and editors only see fields that are written out.
SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="password",
        label="API token",
        help="The token of an API client (Workspace admin → API clients).",
        standard=True,
        required=True,
        placeholder="the token of an API client",
    ),
    Setting(
        name="data_center",
        label="Data center",
        help="Where the workspace is hosted. "
        + "; ".join(
            f"`{name}`: {region}, {url.removeprefix('https://')}"
            for name, (region, url) in DATA_CENTERS.items()
        )
        + ".",
        kind="choice",
        choices=tuple(DATA_CENTERS),
        default="us",
    ),
    Setting(
        name="host",
        label="Base URL",
        help="A private or preview host. Overrides the data center.",
        standard=True,
        placeholder=f"overrides Data center, for example {DATA_CENTERS['eu'].url}",
    ),
    Setting(
        name="port",
        label="Port",
        # The only field that the form keeps although few need it.
        help="The port of Base URL, unless the URL contains one; ignored without a Base URL. The Test button "
        "of Airflow 3.3 fails while it is empty: then enter 443.",
        standard=True,
        placeholder="443 (needed by the Test button of Airflow 3.3)",
    ),
    Setting(
        name="connect_timeout",
        label="Connect timeout (s)",
        help="How long to wait for a network connection.",
        kind="number",
        default=5.0,
    ),
    Setting(
        name="read_timeout",
        label="Read timeout (s)",
        # The default outlasts Workato's own limit, so that its answer is heard.
        help="How long to wait for an answer to start, and then for it to end. Workato gives up after 40 s.",
        kind="number",
        default=45.0,
    ),
    Setting(
        name="retry_budget",
        label="Retry budget (s)",
        help="How long to repeat a failed call, not counting waits for the rate limit; 0: one attempt only.",
        kind="number",
        default=120.0,
        minimum=0.0,
    ),
    Setting(
        name="server_timeout",
        label="Server time limit (s)",
        help="How long Workato may keep working on a call whose answer was lost.",
        kind="number",
        default=40.0,
        minimum=0.0,
    ),
    Setting(
        name="verify",
        label="Verify TLS",
        help="`true`, `false`, or the path of a CA bundle.",
        kind="ca_bundle",
        default="true",
    ),
    Setting(
        name="client_certificate",
        label="Client certificate",
        help="The path of a PEM file with the certificate that some private endpoints demand (mTLS).",
        kind="file",
    ),
    Setting(
        name="client_key",
        label="Client key",
        help="The path of the certificate's key without a passphrase, if it is in another file.",
        kind="file",
    ),
    Setting(
        name="proxies",
        label="Proxies",
        help='A proxy URL, or JSON such as `{"https": "http://proxy:3128"}`. Default: the environment.',
        kind="proxies",
        secret=True,
    ),
    Setting(
        name="allow_http",
        label="Allow plain HTTP",
        help="Send the token unencrypted to a host other than this machine.",
        kind="flag",
        default=False,
    ),
    Setting(
        name="list_calls_per_minute",
        label="List calls per minute",
        help="The workspace's quota of list calls, if Workato granted you another.",
        kind="number",
        default=60.0,
    ),
    Setting(
        name="calls_per_second",
        label="Other calls per second",
        help="The workspace's quota of all other calls, if Workato granted you another.",
        kind="number",
        default=1.0,
    ),
)

EXTRAS: tuple[Setting, ...] = tuple(setting for setting in SETTINGS if not setting.standard)
_STANDARD = tuple(setting for setting in SETTINGS if setting.standard)

#: The form's name of each setting, which errors use too.
LABELS: dict[str, str] = {setting.name: setting.label for setting in SETTINGS}


def _conn_field(setting: Setting) -> dict[str, Any]:
    # Without "null" the form could not be saved with the field empty.
    schema: dict[str, Any] = {"type": [_SCHEMA_TYPES[setting.kind], "null"]}
    if setting.choices:
        schema["enum"] = list(setting.choices)
    if setting.default is not None:
        schema["default"] = setting.default
    if setting.kind == "number":
        # A round bound to show; the reader also refuses what lies between 0 and the minimum.
        schema["exclusiveMinimum" if setting.minimum else "minimum"] = 0
    if setting.secret:
        schema["format"] = "password"
    return {"label": setting.label, "description": setting.plain_help, "schema": schema}


#: The form as Airflow 3.2 and later read it from the provider's metadata.
CONNECTION_FORM: dict[str, dict[str, Any]] = {
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema"],
        "relabeling": {setting.name: setting.label for setting in _STANDARD},
        "placeholders": {setting.name: setting.placeholder for setting in _STANDARD},
    },
    "conn-fields": {setting.name: _conn_field(setting) for setting in EXTRAS},
}


def ui_field_behaviour() -> dict[str, Any]:
    """Return the form's standard fields as ``BaseHook.get_ui_field_behaviour`` does."""
    return {key.replace("-", "_"): value for key, value in CONNECTION_FORM["ui-field-behaviour"].items()}


def form_widgets() -> dict[str, Any]:
    """Return the form's own fields as ``BaseHook.get_connection_form_widgets`` does."""
    return {setting.name: _widget(setting) for setting in EXTRAS}


def _widget(setting: Setting) -> Any:
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, PasswordField, StringField

    common = {"label": setting.label, "description": setting.plain_help, "default": setting.default}
    if setting.kind == "flag":
        return BooleanField(**common)
    if setting.secret:
        return PasswordField(**common, widget=BS3PasswordFieldWidget())
    # The field classes that Airflow 2 accepts include none for choices or for decimal numbers.
    return StringField(**common, widget=BS3TextFieldWidget())
