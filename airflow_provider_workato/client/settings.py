"""The settings of a workspace, read from an Airflow connection and checked once."""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_workato.arguments import parse_flag
from airflow_provider_workato.connection_form import (
    CONN_TYPE,
    DATA_CENTERS,
    EXTRAS,
    LABELS,
    SETTINGS,
    Setting,
)
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.redaction import Sealed

if TYPE_CHECKING:
    from airflow.sdk import Connection

_SETTINGS = {setting.name: setting for setting in SETTINGS}
_OLD_PREFIX = f"extra__{CONN_TYPE}__"
_EXTRA_NAMES = tuple(setting.name for setting in EXTRAS)

#: Ports that a URL leaves out.
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkatoSettings:
    """How to reach a workspace.

    The fields below *token* are settings of :data:`~airflow_provider_workato.connection_form.SETTINGS`, which
    declares their meaning, bounds and defaults. They are repeated here by name and type only, for editors and
    mypy.

    :param conn_id: the Airflow connection that this was read from.
    :param base_url: scheme, host and optional path prefix, without a trailing slash.
    :param data_center: the data center's name, ``None`` if *base_url* is not one of Workato's data centers.
    :param address_setting: the setting that *base_url* was read from.
    :param is_default_address: whether that setting was empty.
    :param token: the API token.
    """

    conn_id: str
    base_url: str
    address_setting: Literal["data_center", "host"]
    is_default_address: bool
    data_center: str | None
    token: Sealed
    connect_timeout: float
    read_timeout: float
    retry_budget: float
    server_timeout: float
    verify: bool | str
    client_certificate: str | None
    client_key: str | None
    proxies: Sealed
    list_calls_per_minute: float
    calls_per_second: float

    @property
    def place(self) -> str:
        """The data center or host, as an error names it."""
        if self.data_center is None:
            return f"host {self.base_url}"
        return f"data center {self.data_center!r} ({self.base_url})"

    @property
    def assumption(self) -> str:
        """A sentence that says that the data center is the default, with a leading space, or nothing."""
        if not self.is_default_address:
            return ""
        return (
            f" {LABELS['data_center']!r} is empty, so {self.data_center!r} was taken. If you did set it, an "
            'import or a secrets backend dropped it: in JSON, it belongs under "extra".'
        )

    @property
    def is_local(self) -> bool:
        """Whether the calls go to this machine, as those to a sandbox usually do."""
        return _is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def web_url(self) -> str:
        """Where people open the workspace in a browser."""
        return "https://app.workato.com" if self.data_center == "us" else self.base_url

    @classmethod
    def from_airflow(cls, connection: Connection) -> WorkatoSettings:
        """Read an Airflow connection of type ``workato``.

        :param connection: the connection, from a form, JSON or a URI.
        :raises WorkatoConfigurationError: naming the field as the form labels it.
        """
        conn_id, host, port = connection.conn_id, connection.host, connection.port
        # The file of a mounted secret often ends with a line break.
        token = Sealed(re.sub(r"\r?\n\Z", "", connection.password or ""))
        extra = Sealed(connection.extra)
        conn_type, has_login = connection.conn_type, bool(connection.login)
        scheme = connection.schema if connection.schema in _DEFAULT_PORTS else None
        spoiled = not conn_type and str(connection.schema).startswith('"')
        # A traceback that prints local variables would show the connection with its password.
        del connection
        if conn_type and conn_type.strip().lower() != CONN_TYPE:
            # Its password is another service's, which Workato must not see. Do not quote the type: in a URI
            # without workato://, it is the beginning of the token.
            raise WorkatoConfigurationError(
                f"Airflow connection {conn_id!r} is not of type {CONN_TYPE!r}, so its password was not sent. "
                "Set workato_conn_id to one that is, or correct the type of this one; a URI begins with "
                f"{CONN_TYPE}://."
            )
        if spoiled:
            raise WorkatoConfigurationError(
                f"Airflow connection {conn_id!r} has no type, and JSON in its schema field, which is not "
                "hidden: it was imported as a URI, as `airflow connections import` does with every line of a "
                ".env file. Delete it, and import a .json or .yaml file, or an export made with "
                "--serialization-format uri."
            )
        read = _Reader(conn_id=conn_id, extra=_parsed(extra, conn_id=conn_id))
        read.check_names()
        read.check_token(token, has_login=has_login)
        values = {setting.name: read.value(setting) for setting in EXTRAS}
        if values["client_key"] and not values["client_certificate"]:
            raise read.wrong("client_key", f"is set, but {LABELS['client_certificate']!r} is empty")
        data_center, allow_http = values.pop("data_center"), values.pop("allow_http")
        given = (host or "").strip()
        if given:
            base_url = read.base_url(given, scheme=scheme, port=port, allow_http=allow_http)
            data_center = next((name for name, (_, url) in DATA_CENTERS.items() if url == base_url), None)
        else:
            base_url = DATA_CENTERS[data_center].url
        return cls(
            conn_id=conn_id,
            base_url=base_url,
            address_setting="host" if given else "data_center",
            is_default_address=not given and not read.names("data_center"),
            data_center=data_center,
            token=token,
            **values,
        )


