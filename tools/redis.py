"""A temporary Redis server, the broker through which Celery sends tasks to workers."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools import debian
from tools.cluster import free_port
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
    """Run an empty server on a free port, yield its URL, and remove everything afterwards."""
    program = debian.redis()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="workato-redis-") as directory:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", directory]
        # Write nothing to disk: the queue is discarded with the server.
        options += ["--save", "", "--appendonly", "no"]
        with Path(directory, "log").open("wb") as log:
            server = subprocess.Popen(
                [program, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(lambda: _answers(port), what="Redis", deadline=30)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
        line.sendall(b"PING\r\n")
        return line.recv(16).startswith(b"+PONG")
    return False
