"""A secrets backend in which the processes of a play look up Airflow connections each time, as in a vault."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from airflow.secrets import BaseSecretsBackend

#: The environment variable with the path of the file.
VARIABLE = "COMBINED_CONNECTIONS"


class FileBackend(BaseSecretsBackend):
    """Reads connections from a file that the play rewrites while Airflow runs."""

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return a connection as JSON, or ``None`` while the vault is marked as broken."""
        kept: dict[str, Any] = json.loads(Path(os.environ[VARIABLE]).read_bytes())
        if time.monotonic() < kept["broken_until"]:
            return None
        value: str | None = kept["connections"].get(conn_id)
        return value


def write(path: Path, connections: dict[str, str], *, broken_until: float = 0.0) -> None:
    """Replace the file atomically.

    :param path: the file.
    :param connections: the Airflow connections as JSON, by id.
    :param broken_until: the time on the monotonic clock until which no look-up finds anything.
    """
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"connections": connections, "broken_until": broken_until}))
    fresh.replace(path)
