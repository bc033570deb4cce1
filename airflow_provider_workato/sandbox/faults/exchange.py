"""One request and its answer, down to the socket, for the faults to take apart."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_workato.sandbox.faults.holds import Holds
from airflow_provider_workato.sandbox.faults.table import FaultRule
from airflow_provider_workato.sandbox.traffic.request_log import Entry, RequestLog

Header = tuple[bytes, bytes]

# SO_LINGER on with no time to linger makes the close a reset.
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer; Content-Length is made from the body."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()

    @classmethod
    def of_json(cls, *, status: int, body: Any, headers: tuple[Header, ...] = ()) -> Answer:
        """Make an answer with a JSON body.

        :param status: HTTP status
        :param body: anything JSON can hold
        :param headers: headers beside Content-Type
        """
        content_type = (b"content-type", b"application/json")
        return cls(status=status, body=json.dumps(body).encode(), headers=(content_type, *headers))

    @property
    def all_headers(self) -> tuple[Header, ...]:
        """The headers as they go over the line."""
        return (*self.headers, (b"content-length", str(len(self.body)).encode()))

    @property
    def head(self) -> bytes:
        """Everything before the body as it goes over the line."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        lines += [name + b": " + value for name, value in (*self.all_headers, (b"connection", b"close"))]
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(kw_only=True)
class Exchange:
    """A request for which a fault is in force.

    :param send: the server's own, for its transport
    """

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    log: RequestLog
    entry: Entry
    holds: Holds
    rule: FaultRule
    extra_headers: tuple[Header, ...] = ()
    request_body: bytes = field(default=b"", repr=False)

    @property
    def transport(self) -> asyncio.Transport:
        """The server's end of the line."""
        # ASGI gives no way to break a connection; uvicorn's send is a method of the object that can.
        return cast(Any, self.send).__self__.transport  # type: ignore[no-any-return]

    async def read_request(self) -> bool:
        """Take the whole request in; False when the client left in the middle of it."""
        # What is left unread would turn an orderly close into a reset.
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return False
            self.request_body += message.get("body", b"")
            more = message.get("more_body", False)
        return True

    async def perform(self) -> Answer:
        """Carry the call out and keep its answer."""
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
        return Answer(status=start["status"], body=body, headers=kept)

    async def begin(self, answer: Answer) -> None:
        """Send status and headers.

        :param answer: what they belong to
        """
        self.log.answer(self.entry, status=answer.status)
        headers = [*answer.all_headers, *self.extra_headers]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def proceed(self, part: bytes, *, more: bool) -> None:
        """Send a part of the body.

        :param part: the part
        :param more: whether there is more to come
        """
        await self.send({"type": "http.response.body", "body": part, "more_body": more})

    async def finish(self, answer: Answer) -> None:
        """Send a whole answer.

        :param answer: the answer
        """
        await self.begin(answer)
        await self.proceed(answer.body, more=False)

    async def client_left(self) -> None:
        """Wait until the line is closed, by whichever end."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def pause(self, seconds: float, *, until: Awaitable[Any] | None = None) -> bool:
        """Wait; return whether the client is still there.

        :param seconds: at most so long
        :param until: wait no longer than for this
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

    async def reset_line(self) -> None:
        """Break the connection with a TCP reset."""
        line: socket.socket = self.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()
        await self.client_left()

    async def close_line(self) -> None:
        """Close the connection in good order, whatever was promised to come."""
        self.transport.close()
        await self.client_left()
