"""The endpoints of Workato's connections API.

Endpoints: https://docs.workato.com/en/workato-api/connections.html.
Quotas: https://docs.workato.com/en/workato-api/limits.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quota(StrEnum):
    """The workspace's two quotas."""

    LIST = "list"
    OTHER = "other"


_NOT_FOUND = (
    "the connection was deleted, or is not visible to this token; check the id and that the API client of "
    "Airflow connection {conn_id!r} has access to the connection's project"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint of the API.

    :param operation: its name in logs and errors.
    :param method: the HTTP method.
    :param path: the path below the base URL.
    :param privilege: the privilege that the API client's role needs, as Workato's role editor names it.
    :param quota: the quota that a call counts against.
    :param creates: whether two calls make two connections. Such a call is retried only if the first one
        certainly was not carried out.
    :param reads: whether a call changes nothing in Workato.
    :param not_found: what a 404 means and what to do; a format string with ``{conn_id}`` and the form's
        labels as fields.
    :param invalid: what to do about a 400 or 422.
    """

    operation: str
    method: str
    path: str
    privilege: str
    quota: Quota = Quota.OTHER
    creates: bool = False
    reads: bool = False
    not_found: str = _NOT_FOUND
    invalid: str = "correct the task's arguments"


_MAY_BE_MISSING = f"{_NOT_FOUND}. If that is no error, as in a clean-up, set ignore_missing=True"
_ADDRESS = "{host!r} and {data_center!r} of Airflow connection {conn_id!r}"

LIST = Endpoint(
    operation="list_connections",
    method="GET",
    path="/api/connections",
    privilege="Connections: List",
    quota=Quota.LIST,
    reads=True,
    not_found=f"there is no connections API at this address; check {_ADDRESS}",
)
CREATE = Endpoint(
    operation="create_connection",
    method="POST",
    path="/api/connections",
    privilege="Connections: Create",
    creates=True,
    not_found=(
        "the folder or parent connection does not exist or is not visible to this token, or there is no "
        f"connections API at this address; check folder_id, parent_id, and {_ADDRESS}"
    ),
)
UPDATE = Endpoint(
    operation="update_connection",
    method="PUT",
    path="/api/connections/{id}",
    privilege="Connections: Update",
)
DISCONNECT = Endpoint(
    operation="disconnect_connection",
    method="POST",
    path="/api/connections/{id}/disconnect",
    privilege="Connections: Disconnect",
    not_found=_MAY_BE_MISSING,
)
DELETE = Endpoint(
    operation="delete_connection",
    method="DELETE",
    path="/api/connections/{id}",
    privilege="Connections: Delete",
    not_found=_MAY_BE_MISSING,
)
PICKLIST = Endpoint(
    operation="get_picklist",
    method="POST",
    path="/api/connections/{id}/pick_list",
    privilege="Connections: Get picklist values",
    reads=True,
    invalid="check pick_list_name, pick_list_params and that the connection is authorized",
)
CREATE_RUNTIME_USER = Endpoint(
    operation="create_runtime_user_connection",
    method="POST",
    path="/api/connections/runtime_user_connections",
    privilege="Connections: Create",
    creates=True,
    not_found=(
        "the parent connection or folder does not exist or is not visible to this token; check folder_id and "
        "that parent_id is an authorized OAuth connection"
    ),
)
OAUTH_URL = Endpoint(
    operation="get_oauth_url",
    method="GET",
    path="/api/connections/runtime_user_connections/{id}/get_oauth_url",
    privilege="Connections: List",
    reads=True,
)
