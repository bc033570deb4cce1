"""Answers as Workato really gave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ROWS = Path(__file__).parent.parent / "data" / "recorded.json"


def recorded_rows() -> list[dict[str, Any]]:
    """Return recorded connections: an OAuth one that broke, one that nobody authorized, one that works."""
    rows: list[dict[str, Any]] = json.loads(_ROWS.read_text())
    return rows
