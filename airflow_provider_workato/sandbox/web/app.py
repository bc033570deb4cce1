"""The ASGI application."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from airflow_provider_workato.sandbox.sandbox import Sandbox
from airflow_provider_workato.sandbox.web import buttons, consent, control, home
from airflow_provider_workato.sandbox.web.api import connections, workspace
from airflow_provider_workato.sandbox.web.fence import fenced
from airflow_provider_workato.sandbox.web.gate import Gate
from airflow_provider_workato.sandbox.workspace.refusals import (
    BAD_REQUEST_BODY,
    NOT_FOUND_BODY,
    Refused,
    invalid,
)


def create_app(sandbox: Sandbox, *, hosts: Iterable[str]) -> ASGIApp:
    """Build the application.

    :param sandbox: the sandbox to serve.
    :param hosts: the host names under which it may be reached beside ``localhost``.
    """
    app = FastAPI(title="Workato sandbox", openapi_url="/sandbox/openapi.json", docs_url=None, redoc_url=None)
    app.state.sandbox = sandbox
    for routes in (connections, workspace, control, consent, home, buttons):
        app.include_router(routes.router)
    app.exception_handler(Refused)(_on_refused)
    app.exception_handler(consent.BadLink)(_on_bad_link)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http_error)
    return fenced(Gate(app=app, sandbox=sandbox), hosts=hosts)


async def _on_refused(_: Request, error: Refused) -> JSONResponse:
    return JSONResponse(error.body, status_code=error.status)


async def _on_bad_link(_: Request, error: consent.BadLink) -> Response:
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
