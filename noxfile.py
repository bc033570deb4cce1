"""The compatibility matrix. `make matrix` runs it; `make matrix ARGS=--full` runs all tests on each leg."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nox
from nox.command import CommandFailed

from tools.matrix import outcomes, table
from tools.matrix.distributions import PACKAGE, built
from tools.matrix.legs import (
    CONSTRAINED,
    LEGS,
    ON_AIRFLOW,
    PYTHONS,
    RELEASES,
    ROOT,
    SMOKE,
    Leg,
    interpreter,
    newest,
)
from tools.matrix.outcomes import Entry, recording

nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"

_FOUND = {python: path for python in PYTHONS if (path := interpreter(python))}
#: What is built, and the leg whose Airflow and Python it is installed beside.
DISTRIBUTIONS = {"wheel": newest("3.3", found=_FOUND), "sdist": newest("2.11", found=_FOUND)}
#: Every row of the table, and the leg whose environment it uses.
_ALL = {leg.name: leg for leg in (*LEGS, *CONSTRAINED)} | DISTRIBUTIONS
#: What `make matrix-short` runs: the newest Python, the lowest versions of a release's day, and the wheel.
_SHORT = {DISTRIBUTIONS["wheel"].name, "constraints-3.0.0", "wheel"}

# As in tools/venv.sh.
os.environ["UV_COMPILE_BYTECODE"] = "1"
# nox and uv look on PATH.
os.environ["PATH"] = os.pathsep.join([*(str(path.parent) for path in _FOUND.values()), os.environ["PATH"]])
# Airflow reads whatever else a developer's shell says about it.
for _name in [name for name in os.environ if name.startswith("AIRFLOW_") or name == "PYTHONPATH"]:
    del os.environ[_name]

_PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
#: As in the Makefile.
_IN_PARALLEL = ("-n", "4", "--dist", "loadfile")

_VERSIONS = f"""
import json, platform
from importlib.metadata import version
names = {sorted(table.SHOWN.values())}
print(json.dumps([platform.python_version(), {{name: version(name) for name in names}}]))
"""
#: Whatever is imported on the way counts, Airflow included.
_IMPORT_ALL = """
import importlib, pkgutil, airflow_provider_workato as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


@nox.session(venv_backend="none", tags=["short"])
def distributions(session: nox.Session) -> None:
    """Build wheel and sdist, and check what is in them."""
    session.run(sys.executable, "-m", "tools.matrix.distributions", external=True)


@nox.session
@nox.parametrize(
    ["python", "leg"],
    [
        nox.param(leg.python, leg, id=leg.name, tags=["short"] if leg.name in _SHORT else [])
        for leg in LEGS
        if leg.python in _FOUND
    ],
)
def leg(session: nox.Session, leg: Leg) -> None:
    """Install an Airflow line on a Python and run tests: the chosen ones, or all with `-- --full`."""
    everything = "--full" in session.posargs
    with recording(leg.name, everything=everything) as entry:
        run = _Run(session, entry)
        groups = ["test", "cluster"] if leg.on_airflow else ["test"]
        run.install(leg, "--editable", ".[sandbox]", *(f"--group={group}" for group in groups))
        if not leg.constraints:
            session.run("python", "-W", "error::DeprecationWarning", "-c", _IMPORT_ALL)
        if leg.on_airflow:
            run.test("-m", "", *ON_AIRFLOW, env={"CONSUMER_TABLE": "short"})
        else:
            run.test(*_IN_PARALLEL, *([] if everything else SMOKE))


@nox.session
@nox.parametrize(
    ["python", "leg"],
    [
        nox.param(leg.python, leg, id=leg.name, tags=["short"] if leg.name in _SHORT else [])
        for leg in CONSTRAINED
        if leg.python in _FOUND
    ],
)
def constrained(session: nox.Session, leg: Leg) -> None:
    """Add the wheel to an Airflow with the versions of its day, change none of them, and run tests."""
    with recording(leg.name) as entry:
        run = _Run(session, entry)
        pins = outcomes.FOLDER / f"{leg.name}.txt"
        run.pin(leg, pins)
        session.install("--quiet", "--requirement", str(pins))
        before = run.freeze()
        # What runs the tests has no floors here: some of it is pinned as well.
        tools = [re.split("[>=<]", each)[0] for each in nox.project.dependency_groups(_PROJECT, "test")]
        run.install(replace(leg, constraints=str(pins)), f"{built('wheel')}[sandbox]", *tools)
        entry.note(versions=dict(line.split("==") for line in pins.read_text().splitlines()))
        if changed := before - run.freeze():
            session.error(f"The provider changed what was installed: {sorted(changed)}")
        session.run("uv", "pip", "check", external=True)
        run.test(*_IN_PARALLEL, *SMOKE)


