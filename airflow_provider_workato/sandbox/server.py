"""The HTTP server, and the application that it runs."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from airflow_provider_workato.sandbox import api, control, pages
from airflow_provider_workato.sandbox.bodies import BAD_REQUEST_BODY, NOT_FOUND_BODY, Refused, invalid
from airflow_provider_workato.sandbox.middleware import Gate, fenced
from airflow_provider_workato.sandbox.sandbox import Sandbox


def create_app(sandbox: Sandbox, *, hosts: Iterable[str]) -> ASGIApp:
    """Build the application.

    :param sandbox: the sandbox to serve.
    :param hosts: the host names under which it may be reached beside ``localhost``.
    """
    app = FastAPI(title="Workato sandbox", openapi_url="/sandbox/openapi.json", docs_url=None, redoc_url=None)
    app.state.sandbox = sandbox
    for router in (api.router, control.router, pages.router):
        app.include_router(router)
    app.exception_handler(Refused)(_on_refused)
    app.exception_handler(pages.BadLink)(_on_bad_link)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http_error)
    return fenced(Gate(app=app, sandbox=sandbox), hosts=hosts)


async def _on_refused(_: Request, error: Refused) -> JSONResponse:
    return JSONResponse(error.body, status_code=error.status)


async def _on_bad_link(_: Request, error: pages.BadLink) -> Response:
    return error.shown


async def _on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    # FastAPI's default response quotes the input, which may be a credential.
    problems = [(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()]
    if request.url.path.startswith("/sandbox/"):
        texts = [f"{'.'.join(map(str, location))}: {message}" for location, _, message in problems]
        return JSONResponse({"detail": "; ".join(texts)}, status_code=422)
    return _as_workato(problems)


def _as_workato(problems: Sequence[tuple[Sequence[Any], str, str]]) -> JSONResponse:
    if any(location[0] == "path" for location, _, _ in problems):
        return JSONResponse(NOT_FOUND_BODY, status_code=404)
    if any(kind == "json_invalid" or location == ("body",) for location, kind, _ in problems):
        return JSONResponse(BAD_REQUEST_BODY, status_code=400)
    blank = {"missing", "string_too_short"}
    errors = {
        str(location[1]): ["can't be blank" if kind in blank else "is invalid"]
        for location, kind, _ in problems
    }
    return JSONResponse(invalid(errors).body, status_code=400)


async def _on_http_error(request: Request, error: HTTPException) -> JSONResponse:
    if request.url.path.startswith("/sandbox/"):
        return JSONResponse({"detail": error.detail}, status_code=error.status_code)
    return JSONResponse(NOT_FOUND_BODY, status_code=404)


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
