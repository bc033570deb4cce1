"""Middleware of ``/api/``: request log, token, quota and faults."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_workato.sandbox.faults.effects import apply_fault
from airflow_provider_workato.sandbox.faults.exchange import Exchange, Header, RawResponse
from airflow_provider_workato.sandbox.sandbox import Sandbox
from airflow_provider_workato.sandbox.traffic.request_log import LoggedRequest
from airflow_provider_workato.sandbox.web.operation_of import operation_of
from airflow_provider_workato.sandbox.workspace.refusals import TOO_MANY_REQUESTS_BODY, UNAUTHORIZED_BODY


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
        operation = operation_of(scope)
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