@nox.session
@nox.parametrize(
    ["python", "kind"],
    [
        nox.param(_ALL[kind].python, kind, id=kind, tags=["short"] if kind in _SHORT else [])
        for kind in DISTRIBUTIONS
        if _ALL[kind].python in _FOUND
    ],
)
def installed(session: nox.Session, kind: str) -> None:
    """Install a built distribution where the repository is not, and use it."""
    with recording(kind) as entry, tempfile.TemporaryDirectory(prefix="workato-installed-") as folder:
        run = _Run(session, entry)
        with tarfile.open(built("sdist")) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).glob(f"{PACKAGE}-*")
        dags = shutil.move(unpacked / "example_dags", folder)
        shutil.rmtree(unpacked)
        script = shutil.copy(ROOT / "tools" / "matrix" / "installed.py", folder)
        run.install(_ALL[kind], f"{built(kind)}[sandbox]")
        session.run("uv", "pip", "check", external=True)
        with session.chdir(folder):
            session.run("python", script, dags)


@nox.session(venv_backend="none", tags=["short"])
def show(session: nox.Session) -> None:
    """Print the table, and write docs/compatibility.md if everything ran."""
    found = outcomes.load(_ALL)
    missing = {name for name, leg in _ALL.items() if leg.python not in _FOUND}
    every = [replace(one, result=outcomes.NO_INTERPRETER) if one.leg in missing else one for one in found]
    print(table.plain(every))
    for name, leg in _ALL.items():
        if leg.python not in _FOUND and name in _SHORT | set(DISTRIBUTIONS):
            session.warn(f"NOT RUN: {name}, because Python {leg.python} was not found.")
    if all(one.result in outcomes.RAN for one in every):
        table.write_record(every)
        session.log(f"Wrote {table.RECORD.relative_to(ROOT)}.")
    else:
        session.log("docs/compatibility.md is unchanged, because not every leg ran.")


class _Run:
    """A leg while it runs."""

    def __init__(self, session: nox.Session, entry: Entry) -> None:
        self.session = session
        self.entry = entry

    def install(self, leg: Leg, *what: str) -> None:
        """Install something beside a leg's Airflow, in its new environment."""
        constraints = ["--constraint", leg.constraints] if leg.constraints else ["--upgrade"]
        try:
            self.session.install("--quiet", *constraints, *what)
        except CommandFailed:
            self.entry.note(result=outcomes.NOT_INSTALLABLE, python=leg.python)
            raise
        shown = self.session.run("python", "-c", _VERSIONS, silent=True)
        python, versions = json.loads(str(shown).splitlines()[-1])
        self.entry.note(python=python, versions=versions)

    def pin(self, leg: Leg, path: Path) -> None:
        """Write the versions that an Airflow release would have installed on its day.

        :param path: the constraints file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = path.with_suffix(".in")
        wanted.write_text(f"apache-airflow=={leg.release}\n")
        self.session.run(
            *("uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header", str(wanted)),
            *("--output-file", str(path), "--exclude-newer", f"{RELEASES[leg.release]}T00:00:00Z"),
            external=True,
        )

    def freeze(self) -> set[str]:
        """Return what is installed, with versions."""
        return set(str(self.session.run("uv", "pip", "freeze", silent=True, external=True)).splitlines())

    def test(self, *what: str, env: Mapping[str, str] | None = None) -> None:
        """Run tests and note what they show."""
        report = outcomes.FOLDER / f"{self.entry.outcome.leg}.xml"
        report.unlink(missing_ok=True)
        try:
            self.session.run("python", "-m", "pytest", "-q", f"--junitxml={report}", *what, env=env)
        finally:
            if report.exists():
                self.entry.note(**outcomes.read(report))
