"""A minimal HTTP client that returns the bytes received and how the connection ended."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Received:
    """The bytes received, and how the connection ended: ``close``, ``reset`` or ``silence``."""

    data: bytes
    end: str

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def body(self) -> bytes:
        return self.data.split(b"\r\n\r\n", 1)[1]

    @property
    def is_complete(self) -> bool:
        return len(self.body) == int(self.headers["content-length"])


def closed_port() -> str:
    """Return an address at which nothing listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{reserved.getsockname()[1]}"


@contextmanager
def sent(url: str, *, token: str, method: str, path: str, body: Any = None) -> Iterator[socket.socket]:
    """Send a request on its own connection, and yield the socket.

    :param url: the server's address.
    :param token: the API token.
    :param method: the HTTP method.
    :param path: the path with the query.
    :param body: the JSON body.
    """
    parts = urlsplit(url)
    payload = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
        line.sendall(head.encode() + payload)
        yield line


def receive(line: socket.socket, *, patience: float = 30.0) -> Received:
    """Receive bytes until the connection ends.

    :param line: the socket that the request was sent on.
    :param patience: the seconds of silence that count as the end.
    """
    line.settimeout(patience)
    data = b""
    while True:
        try:
            part = line.recv(65_536)
        except ConnectionResetError:
            return Received(data=data, end="reset")
        except TimeoutError:
            return Received(data=data, end="silence")
        if not part:
            return Received(data=data, end="close")
        data += part
