"""The workspace described for the control API."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from airflow_provider_workato.sandbox.workspace.workspace import Workspace


def summary(workspace: Workspace, *, with_connections: bool) -> dict[str, Any]:
    """Return counts, folders and connections. The workspace holds no credentials, so nothing is left out.

    :param workspace: the workspace.
    :param with_connections: False leaves out the connections, which may be many.
    """
    connections = workspace.connections.values()
    by_status = Counter(str(connection.authorization_status) for connection in connections)
    described: dict[str, Any] = {
        "counts": {
            "connections": len(connections),
            "by_status": dict(by_status),
            "created": workspace.created,
        },
        "folders": [asdict(folder) for folder in workspace.folders],
    }
    if with_connections:
        described["connections"] = [connection.describe() for connection in connections]
    return described