class _Reader:
    """Reads the fields of one connection; its errors name the connection and the field."""

    def __init__(self, *, conn_id: str, extra: Sealed) -> None:
        self.conn_id = conn_id
        self.extra = Sealed(dict(extra.reveal()))
        given = self.extra.reveal()
        # The form of Airflow below 2.3 wrote this prefix, and examples still do.
        for name in [name for name in given if name.startswith(_OLD_PREFIX)]:
            plain, value = name.removeprefix(_OLD_PREFIX), Sealed(given.pop(name))
            if not self.names(plain):
                given[plain] = value.reveal()

    def names(self, name: str) -> bool:
        """Tell whether an extra has a value.

        :param name: the extra.
        """
        return self.extra.reveal().get(name) not in (None, "")

    def check_names(self) -> None:
        """Refuse an extra whose name is nearly that of a setting; ignore all others."""
        for name in self.extra.reveal():
            if name in _EXTRA_NAMES:
                continue
            meant = difflib.get_close_matches(name.lower().replace("-", "_"), _EXTRA_NAMES, n=1, cutoff=0.85)
            if meant:
                raise WorkatoConfigurationError(
                    f"Airflow connection {self.conn_id!r}: extra {name[:40]!r} is unknown. "
                    f"Did you mean {meant[0]!r} ({LABELS[meant[0]]})?"
                )

    def value(self, setting: Setting) -> Any:
        """Return the value of an extra, or its default if the field is empty.

        :param setting: the setting.
        :raises WorkatoConfigurationError: naming the field as the form labels it.
        """
        # A proxy's URL can hold a password.
        given = Sealed(self.extra.reveal()[setting.name] if self.names(setting.name) else setting.default)
        match setting.kind:
            case "number":
                return self._number(setting, given.reveal())
            case "flag":
                return self._flag(setting, given.reveal())
            case "choice":
                return self._choice(setting, given.reveal())
            case "file" | "ca_bundle":
                return self._file(setting, given.reveal())
            case "proxies":
                return self._proxies(setting, given)
            case _:
                return given.reveal()

    def base_url(self, host: str, *, scheme: str | None, port: int | None, allow_http: bool) -> str:
        """Return the base URL that *host* stands for, in one spelling.

        :param host: a host or URL, with or without a port, a path prefix and ``/api``.
        :param scheme: ``http`` or ``https``, if the connection's schema field holds it.
        :param port: the connection's port field.
        :param allow_http: whether plain HTTP may leave this machine.
        :raises WorkatoConfigurationError: if it is not a URL, or one that would show the token to the
            network.
        """
        # As the host of a URI connection, an IPv6 address comes without its brackets.
        host = f"[{host}]" if _is_ipv6(host) else host
        # A URI connection carries the scheme in its schema field: workato://token@host/https.
        url = host if "://" in host else f"{scheme or 'https'}://{host}"
        try:
            parts = urlsplit(url)
            name, own_port = parts.hostname, parts.port
        except ValueError:
            raise self.wrong("host", "is not a URL such as https://www.workato.com") from None
        if (
            not name
            or parts.scheme not in ("http", "https")
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
            or not re.fullmatch(r"[A-Za-z0-9.:_-]+", name)
            or not re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path)
        ):
            raise self.wrong("host", "is not a URL such as https://www.workato.com")
        if parts.scheme == "http" and not (_is_loopback(name) or allow_http):
            raise self.wrong(
                "host",
                f"uses plain http to {name}, which would show the API token to the network; use https, "
                f"or set {LABELS['allow_http']!r} ({_SETTINGS['allow_http'].key})",
            )
        path = parts.path.rstrip("/").removesuffix("/api")
        if "/api/" in f"{path}/":
            raise self.wrong("host", "must end before /api, which the provider adds itself")
        # The form's port field is 0 when left empty on some Airflow versions.
        if port and not 0 < port < 65_536:
            raise self.wrong("port", "must be a number between 1 and 65535")
        shown = f"[{name}]" if ":" in name else name
        number = own_port or port
        if number == _DEFAULT_PORTS[parts.scheme]:
            # With or without its default port, a workspace has one address, and so one quota and one set of
            # locks.
            number = None
        return f"{parts.scheme}://{shown}{f':{number}' if number else ''}{path}"

    def check_token(self, token: Sealed, *, has_login: bool) -> None:
        """Refuse a token that is missing or cannot be sent in a header.

        :param token: the token.
        :param has_login: whether the connection has a login, which is where a URI without a colon puts the
            token.
        """
        if not token.reveal() and has_login:
            raise self.wrong(
                "password",
                "is missing, but there is a login; in a URI the token follows a colon: workato://:TOKEN@/",
            )
        if not token.reveal():
            raise self.wrong("password", "is missing; create an API client in Workato and paste its token")
        if not re.fullmatch(r"[\x21-\x7e]+", token.reveal()):
            raise self.wrong(
                "password", "has a space, a line break or a non-ASCII character; paste the token again"
            )

    def _number(self, setting: Setting, value: object) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not setting.minimum <= number <= setting.maximum:
            raise self.wrong(
                setting.name, f"must be a number between {setting.minimum:g} and {setting.maximum:,.0f}"
            )
        return number

    def _flag(self, setting: Setting, value: object) -> bool:
        flag = parse_flag(value)
        if flag is None:
            raise self.wrong(setting.name, "must be true or false")
        return flag

    def _choice(self, setting: Setting, value: object) -> str:
        choice = str(value).strip().lower()
        if choice not in setting.choices:
            raise self.wrong(
                setting.name, f"must be one of {', '.join(setting.choices)}, not {choice[:40]!r}"
            )
        return choice

    def _file(self, setting: Setting, value: object) -> bool | str | None:
        must, path = "must be the path of a file in PEM format", str(value).strip()
        if setting.kind == "ca_bundle":
            must, flag = "must be true, false or the path of a CA bundle", parse_flag(path)
            if flag is not None:
                return flag
        if value is None:
            return None
        if path.startswith("-----BEGIN"):
            # It may be a key, which a traceback that prints local variables would show.
            value = path = ""
            raise self.wrong(setting.name, f"{must}, not its contents; save them in a file")
        try:
            exists = Path(path).exists()
        except (OSError, ValueError):
            # Too long for a path, for example.
            exists = False
        if not exists:
            raise self.wrong(setting.name, f"{must}; no file {path[:120]!r}")
        return path

    def _proxies(self, setting: Setting, value: Sealed) -> Sealed:
        given = value.reveal()
        if given is None:
            return Sealed({})
        if isinstance(given, str) and given.strip().startswith("{"):
            try:
                value = Sealed(json.loads(given))
            except ValueError:
                value = Sealed(None)
        elif isinstance(given, str):
            value = Sealed({"http": given.strip(), "https": given.strip()})
        # A traceback that prints local variables would show a proxy's password.
        del given
        if not isinstance(value.reveal(), Mapping) or not all(
            # As for requests, null means a direct connection, and no_proxy lists hosts.
            url is None or (isinstance(url, str) and ("://" in url or name == "no_proxy"))
            for name, url in value.reveal().items()
        ):
            raise self.wrong(
                setting.name, 'must be a proxy URL or an object such as {"https": "http://proxy:3128"}'
            )
        return value

    def wrong(self, name: str, problem: str) -> WorkatoConfigurationError:
        """Return the error for a setting.

        :param name: the setting.
        :param problem: what is wrong with it.
        """
        setting = _SETTINGS[name]
        return WorkatoConfigurationError(
            f"Airflow connection {self.conn_id!r}: {setting.label!r} ({setting.key}) {problem}."
        )


def _parsed(extra: Sealed, *, conn_id: str) -> Sealed:
    try:
        parsed = Sealed(json.loads(extra.reveal() or "{}"))
    except (TypeError, ValueError):
        parsed = Sealed(None)
    if not isinstance(parsed.reveal(), dict):
        raise WorkatoConfigurationError(f"Airflow connection {conn_id!r}: Extra is not a JSON object.")
    return parsed


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
