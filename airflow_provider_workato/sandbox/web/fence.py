"""Keep pages of other sites, open in a browser on this machine, from reading or changing the sandbox."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_UNKNOWN_HOST = "The sandbox is not known by this host name. Start it with --allowed-host NAME to accept it."
_REFUSAL = {"detail": "This request comes from a page of another site, which may not change the sandbox."}


def fenced(app: ASGIApp, *, hosts: Iterable[str]) -> ASGIApp:
    """Refuse requests to foreign host names, and writes by pages of other sites.

    A browser takes a host name that was rebound to this machine for the same site, so names are checked, too.

    :param app: the application behind the fence.
    :param hosts: the host names to accept beside ``localhost``.
    """
    return _KnownHosts(_SameSiteWrites(app), hosts=hosts)


class _KnownHosts:
    """Refuse requests to unknown host names. An address is accepted: only a name can be rebound."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *map(str.lower, hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_known(Headers(scope=scope).get("host", "")):
            # The provider quotes JSON only.
            refusal = (
                JSONResponse({"message": _UNKNOWN_HOST}, status_code=400)
                if scope["path"].startswith("/api/")
                else PlainTextResponse(_UNKNOWN_HOST, status_code=400)
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _SameSiteWrites:
    """Refuse writes by pages of other sites, except to ``/api/``, which needs a token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/api/") and _is_foreign_write(scope):
            await JSONResponse(_REFUSAL, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_foreign_write(scope: Scope) -> bool:
    if scope["method"] in _SAFE_METHODS:
        return False
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        # "same-site" is another port of the same host, and so another application.
        return site not in ("same-origin", "none")
    # Old browsers send only this, as all do over plain HTTP to another machine. Programs send neither.
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
