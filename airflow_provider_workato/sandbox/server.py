"""The HTTP server."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterable

import uvicorn

from airflow_provider_workato.sandbox.sandbox import Sandbox
from airflow_provider_workato.sandbox.web.app import create_app

# Do not wait longer for held or slow calls.
_SHUTDOWN_SECONDS = 1


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()


async def serve(
    *,
    listener: socket.socket,
    sandbox: Sandbox,
    hosts: Iterable[str],
    on_ready: Callable[[], None],
    exit_with_stdin: bool = False,
    certificate: str | None = None,
) -> None:
    """Serve until a signal arrives.

    :param listener: the bound socket to listen on.
    :param sandbox: the sandbox to serve.
    :param hosts: the host names to accept beside ``localhost``.
    :param on_ready: called once, when the server accepts requests.
    :param exit_with_stdin: also end when standard input ends.
    :param certificate: path of a PEM file with a certificate and its key, to speak https.
    """
    config = uvicorn.Config(
        create_app(sandbox, hosts=hosts),
        # Faults reach the transport through this implementation.
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ssl_certfile=certificate,
    )
    server = _Server(config, on_ready=on_ready)
    if exit_with_stdin:
        _watch_stdin(server)
    await server.serve(sockets=[listener])


def _watch_stdin(server: uvicorn.Server) -> None:
    stdin = sys.stdin.fileno()

    def on_readable() -> None:
        if not os.read(stdin, 4096):
            server.should_exit = True
            asyncio.get_running_loop().remove_reader(stdin)

    asyncio.get_running_loop().add_reader(stdin, on_readable)
