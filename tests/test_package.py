"""What holds for the package as a whole: its layers, its imports, its version."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, metadata, version
from pathlib import Path

import pytest

import airflow_provider_workato
from tests.support.airflow import AIRFLOW, on_airflow_33

PACKAGE = Path(airflow_provider_workato.__file__).parent
NAME = PACKAGE.name

#: Who may import whom: a layer imports from those below it only, and within itself.
LAYERS = [
    {"sandbox"},
    {"operators", "sensors"},
    {"triggers"},
    {"links"},
    {"hooks"},
    {"provisioning"},
    {"wait"},
    {"authorization"},
    {"client"},
    {"arguments", "local_lock"},
    {"exceptions", "redaction", "version_compat", "connection_form", "get_provider_info"},
]
LEVEL = {name: len(LAYERS) - number for number, names in enumerate(LAYERS) for name in names}

MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if "sandbox" not in path.relative_to(PACKAGE).parts and path.name != "__init__.py"
)
SANDBOX = sorted((PACKAGE / "sandbox").rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield what a file imports, and whether only type checkers see it."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or "", id(node) in guarded
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in guarded


def layer(module: str) -> str:
    return module.split(".")[1] if module.startswith(f"{NAME}.") else ""


def ids(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_layers_point_down(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, _ in imports(path):
        there = layer(module)
        assert not there or LEVEL[there] <= LEVEL[here], f"{here} imports {module}"


@pytest.mark.parametrize("path", SANDBOX, ids=ids)
def test_the_sandbox_stands_alone(path: Path) -> None:
    for module, _ in imports(path):
        assert not module.startswith("airflow."), module
        assert module != "airflow"
        assert layer(module) in ("", "sandbox"), module


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_one_place_knows_airflows_version(path: Path) -> None:
    if path.name != "version_compat.py":
        assert "airflow.version" not in {module for module, _ in imports(path)}
        assert "__version__ as _airflow" not in path.read_text()


def run_python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_imports_nothing() -> None:
    code = f"import sys, {NAME}.get_provider_info; print('airflow' in sys.modules, 'requests' in sys.modules)"
    assert run_python("-c", code) == "False False\n"


@on_airflow_33
def test_a_dag_file_does_not_pay_for_requests() -> None:
    code = f"""
import sys
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
before = set(sys.modules)
import {NAME}.operators.connections, {NAME}.sensors.connections
added = set(sys.modules) - before
roots = {{name.partition('.')[0] for name in added}}
print(sorted(roots - sys.stdlib_module_names - {{'airflow', '{NAME}'}}))
print('requests' in sys.modules)
print([name for name in added if name.startswith('{NAME}.triggers')])
"""
    assert run_python("-c", code).splitlines()[-3:] == ["[]", "False", "[]"]


@pytest.mark.skipif(AIRFLOW.major == 2, reason="Airflow 2 uses what its own dependencies deprecate")
def test_nothing_deprecated_is_used() -> None:
    names = [
        ".".join((NAME, *path.relative_to(PACKAGE).with_suffix("").parts)) for path in (*MODULES, *SANDBOX)
    ]
    # Airflow itself is imported before: its own deprecations are not ours.
    code = f"""
import importlib, warnings
import airflow.sdk, airflow.sdk.execution_time.xcom, airflow.triggers.base, fastapi, uvicorn
warnings.simplefilter("error", DeprecationWarning)
for name in {[name for name in names if not name.endswith("__main__")]!r}:
    importlib.import_module(name)
"""
    run_python("-c", code)


def test_version() -> None:
    assert airflow_provider_workato.__version__ == version("airflow-provider-workato")


def test_metadata() -> None:
    about = metadata("airflow-provider-workato")
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    (entry,) = [
        entry for entry in entry_points(group="apache_airflow_provider") if entry.value.startswith(NAME)
    ]
    assert entry.load()()["package-name"] == "airflow-provider-workato"


def test_types_are_published() -> None:
    assert (PACKAGE / "py.typed").exists()


PROJECT = PACKAGE.parent
FLOORS = {
    match[1]: match[2]
    for line in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    if (match := re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", line))
}


def test_the_lowest_versions_are_the_ones_tested() -> None:
    """``make test-lowest`` installs what this file says."""
    pinned = dict(
        line.split("==")
        for line in (PROJECT / "constraints" / "lowest.txt").read_text().splitlines()
        if ";" not in line
    )
    assert FLOORS
    assert {name: pinned[name] for name in FLOORS} == FLOORS


def test_what_is_imported_is_declared() -> None:
    """Only then is there a floor for it."""
    # Airflow's form classes and its own libraries come with the Airflow that asks for them.
    with_airflow = {"airflow", "asgiref", "flask_appbuilder", "flask_babel", "jinja2", "wtforms"}
    found = {name.partition(".")[0] for path in MODULES for name, for_types in imports(path) if not for_types}
    distributions = {"yaml": "pyyaml"}
    foreign = {
        distributions.get(name, name) for name in found - sys.stdlib_module_names - with_airflow - {NAME}
    }
    assert foreign <= set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_provider_is_needed(path: Path) -> None:
    """Airflow's constraints pin each to a release that may lack what a newer one has."""
    assert not [name for name, _ in imports(path) if name.startswith("airflow.providers")]
