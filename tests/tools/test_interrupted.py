"""A test run that is terminated cleans up, as on Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tools.matrix.legs import ROOT
from tools.waiting import wait_until

TEST = """\
import signal
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def server():
    yield
    (FOLDER / "stopped").touch()


def test_that_takes_too_long(server):
    (FOLDER / "began").touch()
    signal.pause()


def test_that_follows(server):
    (FOLDER / "went on").touch()
"""


def test_what_was_started_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "tests.conftest", str(file)]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_until((tmp_path / "began").exists, what="the test", deadline=120)
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=60) == 2
    finally:
        run.kill()
    assert (tmp_path / "stopped").exists()
    assert not (tmp_path / "went on").exists()
