"""Find the operation of a request."""

from __future__ import annotations

from typing import cast

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from airflow_provider_workato.sandbox.traffic.operations import Operation
from airflow_provider_workato.sandbox.web.api import connections, workspace

_ROUTES = (*connections.router.routes, *workspace.router.routes)


def operation_of(scope: Scope) -> Operation:
    """Return the operation of a request, by the name of its route.

    :param scope: the request's ASGI scope.
    """
    for route in _ROUTES:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return Operation(cast(APIRoute, route).name)
    return Operation.UNKNOWN
