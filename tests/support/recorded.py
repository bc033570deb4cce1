"""Answers recorded from Workato."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ROWS = Path(__file__).parent.parent / "data" / "recorded.json"


def recorded_rows() -> list[dict[str, Any]]:
    """Return three recorded connections: a lost OAuth one, one never authorized, and an authorized one."""
    rows: list[dict[str, Any]] = json.loads(_ROWS.read_text())
    return rows
