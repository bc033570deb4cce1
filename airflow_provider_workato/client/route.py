"""How this machine reaches Workato: proxy, CA bundle and client certificate, and what is wrong with them."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from airflow_provider_workato.connection_form import LABELS
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.redaction import Sealed

if TYPE_CHECKING:
    from airflow_provider_workato.client.settings import WorkatoSettings

_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_HOST = re.compile(r"[\w:-]{1,63}(\.[\w-]{1,63})*\.?")
_EXAMPLE = "it must look like http://proxy:3128"
#: How long a server may take to refuse a client certificate, in seconds.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The proxy, the CA bundle and the client certificate of all calls to one workspace.

    The Airflow connection decides; what it leaves open, the environment does. A loopback host is reached
    without the environment's proxies, which would get the token of a local sandbox unencrypted.

    :param proxy: the proxy's URL, which can contain a password, or ``None`` for a direct connection.
    :param proxy_source: the field or environment variable that names the proxy.
    :param verify: whether to verify certificates, or the path of a CA bundle.
    :param verify_source: the field or environment variable that names the bundle.
    :param client_certificate: the paths of the certificate and its key, ``None`` for no certificate.
    :param client_sources: the fields that name them.
    """

    proxy: Sealed
    proxy_source: str
    verify: bool | str
    verify_source: str
    client_certificate: tuple[str, str] | None
    client_sources: tuple[str, str]

    @classmethod
    def of(cls, settings: WorkatoSettings) -> Self:
        """Read what the Airflow connection leaves open from the environment.

        :param settings: the workspace's settings.
        :raises WorkatoConfigurationError: if the proxy cannot be used.
        """
        proxy, proxy_source = _proxy(settings)
        verify, verify_source = settings.verify, _field("verify", settings)
        if verify is True:
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                if os.environ.get(name):
                    verify, verify_source = os.environ[name], _variable(name)
                    break
        certificate, key = settings.client_certificate, settings.client_key
        field = _field("client_certificate", settings)
        route = cls(
            proxy=proxy,
            proxy_source=proxy_source,
            verify=verify,
            verify_source=verify_source,
            # Name the key even if it is in the same file: only then urllib3 notices a passphrase, for which
            # OpenSSL would ask on the terminal.
            client_certificate=(certificate, key or certificate) if certificate else None,
            client_sources=(field, _field("client_key", settings) if key else field),
        )
        if problem := route._problem_of_proxy():
            raise WorkatoConfigurationError(f"The proxy in {proxy_source} {problem}. Nothing was sent.")
        return route

    @property
    def address(self) -> str | None:
        """The proxy's host and port, without its password."""
        url: str | None = self.proxy.reveal()
        return url and url.rpartition("@")[2].rpartition("://")[2].partition("/")[0]

    def problem_of_files(self) -> str | None:
        """Return what is wrong with the CA bundle or the client certificate, ``None`` if both can be used."""
        return self._problem_of_bundle() or self._problem_of_client_certificate()

    def alert(self, settings: WorkatoSettings) -> ssl.SSLError | None:
        """Return the error with which the server ends a connection on which nothing is sent, or ``None``.

        From TLS 1.3 on, a server reads the client's certificate after the client's part of the handshake. If
        it then closes the connection while a request arrives, its refusal is lost.

        :param settings: the workspace's settings.
        """
        parts = urlsplit(settings.base_url)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Nothing is sent, so it does not matter who listens.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            if self.client_certificate is not None:
                context.load_cert_chain(*self.client_certificate, password="")
            address = (parts.hostname, parts.port or 443)
            with (
                socket.create_connection(address, timeout=min(settings.connect_timeout, _PATIENCE)) as line,
                context.wrap_socket(line, server_hostname=parts.hostname) as tls,
            ):
                tls.recv(1)
        except ssl.SSLError as error:
            return error.with_traceback(None)
        except OSError:
            pass
        return None

    def _problem_of_client_certificate(self) -> str | None:
        if self.client_certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        passphrases: list[str] = []

        def passphrase() -> str:
            passphrases.append("")
            return passphrases[0]

        certificate, key = self.client_certificate
        what, path, source = "certificate", certificate, self.client_sources[0]
        try:
            context.load_verify_locations(certificate)
            what, path, source = "key", key, self.client_sources[1]
            context.load_cert_chain(certificate, key, password=passphrase)
        except ssl.SSLError as error:
            problem = f"has no {what}, or an incomplete one"
            if passphrases:
                problem = "has a passphrase, which the provider cannot enter; save it without one"
            elif error.reason == "KEY_VALUES_MISMATCH":
                problem = "belongs to another certificate"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        else:
            return None
        return (
            f"the client {what} in {path[:200]!r} {problem}. Correct the file, which holds a {what} in PEM "
            f"format, or its path in {source}."
        )

    def _problem_of_bundle(self) -> str | None:
        if not isinstance(self.verify, str) or Path(self.verify).is_dir():
            return None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.verify)
        except ssl.SSLError:
            problem = "has no certificate, or an incomplete one"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        else:
            return None
        return (
            f"the CA bundle {self.verify[:200]!r} {problem}. Correct the file, which holds certificates in "
            f"PEM format, or its path in {self.verify_source}."
        )

    def _problem_of_proxy(self) -> str | None:
        if self.proxy.reveal() is None:
            return None
        try:
            parts = urlsplit(self.proxy.reveal())
            scheme, host, port, rest = parts.scheme, parts.hostname, parts.port, "@" in "".join(parts[2:])
        except ValueError:
            return f"is not a URL with a valid host and port; {_EXAMPLE}"
        finally:
            # A traceback that prints local variables would show the proxy's password.
            parts = None
        socks = scheme.startswith("socks") and importlib.util.find_spec("socks") is None
        problems = {
            f"must begin with one of {', '.join(f'{known}://' for known in _SCHEMES)}": scheme
            not in _SCHEMES,
            "has a user or password with a special character; write it as % and its code, such as %2F": rest,
            f"has no valid host; {_EXAMPLE}": not _HOST.fullmatch(host or ""),
            f"has port 0; {_EXAMPLE}": port == 0,
            "is a SOCKS proxy, which needs another package: pip install 'requests[socks]'": socks,
        }
        return next((problem for problem, holds in problems.items() if holds), None)


def _proxy(settings: WorkatoSettings) -> tuple[Sealed, str]:
    """Return the proxy of the calls, and where it is set."""
    from requests.utils import get_environ_proxies, select_proxy, should_bypass_proxies

    url, given, field = settings.base_url, settings.proxies.reveal(), _field("proxies", settings)
    excluded = given.get("no_proxy")
    parts = urlsplit(url)
    names = (f"{parts.scheme}://{parts.hostname}", parts.scheme, f"all://{parts.hostname}", "all")
    if excluded and should_bypass_proxies(url, no_proxy=excluded):
        return Sealed(None), field
    if any(name in given for name in names):
        # Do not merge: a proxy for "all" would lose to the environment's for one scheme.
        return Sealed(select_proxy(url, given)), field
    if settings.is_local:
        return Sealed(None), field
    proxy = Sealed(select_proxy(url, get_environ_proxies(url, no_proxy=excluded)))
    if proxy.reveal() and "://" not in proxy.reveal():
        proxy = Sealed(f"http://{proxy.reveal()}")
    known = (f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return proxy, _variable(next((name for name in known if os.environ.get(name)), known[1]))


def _field(name: str, settings: WorkatoSettings) -> str:
    return f"{LABELS[name]!r} (extra {name}) of Airflow connection {settings.conn_id!r}"


def _variable(name: str) -> str:
    return f"the environment variable {name}"
