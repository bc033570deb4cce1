"""Keep pages of other sites, open in a browser on this machine, from reading or changing the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSAL = {"detail": "This request comes from a page of another site, which may not change the sandbox."}


def fenced(app: ASGIApp, *, hosts: Sequence[str]) -> ASGIApp:
    """Refuse requests to foreign host names, and writes by pages of other sites.

    A browser takes a host name that was rebound to this machine for the same site, so names are checked, too.

    :param app: the application behind the fence.
    :param hosts: the host names to accept, ``*`` for all.
    """
    return TrustedHostMiddleware(_SameSiteWrites(app), allowed_hosts=hosts, www_redirect=False)


def loopback_hosts(host: str) -> list[str]:
    """Return the host names under which a loopback address is reached.

    :param host: the address or name listened on.
    """
    # Older versions of Starlette cut an IPv6 address at its first colon. A bracket never starts a name.
    return ["localhost", "127.0.0.1", "[::1]", "[", f"[{host}]" if ":" in host else host]


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
