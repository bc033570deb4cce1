"""What holds for the sandbox's packages: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_workato.sandbox

SANDBOX = Path(airflow_provider_workato.sandbox.__file__).parent
PREFIX = "airflow_provider_workato.sandbox."

#: Each may import from those before it, and from itself.
ORDER = ["traffic", "workspace", "faults", "sandbox", "web", "server", "cli", "__main__"]

#: These run outside of the sandbox's process, and may import the client only.
OUTSIDE = {"client", "pytest_plugin"}


def imported(path: Path) -> set[str]:
    """Return the rooms of the sandbox that a file imports."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in nodes for alias in node.names]
    return {name.removeprefix(PREFIX).split(".")[0] for name in names if name.startswith(PREFIX)}


def room(path: Path) -> str:
    return path.relative_to(SANDBOX).parts[0].removesuffix(".py")


FILES = [path for path in sorted(SANDBOX.rglob("*.py")) if path.parent != SANDBOX or path.stem != "__init__"]


def test_every_file_is_in_a_room() -> None:
    assert {room(path) for path in FILES} == {*ORDER, *OUTSIDE}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SANDBOX).as_posix())
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    allowed = {"client"} if here in OUTSIDE else set(ORDER[: ORDER.index(here) + 1])
    assert imported(path) <= allowed
