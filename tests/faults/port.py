"""A port in front of a sandbox that refuses connections at first."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class RefusingPort:
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
def refusing_port(url: str) -> Iterator[RefusingPort]:
    """Yield a port in front of *url*.

    :param url: the sandbox.
    """
    port = RefusingPort(url)
    try:
        yield port
    finally:
        port.close()
