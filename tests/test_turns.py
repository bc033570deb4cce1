"""A pace that the processes of a machine keep together."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from airflow_provider_workato.hooks import pacing
from airflow_provider_workato.hooks.turns import SharedTurns

PERIOD = 0.25
TAKE_TURNS = f"""
from airflow_provider_workato.hooks.pacing import pace_for
pace = pace_for("workspace", calls_per_period=1, period={PERIOD}, shared=True)
for _ in range(3):
    pace.wait()
    # Not the time of now: on a busy machine this line comes late.
    print(pace._turns.starts[-1], flush=True)
"""
HOLD_THE_LOCK = """
import time
from airflow_provider_workato.hooks.turns import SharedTurns
with SharedTurns(1, key="workspace").exclusively():
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the files, for this process and those it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"airflow-provider-workato-{os.getuid()}"


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def shared(*, calls: int = 1, key: str = "workspace") -> SharedTurns:
    return SharedTurns(calls, key=key)


def test_processes_take_turns(folder: Path) -> None:
    processes = [start(TAKE_TURNS) for _ in range(4)]
    times = sorted(float(line) for process in processes for line in process.communicate()[0].split())
    assert len(times) == 12
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= PERIOD


def test_a_hold_moves_other_processes(folder: Path) -> None:
    process = start(TAKE_TURNS)
    assert process.stdout is not None
    first = float(process.stdout.readline())
    with SharedTurns(1, key=("workspace", 1, PERIOD)).exclusively() as turns:
        turns.not_before = first + 2
    later = [float(line) for line in process.communicate()[0].split()]
    # One may have had its turn before the hold.
    assert later[-1] >= first + 2


def test_the_lock_ends_with_its_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedTurns, "LONGEST_WAIT", 30.0)
    with start(HOLD_THE_LOCK) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with shared().exclusively() as turns:
        turns.starts.append(1.0)
    with shared().exclusively() as turns:
        assert list(turns.starts) == [1.0]


def test_a_stopped_process_does_not_stop_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedTurns, "LONGEST_WAIT", 0.05)
    with start(HOLD_THE_LOCK) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        turns = shared()
        with turns.exclusively() as own:
            own.starts.append(1.0)
        # Kept in this process, as without a file.
        assert list(turns.starts) == [1.0]
        holder.kill()
    with shared().exclusively() as others:
        assert not others.starts


@pytest.mark.parametrize("torn", [b"", b"123", bytes(11), b"\xff" * 16])
def test_a_torn_file_is_an_empty_one(folder: Path, torn: bytes) -> None:
    with shared().exclusively() as turns:
        turns.starts.append(1.0)
    [file] = folder.iterdir()
    file.write_bytes(torn)
    with shared().exclusively() as turns:
        assert not turns.starts
        turns.starts.append(2.0)
    with shared().exclusively() as turns:
        assert list(turns.starts) == [2.0]


def test_a_shorter_note_leaves_nothing_of_a_longer_one(folder: Path) -> None:
    with shared(calls=3).exclusively() as turns:
        turns.starts.extend([1.25, 2.25, 3.25])
    with shared(calls=3).exclusively() as turns:
        turns.starts.clear()
    with shared(calls=3).exclusively() as turns:
        assert not turns.starts


def test_keys_do_not_meet_and_are_not_shown(folder: Path) -> None:
    with shared(key="one").exclusively() as turns:
        turns.starts.append(1.0)
    with shared(key="other").exclusively() as turns:
        assert not turns.starts
    assert not any("one" in path.name or b"one" in path.read_bytes() for path in folder.iterdir())


def test_only_this_user_can_read_it(folder: Path) -> None:
    with shared().exclusively():
        pass
    [file] = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_in_the_way_is_left_alone(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    turns = shared()
    with turns.exclusively() as own:
        own.starts.append(1.0)
    assert list(turns.starts) == [1.0]
    assert not list(elsewhere.iterdir())


def test_without_a_folder_each_process_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    turns = shared()
    with turns.exclusively() as own:
        own.starts.append(1.0)
    with turns.exclusively() as own:
        assert list(own.starts) == [1.0]


def test_a_quota_that_nobody_has_is_kept_in_this_process(folder: Path) -> None:
    pacing.pace_for("workspace", calls_per_period=1e6, period=1, shared=True).wait()
    assert not folder.exists()


def test_a_clock_that_was_set_back_costs_no_wait() -> None:
    moments = iter([1000.0, 0.0, 1.0, 5.2])
    slept: list[float] = []
    pace = pacing.Pace(calls=1, period=5, clock=lambda: next(moments), sleep=slept.append)
    pace.wait()
    pace.wait()
    assert not slept
    pace.wait()
    assert slept == [pytest.approx(5 * (1 + pacing.Pace.MARGIN) - 1)]
