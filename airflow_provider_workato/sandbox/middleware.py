"""What a request passes on its way to a route.

The fence keeps pages of other sites, open in a browser on this machine, from reading or changing the sandbox.
The gate to ``/api/`` keeps the request log, checks token and quota, and applies faults.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from typing import cast
from urllib.parse import urlsplit

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_workato.sandbox import api
from airflow_provider_workato.sandbox.bodies import TOO_MANY_REQUESTS_BODY, UNAUTHORIZED_BODY
from airflow_provider_workato.sandbox.effects import apply_fault
from airflow_provider_workato.sandbox.exchange import Exchange, Header, RawResponse
from airflow_provider_workato.sandbox.sandbox import Sandbox
from airflow_provider_workato.sandbox.traffic import LoggedRequest, Operation

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


class Gate:
    """Log, authenticate and limit API calls, and apply faults to them. Other requests pass untouched.

    :param app: the application behind it.
    :param sandbox: the sandbox that it serves.
    """

    def __init__(self, *, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        :param scope: the ASGI one.
        :param receive: the ASGI one.
        :param send: the ASGI one.
        """
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        sandbox = self._sandbox
        operation = _operation_of(scope)
        entry = sandbox.log.open(
            operation=operation,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
        )
        if not self._is_authorized(scope):
            await self._respond(
                send, entry=entry, response=RawResponse.of_json(status=401, body=UNAUTHORIZED_BODY)
            )
            return
        admission = sandbox.quota.admit(operation=operation, path=scope["path"])
        headers: tuple[Header, ...] = ()
        if admission.remaining is not None:
            headers = ((b"x-rate-limit-remaining", str(admission.remaining).encode()),)
        if admission.retry_after is not None:
            headers = (*headers, (b"retry-after", str(admission.retry_after).encode()))
            refusal = RawResponse.of_json(status=429, body=TOO_MANY_REQUESTS_BODY, headers=headers)
            await self._respond(send, entry=entry, response=refusal)
            return
        rule = sandbox.faults.take(operation)
        if rule is None:
            await self._app(scope, receive, self._recording(send, entry=entry, headers=headers))
            return
        entry.fault = rule.fault
        await apply_fault(
            Exchange(
                app=self._app,
                scope=scope,
                receive=receive,
                send=send,
                log=sandbox.log,
                entry=entry,
                holds=sandbox.holds,
                rule=rule,
                extra_headers=headers,
            )
        )

    def _is_authorized(self, scope: Scope) -> bool:
        given: bytes = dict(scope["headers"]).get(b"authorization", b"")
        return any(hmac.compare_digest(given, b"Bearer " + token.encode()) for token in self._sandbox.tokens)

    def _recording(self, send: Send, *, entry: LoggedRequest, headers: tuple[Header, ...]) -> Send:
        async def record(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._sandbox.log.set_status(entry, status=message["status"])
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        return record

    async def _respond(self, send: Send, *, entry: LoggedRequest, response: RawResponse) -> None:
        self._sandbox.log.set_status(entry, status=response.status)
        await send(
            {"type": "http.response.start", "status": response.status, "headers": list(response.all_headers)}
        )
        await send({"type": "http.response.body", "body": response.body})


def _operation_of(scope: Scope) -> Operation:
    """Return the operation of a request, by the name of its route."""
    for route in api.router.routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return Operation(cast(APIRoute, route).name)
    return Operation.UNKNOWN
