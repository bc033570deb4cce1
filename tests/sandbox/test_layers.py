"""What holds for the sandbox's modules: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_workato.sandbox

SANDBOX = Path(airflow_provider_workato.sandbox.__file__).parent
PREFIX = "airflow_provider_workato.sandbox."

#: Each may import from those before it.
ORDER = [
    "traffic",
    "bodies",
    "connection",
    "providers",
    "folders",
    "workspace",
    "calls",
    "external_changes",
    "faults",
    "exchange",
    "effects",
    "sandbox",
    "api",
    "control",
    "pages",
    "middleware",
    "server",
    "cli",
    "__main__",
]

#: These run outside of the sandbox's process, and may import the client only.
OUTSIDE = {"client", "pytest_plugin"}


FILES = [path for path in sorted(SANDBOX.rglob("*.py")) if path.stem != "__init__"]


def imported(path: Path) -> set[str]:
    """Return the modules of the sandbox that a file imports."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in nodes for alias in node.names]
    return {name.removeprefix(PREFIX).split(".")[0] for name in names if name.startswith(PREFIX)}


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in FILES} == {*ORDER, *OUTSIDE}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_point_down(path: Path) -> None:
    allowed = {"client"} if path.stem in OUTSIDE else set(ORDER[: ORDER.index(path.stem)])
    assert imported(path) <= allowed
