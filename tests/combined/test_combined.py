"""Random histories keep every promise, and they detect every defect that is put back.

To play others, see ``python -m tests.combined --help``. A failure prints its seed and the shortest history.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.combined.defects import DEFECTS
from tests.support.airflow import on_airflow_33

pytestmark = [pytest.mark.combined, on_airflow_33]

ROOT = Path(__file__).parents[2]
HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))

#: The seeds, the least number of steps and the most seconds of a full test.
SEEDS, STEPS, SECONDS = 50, 2000, 600


def play(folder: Path, *arguments: object, timeout: float) -> tuple[dict[str, Any], str]:
    """Play in a separate process, because Airflow has to be imported with other settings."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "tests.combined", "--report", report, *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    print(done.stdout)
    assert report.exists(), done.stdout[-4000:]
    told: dict[str, Any] = json.loads(report.read_text())
    return told, done.stdout


def test_some_histories(tmp_path: Path) -> None:
    """Play a few: the short form of the next test but one."""
    told, printed = play(tmp_path, "--seeds", 4, "--steps", 25, "--shrink-seconds", 60, timeout=180)
    assert told["found"] == [], printed
    assert told["seeds"] == 4


def test_histories_that_once_failed(tmp_path: Path) -> None:
    told, printed = play(tmp_path, "--history", *HISTORIES, timeout=120)
    assert told["found"] == [], printed
    assert told["seeds"] == len(HISTORIES)


def test_many_histories(tmp_path: Path) -> None:
    told, printed = play(
        tmp_path, "--seeds", SEEDS, "--seconds", SECONDS, "--shrink-seconds", 180, timeout=SECONDS + 400
    )
    assert told["found"] == [], printed
    assert told["seeds"] == SEEDS
    assert told["steps"] >= STEPS
    assert told["seconds"] <= SECONDS


@pytest.mark.parametrize("defect", DEFECTS)
def test_finds_a_defect_that_is_put_back(tmp_path: Path, defect: str) -> None:
    """The seeds of the full test are enough to detect it."""
    told, printed = play(
        tmp_path,
        *("--defect", defect, "--seeds", SEEDS, "--seconds", SECONDS, "--shrink-seconds", 0),
        timeout=SECONDS + 120,
    )
    assert told["found"], printed
    assert {found["kind"] for found in told["found"]} <= DEFECTS[defect][1], printed
    print(f"defect {defect}: found by seed {told['found'][0]['seed']} after {told['steps']} steps")
