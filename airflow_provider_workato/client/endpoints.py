"""The endpoints of Workato's connections API.

https://docs.workato.com/en/workato-api/connections.html describes them,
https://docs.workato.com/en/workato-api/limits.html their quotas.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quota(StrEnum):
    """Which of the two quotas a call counts against."""

    LIST = "list"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One call of the API.

    :param operation: its name in logs and errors.
    :param method: the HTTP method.
    :param path: the path below the base URL.
    :param privilege: what the API client's role must allow, as Workato's role editor calls it.
    :param quota: the quota it counts against.
    :param creates: whether carrying it out twice makes two connections. Such a call is repeated
        only if it provably was not carried out.
    :param not_found: what a 404 means and what to do; ``{conn_id}`` and the form's labels are filled in.
    """

    operation: str
    method: str
    path: str
    privilege: str
    quota: Quota = Quota.OTHER
    creates: bool = False
    not_found: str = "deleted, or not visible to this token"


_ADDRESS = "{host!r} and {data_center!r} of Airflow connection {conn_id!r}"

LIST = Endpoint(
    operation="list_connections",
    method="GET",
    path="/api/connections",
    privilege="Connections: List",
    quota=Quota.LIST,
    not_found=f"there is no connections API at this address; check {_ADDRESS}",
)
CREATE = Endpoint(
    operation="create_connection",
    method="POST",
    path="/api/connections",
    privilege="Connections: Create",
    creates=True,
    not_found=(
        "this token sees no such folder or parent connection, or there is no connections API at this "
        f"address; check folder_id, parent_id, and {_ADDRESS}"
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
)
DELETE = Endpoint(
    operation="delete_connection",
    method="DELETE",
    path="/api/connections/{id}",
    privilege="Connections: Delete",
)
PICKLIST = Endpoint(
    operation="get_picklist",
    method="POST",
    path="/api/connections/{id}/pick_list",
    privilege="Connections: Get picklist values",
)
CREATE_RUNTIME_USER = Endpoint(
    operation="create_runtime_user_connection",
    method="POST",
    path="/api/connections/runtime_user_connections",
    privilege="Connections: Create",
    creates=True,
    not_found=(
        "this token sees no such parent connection or folder; check that parent_id is an established OAuth "
        "connection, and check folder_id"
    ),
)
OAUTH_URL = Endpoint(
    operation="get_oauth_url",
    method="GET",
    path="/api/connections/runtime_user_connections/{id}/get_oauth_url",
    privilege="Connections: List",
)
