"""The fields of the Airflow connection, read and checked once.

https://docs.workato.com/en/workato-api/workato-api.html names the data centers' hosts.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_workato.connection_form import (
    DATA_CENTERS,
    DEFAULT_CALLS_PER_SECOND,
    DEFAULT_CONNECT_TIMEOUT,
    DEFAULT_DATA_CENTER,
    DEFAULT_LIST_CALLS_PER_MINUTE,
    DEFAULT_READ_TIMEOUT,
    DEFAULT_RETRY_BUDGET,
    DEFAULT_SERVER_TIMEOUT,
    LABELS,
)
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.redaction import Sealed

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


_EXTRAS = tuple(name for name in LABELS if name not in ("host", "password", "port"))


#: Ports that a URL leaves out.
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: What numbers may be. Beyond that they are slips, and some overflow.
_LEAST, _MOST = 0.001, 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkatoSettings:
    """How to reach a workspace.

    :param conn_id: the Airflow connection that this was read from.
    :param base_url: scheme, host and optional path prefix, without a slash at the end.
    :param data_center: the data center's name, ``None`` if *base_url* was given by hand.
    :param token: the API token.
    :param connect_timeout: seconds to establish a connection.
    :param read_timeout: seconds until an answer begins, and again until it is complete.
    :param retry_budget: seconds of attempts and pauses after which no further attempt starts, not counting
        waits for a turn under the quota; 0 means one attempt only.
    :param server_timeout: seconds for which Workato may still work on a call whose answer was lost.
    :param verify: whether to verify the server's certificate, or the path of a CA bundle.
    :param proxies: proxy URLs by scheme. They may hold credentials.
    :param list_calls_per_minute: the workspace's quota of list calls.
    :param calls_per_second: the workspace's quota of all other calls.
    """

    conn_id: str
    base_url: str
    data_center: str | None
    token: Sealed
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT
    read_timeout: float = DEFAULT_READ_TIMEOUT
    retry_budget: float = DEFAULT_RETRY_BUDGET
    server_timeout: float = DEFAULT_SERVER_TIMEOUT
    verify: bool | str = True
    proxies: Sealed = field(default_factory=lambda: Sealed({}))
    list_calls_per_minute: float = DEFAULT_LIST_CALLS_PER_MINUTE
    calls_per_second: float = DEFAULT_CALLS_PER_SECOND

    @property
    def place(self) -> str:
        """The data center or host, as an error names it."""
        if self.data_center is None:
            return f"host {self.base_url}"
        return f"data center {self.data_center!r} ({self.base_url})"

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
        conn_id, host, scheme, port = connection.conn_id, connection.host, connection.schema, connection.port
        token, extra = Sealed(connection.password or ""), Sealed(connection.extra)
        has_login = bool(connection.login)
        # A traceback that prints local variables would show the connection with its password.
        del connection
        read = _Reader(conn_id=conn_id, extra=_parsed(extra, conn_id=conn_id))
        read.check_names()
        data_center = read.data_center()
        given = (host or "").strip()
        base_url = read.base_url(given, scheme=scheme, port=port) if given else DATA_CENTERS[data_center]
        read.check_token(token, has_login=has_login)
        return cls(
            conn_id=conn_id,
            base_url=base_url,
            data_center=None if given and base_url != DATA_CENTERS[data_center] else data_center,
            token=token,
            connect_timeout=read.seconds("connect_timeout", DEFAULT_CONNECT_TIMEOUT),
            read_timeout=read.seconds("read_timeout", DEFAULT_READ_TIMEOUT),
            retry_budget=read.seconds("retry_budget", DEFAULT_RETRY_BUDGET, zero=True),
            server_timeout=read.seconds("server_timeout", DEFAULT_SERVER_TIMEOUT, zero=True),
            verify=read.verify(),
            proxies=read.proxies(),
            list_calls_per_minute=read.seconds("list_calls_per_minute", DEFAULT_LIST_CALLS_PER_MINUTE),
            calls_per_second=read.seconds("calls_per_second", DEFAULT_CALLS_PER_SECOND),
        )


class _Reader:
    """Reads the extras of one connection; its errors say which one and where."""

    def __init__(self, *, conn_id: str, extra: Sealed) -> None:
        self.conn_id = conn_id
        self.extra = extra

    def check_names(self) -> None:
        """Refuse an extra whose name is nearly one of ours; Airflow and people add others of their own."""
        for name in self.extra.reveal():
            if name in _EXTRAS:
                continue
            meant = difflib.get_close_matches(name.lower().replace("-", "_"), _EXTRAS, n=1, cutoff=0.85)
            if meant:
                raise WorkatoConfigurationError(
                    f"Airflow connection {self.conn_id!r}: extra {name[:40]!r} is unknown. "
                    f"Did you mean {meant[0]!r} ({LABELS[meant[0]]})?"
                )

    def data_center(self) -> str:
        value = self._get("data_center") or DEFAULT_DATA_CENTER
        name = str(value).strip().lower()
        if name not in DATA_CENTERS:
            raise self._wrong("data_center", f"must be one of {', '.join(DATA_CENTERS)}, not {name[:40]!r}")
        return name

    def base_url(self, host: str, *, scheme: str | None, port: int | None) -> str:
        # As the host of a URI connection, an IPv6 address comes without its brackets.
        host = f"[{host}]" if _is_ipv6(host) else host
        # A URI connection carries the scheme in its schema field: workato://token@host/https.
        url = host if "://" in host else f"{scheme if scheme in ('http', 'https') else 'https'}://{host}"
        try:
            parts = urlsplit(url)
            name, own_port = parts.hostname, parts.port
        except ValueError:
            raise self._wrong("host", "is not a URL such as https://www.workato.com") from None
        if (
            not name
            or parts.scheme not in ("http", "https")
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
            or not re.fullmatch(r"[A-Za-z0-9.:_-]+", name)
            or not re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path)
        ):
            raise self._wrong("host", "is not a URL such as https://www.workato.com")
        if parts.scheme == "http" and not (_is_loopback(name) or self._flag("allow_http", default=False)):
            raise self._wrong(
                "host",
                f"uses plain http to {name}, which would show the API token to the network; use https, "
                f"or set {LABELS['allow_http']!r} (extra allow_http)",
            )
        path = parts.path.rstrip("/").removesuffix("/api")
        if "/api/" in f"{path}/":
            raise self._wrong("host", "must end before /api, which the provider adds by itself")
        # The form's port field is 0 when left empty on some Airflow versions.
        if port and not 0 < port < 65_536:
            raise self._wrong("port", "must be a number between 1 and 65535")
        shown = f"[{name}]" if ":" in name else name
        number = own_port or port
        if number == _DEFAULT_PORTS[parts.scheme]:
            # With and without it is one workspace, with one quota and one lock for each of its connections.
            number = None
        return f"{parts.scheme}://{shown}{f':{number}' if number else ''}{path}"

    def check_token(self, token: Sealed, *, has_login: bool) -> None:
        if not token.reveal() and has_login:
            raise self._wrong(
                "password",
                "is missing, but there is a login; in a URI the token follows a colon: workato://:TOKEN@/",
            )
        if not token.reveal():
            raise self._wrong("password", "is missing; create an API client in Workato and paste its token")
        if not re.fullmatch(r"[\x21-\x7e]+", token.reveal()):
            raise self._wrong(
                "password", "has a space, a line break or a non-ASCII character; paste the token again"
            )

    def seconds(self, name: str, default: float, *, zero: bool = False) -> float:
        value = self._get(name)
        if value is None or value == "":
            return default
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        least = 0.0 if zero else _LEAST
        if not least <= number <= _MOST:
            raise self._wrong(name, f"must be a number between {least:g} and {_MOST:,.0f}")
        return number

    def verify(self) -> bool | str:
        value = self._get("verify")
        if value is None or value == "":
            return True
        if isinstance(value, bool):
            return value
        text = str(value).strip()
        if text.lower() in ("true", "1", "yes"):
            return True
        if text.lower() in ("false", "0", "no"):
            return False
        if not Path(text).exists():
            raise self._wrong(
                "verify", f"must be true, false or the path of a CA bundle; no file {text[:120]!r}"
            )
        return text

    def proxies(self) -> Sealed:
        value = self._get("proxies")
        if value is None or value == "":
            return Sealed({})
        if isinstance(value, str) and value.strip().startswith("{"):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        elif isinstance(value, str):
            value = {"http": value.strip(), "https": value.strip()}
        sealed = Sealed(value)
        del value
        if not isinstance(sealed.reveal(), Mapping) or not all(
            isinstance(url, str) and "://" in url for url in sealed.reveal().values()
        ):
            raise self._wrong(
                "proxies", 'must be a proxy URL or an object such as {"https": "http://proxy:3128"}'
            )
        return sealed

    def _flag(self, name: str, *, default: bool) -> bool:
        value = self._get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return value
        if str(value).strip().lower() in ("true", "1", "yes", "false", "0", "no"):
            return str(value).strip().lower() in ("true", "1", "yes")
        raise self._wrong(name, "must be true or false")

    def _get(self, name: str) -> Any:
        return self.extra.reveal().get(name)

    def _wrong(self, name: str, problem: str) -> WorkatoConfigurationError:
        where = name if name in ("host", "password", "port") else f"extra {name}"
        return WorkatoConfigurationError(
            f"Airflow connection {self.conn_id!r}: {LABELS[name]!r} ({where}) {problem}."
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
