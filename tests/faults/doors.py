"""Ports in front of a sandbox, and a foreign server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class ClosedDoor:
    """A port that refuses connections until it is opened; then it forwards to *url*.

    :param url: the sandbox.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        # Bind, so that no other process gets the port. Until it listens, the system refuses connections.
        self._line = socket.socket()
        self._line.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._line.getsockname()[1]}"
        self.is_open = False

    def open(self) -> None:
        """Accept connections from now on."""
        if not self.is_open:
            self.is_open = True
            self._line.listen()
            threading.Thread(target=self._admit, daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        # Closing alone would not wake the thread that waits for a connection.
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _admit(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._line.accept()
                server = socket.create_connection(self._target)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with (
        contextlib.suppress(OSError),
        source.makefile("rb", buffering=0) as reader,
        target.makefile("wb", buffering=0) as writer,
    ):
        shutil.copyfileobj(reader, writer)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def closed_door(url: str) -> Iterator[ClosedDoor]:
    """Yield a closed door to *url*.

    :param url: the sandbox.
    """
    door = ClosedDoor(url)
    try:
        yield door
    finally:
        door.close()


class Stranger:
    """A foreign server, to which requests may be redirected; it records every byte that it receives."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._line = socket.create_server(("127.0.0.1", 0))
        # Use another host name than the sandbox: a client may trust other ports of the same host.
        self.url = f"http://localhost:{self._line.getsockname()[1]}/elsewhere"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._line.accept()
                with client:
                    self.received.append(client.recv(65_536))
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
