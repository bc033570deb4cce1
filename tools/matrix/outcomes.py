"""What became of each leg. Each run of a leg leaves a file, from which the table is made."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tools.matrix.legs import ROOT

FOLDER = ROOT / "build" / "matrix"

PASSED = "passed"
FAILED = "FAILED"
NOT_INSTALLABLE = "CANNOT BE INSTALLED"
NO_INTERPRETER = "no interpreter"
NOT_RUN = "not run"
RAN = {PASSED, FAILED, NOT_INSTALLABLE}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one leg.

    :param leg: the leg's name.
    :param result: one of this module's words.
    :param python: the Python version.
    :param versions: the installed versions of the distributions that matter, by name.
    :param passed: number of tests that passed.
    :param skipped: number of tests that were skipped, since they are about another Airflow.
    :param seconds: how long the leg took, its installation included.
    :param everything: whether all tests ran instead of the chosen ones.
    :param abilities: what this Airflow can do, by name.
    """

    leg: str
    result: str
    python: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    passed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    everything: bool = False
    abilities: Mapping[str, str] = field(default_factory=dict)

    def save(self) -> None:
        """Leave it for the table."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{self.leg}.json").write_text(json.dumps(asdict(self), indent=2))


class Entry:
    """The outcome of a leg that still runs.

    :param outcome: what is known so far.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def note(self, **facts: Any) -> None:
        """Replace some fields of the outcome.

        :param facts: the fields.
        """
        self.outcome = replace(self.outcome, **facts)


@contextmanager
def recording(leg: str, *, everything: bool = False) -> Iterator[Entry]:
    """Save the outcome of the block: failed unless its end is reached.

    :param leg: the leg's name.
    :param everything: whether all tests run.
    """
    entry, began = Entry(Outcome(leg=leg, result=FAILED, everything=everything)), time.monotonic()
    try:
        yield entry
        entry.note(result=PASSED)
    finally:
        entry.note(seconds=time.monotonic() - began)
        entry.outcome.save()


def load(names: Iterable[str]) -> list[Outcome]:
    """Return the outcomes of these legs. Those that left none were not run.

    :param names: the legs.
    """
    return [_load(name) for name in names]


def _load(name: str) -> Outcome:
    path = FOLDER / f"{name}.json"
    return Outcome(**json.loads(path.read_text())) if path.exists() else Outcome(leg=name, result=NOT_RUN)


def read(report: Path) -> dict[str, Any]:
    """Return how many tests passed and were skipped, and what they found this Airflow to be able to do.

    :param report: a JUnit report.
    """
    suite = ET.parse(report).getroot()[0]  # noqa: S314 - pytest has just written it
    ran, skipped, bad = (int(suite.attrib[name]) for name in ("tests", "skipped", "failures"))
    return {
        "passed": ran - skipped - bad - int(suite.attrib["errors"]),
        "skipped": skipped,
        "abilities": {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")},
    }
