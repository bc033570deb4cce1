"""A request and its response, down to the socket, for faults to manipulate and to hold."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_workato.sandbox.faults import FaultRule
from airflow_provider_workato.sandbox.traffic import LoggedRequest, RequestLog

Header = tuple[bytes, bytes]

# SO_LINGER on with no time to linger makes the close a reset.
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(eq=False, kw_only=True)
class Hold:
    """A held call."""

    entry: LoggedRequest
    performed: bool
    since: float = field(default_factory=time.monotonic)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Holds:
    """The calls that are held now."""

    def __init__(self) -> None:
        self._held: list[Hold] = []

    @contextmanager
    def holding(self, *, entry: LoggedRequest, performed: bool) -> Iterator[Hold]:
        """List a call as held while the block runs.

        :param entry: the call's entry in the request log.
        :param performed: whether it has been carried out.
        """
        hold = Hold(entry=entry, performed=performed)
        self._held.append(hold)
        try:
            yield hold
        finally:
            self._held.remove(hold)

    def release(self) -> int:
        """Let all held calls go on and return their number."""
        waiting = [hold for hold in self._held if not hold.released.is_set()]
        for hold in waiting:
            hold.released.set()
        return len(waiting)

    def describe(self) -> list[dict[str, Any]]:
        """Return the held calls, oldest first."""
        return [
            {
                "seq": hold.entry.seq,
                "operation": hold.entry.operation,
                "path": hold.entry.path,
                "performed": hold.performed,
                "held_for": time.monotonic() - hold.since,
            }
            for hold in self._held
        ]


@dataclass(frozen=True, kw_only=True)
class RawResponse:
    """An HTTP response. Content-Length follows from the body."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()

    @classmethod
    def of_json(cls, *, status: int, body: Any, headers: tuple[Header, ...] = ()) -> RawResponse:
        """Return a response with a JSON body.

        :param status: HTTP status.
        :param body: any JSON value.
        :param headers: further headers.
        """
        content_type = (b"content-type", b"application/json")
        return cls(status=status, body=json.dumps(body).encode(), headers=(content_type, *headers))

    @property
    def all_headers(self) -> tuple[Header, ...]:
        """The headers as they are sent."""
        return (*self.headers, (b"content-length", str(len(self.body)).encode()))

    @property
    def head(self) -> bytes:
        """The bytes that are sent before the body."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in (*self.all_headers, (b"connection", b"close"))]
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(kw_only=True)
class Exchange:
    """A request to which a fault applies.

    :param send: the server's own send, which leads to its transport.
    """

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    log: RequestLog
    entry: LoggedRequest
    holds: Holds
    rule: FaultRule
    extra_headers: tuple[Header, ...] = ()
    request_body: bytes = field(default=b"", repr=False)

    @property
    def transport(self) -> asyncio.Transport:
        """The server's end of the TCP connection."""
        # ASGI gives no way to break a connection; uvicorn's send is a method of the object that can.
        return cast(Any, self.send).__self__.transport  # type: ignore[no-any-return]

    async def read_request(self) -> bool:
        """Read the whole request and return whether the client stayed until its end."""
        # Unread data would turn an orderly close into a reset.
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return False
            self.request_body += message.get("body", b"")
            more = message.get("more_body", False)
        return True

    async def perform(self) -> RawResponse:
        """Carry out the call and return its response."""
        start: Message = {}
        body = b""
        request: list[Message] = [{"type": "http.request", "body": self.request_body, "more_body": False}]

        async def receive() -> Message:
            return request.pop() if request else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            else:
                body += message.get("body", b"")

        await self.app(self.scope, receive, send)
        kept = tuple((name, value) for name, value in start["headers"] if name != b"content-length")
        return RawResponse(status=start["status"], body=body, headers=kept)

    async def begin(self, response: RawResponse) -> None:
        """Send status and headers.

        :param response: the response.
        """
        self.log.set_status(self.entry, status=response.status)
        headers = [*response.all_headers, *self.extra_headers]
        await self.send({"type": "http.response.start", "status": response.status, "headers": headers})

    async def proceed(self, part: bytes, *, more: bool) -> None:
        """Send part of the body.

        :param part: the part.
        :param more: whether more follows.
        """
        await self.send({"type": "http.response.body", "body": part, "more_body": more})

    async def finish(self, response: RawResponse) -> None:
        """Send a whole response.

        :param response: the response.
        """
        await self.begin(response)
        await self.proceed(response.body, more=False)

    async def client_left(self) -> None:
        """Wait until either end closes the TCP connection."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def pause(self, seconds: float, *, until: Awaitable[Any] | None = None) -> bool:
        """Wait and return whether the client is still connected.

        :param seconds: maximum time to wait, in seconds.
        :param until: end the wait when this is done.
        """
        left = asyncio.ensure_future(self.client_left())
        others = [] if until is None else [asyncio.ensure_future(until)]
        waiting = [left, *others]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return not left.done()
        finally:
            for task in waiting:
                task.cancel()

    async def reset_socket(self) -> None:
        """Reset the TCP connection."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()
        await self.client_left()

    async def close_socket(self) -> None:
        """Close the TCP connection without a reset, even in the middle of a response."""
        self.transport.close()
        await self.client_left()
