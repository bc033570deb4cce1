"""What the matrix runs, and on what."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: The Python versions that this provider supports.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

#: The Airflow lines that this provider supports, and the Python versions among ours that each supports.
LINES: dict[str, tuple[str, ...]] = {
    "2.11": ("3.11", "3.12"),
    "3.0": ("3.11", "3.12"),
    "3.1": ("3.11", "3.12", "3.13"),
    "3.2": PYTHONS,
    "3.3": PYTHONS,
}

#: The tests of a leg unless it is asked for all: imports, metadata and form, the parsing of all example DAGs,
#: a run of one of them against the sandbox, the hook, and the sensor in each of its modes.
SMOKE = (
    "tests/test_package.py",
    "tests/test_get_provider_info.py",
    "tests/test_connection_form.py",
    "tests/test_examples.py::test_the_life_cycle_of_a_connection",
    "tests/test_examples.py::test_airflow_accepts_every_example",
    "tests/hooks/test_connections.py",
    "tests/sensors/test_modes.py",
)


#: The tests of a leg that is about one patch release: waits, creates and watches on a real Airflow, and the
#: triggers' use of what differs.
ON_AIRFLOW = (
    "tests/real_airflow/test_consumers.py",
    "tests/triggers/test_reports.py",
    "tests/triggers/test_shared_list.py",
)

#: The first patch release of each Airflow line with watches, and others that differ from the last of theirs.
PATCHES = ("3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.3.1")

#: The first and the last patch release of each Airflow line, and when it was released. Airflow's own
#: constraints, and those of hosted Airflows, pin the versions of about that day.
RELEASES = {
    "2.11.0": "2025-05-21",
    "2.11.2": "2026-03-15",
    "3.0.0": "2025-04-23",
    "3.0.6": "2025-08-30",
    "3.1.0": "2025-09-26",
    "3.1.8": "2026-03-12",
    "3.2.0": "2026-04-08",
    "3.2.2": "2026-05-30",
    "3.3.0": "2026-07-07",
    "3.3.2": "2026-09-18",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One environment.

    :param name: its name in the table and on the command line.
    :param python: the Python version, for example ``3.12``.
    :param line: the Airflow line, empty if the leg takes whatever its constraints allow.
    :param constraints: the constraints file, empty for the newest version of everything.
    :param on_airflow: whether it runs the consumer table on a real Airflow instead of the chosen tests.
    :param release: the Airflow release whose day decides the versions, empty for the pins of the other legs.
    """

    name: str
    python: str
    line: str = ""
    constraints: str = ""
    on_airflow: bool = False
    release: str = ""


LEGS = (
    Leg(name="lowest", python="3.11", constraints="constraints/lowest.txt"),
    *(
        Leg(
            name=f"airflow-{line}-python-{python}",
            python=python,
            line=line,
            constraints=f"constraints/airflow-{line}.txt",
        )
        for line, pythons in LINES.items()
        for python in pythons
    ),
    *(
        Leg(
            name=f"airflow-{patch}",
            python="3.11",
            constraints=f"constraints/airflow-{patch}.txt",
            on_airflow=True,
        )
        for patch in PATCHES
    ),
    # To compare: the newest.
    Leg(
        name="airflow-3.3-table",
        python="3.11",
        constraints="constraints/airflow-3.3.txt",
        on_airflow=True,
    ),
    Leg(name="newest", python=PYTHONS[-1]),
)

#: The legs that add the wheel to an Airflow as of its day.
CONSTRAINED = tuple(
    Leg(name=f"constraints-{release}", python="3.12", release=release) for release in RELEASES
)


def newest(line: str, *, found: Container[str]) -> Leg:
    """Return the leg of an Airflow line with its newest Python that is installed, or else its newest.

    :param line: the Airflow line.
    :param found: the Python versions that are installed.
    """
    legs = [leg for leg in reversed(LEGS) if leg.line == line]
    return next((leg for leg in legs if leg.python in found), legs[0])


def interpreter(python: str) -> Path | None:
    """Find a Python on PATH or in pyenv's folder.

    :param python: the version, for example ``3.12``.
    """
    minor = python.partition(".")[2]
    found = subprocess.run(
        [ROOT / "tools" / "find_python.sh", "The matrix", minor],
        # PYTHON names one interpreter for a whole make run.
        env={name: value for name, value in os.environ.items() if name != "PYTHON"},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        return None
    # A name on PATH may be a version manager's shim: ask for the interpreter itself.
    where = subprocess.run(
        [found.stdout.strip(), "-c", "import sys; print(sys.executable)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(where.stdout.strip())
