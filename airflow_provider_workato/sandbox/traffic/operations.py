"""Which operation a request asks for, by the names the request log and the fault rules use."""

from __future__ import annotations

import re
from enum import StrEnum


class Operation(StrEnum):
    """The calls of the developer API that the sandbox serves."""

    LIST_CONNECTIONS = "list_connections"
    CREATE_CONNECTION = "create_connection"
    UPDATE_CONNECTION = "update_connection"
    DISCONNECT_CONNECTION = "disconnect_connection"
    DELETE_CONNECTION = "delete_connection"
    GET_PICKLIST = "get_picklist"
    CREATE_RUNTIME_USER_CONNECTION = "create_runtime_user_connection"
    GET_OAUTH_URL = "get_oauth_url"
    GET_WORKSPACE = "get_workspace"
    UNKNOWN = "unknown"


_ROUTES = (
    ("GET", r"/api/connections", Operation.LIST_CONNECTIONS),
    ("POST", r"/api/connections", Operation.CREATE_CONNECTION),
    ("POST", r"/api/connections/runtime_user_connections", Operation.CREATE_RUNTIME_USER_CONNECTION),
    ("GET", r"/api/connections/runtime_user_connections/[^/]+/get_oauth_url", Operation.GET_OAUTH_URL),
    ("PUT", r"/api/connections/[^/]+", Operation.UPDATE_CONNECTION),
    ("DELETE", r"/api/connections/[^/]+", Operation.DELETE_CONNECTION),
    ("POST", r"/api/connections/[^/]+/disconnect", Operation.DISCONNECT_CONNECTION),
    ("POST", r"/api/connections/[^/]+/pick_list", Operation.GET_PICKLIST),
    ("GET", r"/api/users/me", Operation.GET_WORKSPACE),
)
_COMPILED = tuple((method, re.compile(pattern), operation) for method, pattern, operation in _ROUTES)


def operation_of(*, method: str, path: str) -> Operation:
    """Name the operation that a request asks for.

    :param method: the HTTP method
    :param path: the path, without its query
    """
    for known_method, pattern, operation in _COMPILED:
        if method == known_method and pattern.fullmatch(path):
            return operation
    return Operation.UNKNOWN
