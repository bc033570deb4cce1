"""Where the processes of a play look Airflow connections up, anew each time, as in a vault."""

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
        """Return a connection as JSON, ``None`` while the vault is said to be out of order."""
        kept: dict[str, Any] = json.loads(Path(os.environ[VARIABLE]).read_bytes())
        if time.monotonic() < kept["broken_until"]:
            return None
        value: str | None = kept["connections"].get(conn_id)
        return value


def write(path: Path, connections: dict[str, str], *, broken_until: float = 0.0) -> None:
    """Replace the file at one instant.

    :param path: the file
    :param connections: Airflow connections as JSON, by id
    :param broken_until: the moment of the monotonic clock until which no look-up succeeds
    """
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"connections": connections, "broken_until": broken_until}))
    fresh.replace(path)
