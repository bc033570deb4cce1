"""The rate limit that the processes of a machine share."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_workato.client import call_history as module
from airflow_provider_workato.client import rate_limiter
from airflow_provider_workato.client.call_history import SharedCallHistory
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox

PERIOD = 0.25
TAKE_TURNS = f"""
from airflow_provider_workato.client.rate_limiter import rate_limiter_for
limiter = rate_limiter_for("workspace", calls_per_period=1, period={PERIOD}, shared=True)
for _ in range(3):
    limiter.acquire()
    # Not the current time: on a busy machine, this line runs late.
    print(limiter._history.starts[-1], flush=True)
"""
QUEUE_UP = f"""
import time
from airflow_provider_workato.client.rate_limiter import rate_limiter_for
limiter = rate_limiter_for("workspace", calls_per_period=1, period={PERIOD * 2}, shared=True)
def sleep(seconds):
    print("queued", flush=True)
    time.sleep(seconds)
limiter._sleep = sleep
print("starts", limiter.acquire(), flush=True)
"""
HOLD_THE_LOCK = """
import time
from airflow_provider_workato.client.call_history import SharedCallHistory
with SharedCallHistory(1, key="workspace").locked():
    print("locked", flush=True)
    time.sleep(600)
"""


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def shared(*, calls: int = 1, key: str = "workspace") -> SharedCallHistory:
    return SharedCallHistory(calls, key=key)


def test_processes_take_turns(folder: Path) -> None:
    processes = [start(TAKE_TURNS) for _ in range(4)]
    times = sorted(float(line) for process in processes for line in process.communicate()[0].split())
    assert len(times) == 12
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= PERIOD


def test_a_pause_delays_other_processes(folder: Path) -> None:
    process = start(TAKE_TURNS)
    assert process.stdout is not None
    first = float(process.stdout.readline())
    with SharedCallHistory(1, key=("workspace", 1, PERIOD)).locked() as history:
        history.not_before = first + 2
    later = [float(line) for line in process.communicate()[0].split()]
    # One may have started before the pause.
    assert later[-1] >= first + 2


def test_the_lock_ends_with_its_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedCallHistory, "LONGEST_WAIT", 30.0)
    with start(HOLD_THE_LOCK) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with shared().locked() as history:
        history.starts.append(1.0)
    with shared().locked() as history:
        assert list(history.starts) == [1.0]


def test_a_stopped_process_does_not_stop_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedCallHistory, "LONGEST_WAIT", 0.05)
    with start(HOLD_THE_LOCK) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        history = shared()
        with history.locked() as own:
            own.starts.append(1.0)
        # Kept in this process, as if there were no file.
        assert list(history.starts) == [1.0]
        holder.kill()
    with shared().locked() as others:
        assert not others.starts


@pytest.mark.parametrize("torn", [b"", b"123", bytes(11), b"\xff" * 16])
def test_a_damaged_file_counts_as_empty(folder: Path, torn: bytes) -> None:
    with shared().locked() as history:
        history.starts.append(1.0)
    [file] = folder.iterdir()
    file.write_bytes(torn)
    with shared().locked() as history:
        assert not history.starts
        history.starts.append(2.0)
    with shared().locked() as history:
        assert list(history.starts) == [2.0]


def test_a_shorter_record_replaces_a_longer_one_completely(folder: Path) -> None:
    with shared(calls=3).locked() as history:
        history.starts.extend([1.25, 2.25, 3.25])
    with shared(calls=3).locked() as history:
        history.starts.clear()
    with shared(calls=3).locked() as history:
        assert not history.starts


def test_keys_have_separate_files_and_are_not_visible(folder: Path) -> None:
    with shared(key="one").locked() as history:
        history.starts.append(1.0)
    with shared(key="other").locked() as history:
        assert not history.starts
    assert not any("one" in path.name or b"one" in path.read_bytes() for path in folder.iterdir())


def test_only_this_user_can_read_it(folder: Path) -> None:
    with shared().locked():
        pass
    [file] = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_foreign_file_or_link_is_left_alone(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    history = shared()
    with history.locked() as own:
        own.starts.append(1.0)
    assert list(history.starts) == [1.0]
    assert not list(elsewhere.iterdir())


def test_without_a_folder_each_process_limits_its_own_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    history = shared()
    with history.locked() as own:
        own.starts.append(1.0)
    with history.locked() as own:
        assert list(own.starts) == [1.0]


def test_a_quota_too_large_to_share_is_kept_in_this_process(folder: Path) -> None:
    rate_limiter.rate_limiter_for("workspace", calls_per_period=1e6, period=1, shared=True).acquire()
    assert not folder.exists()


# The queue


def queue_up(count: int) -> list[subprocess.Popen[str]]:
    """Start processes, each after the previous one has begun to wait."""
    processes = []
    for _ in range(count):
        processes.append(start(QUEUE_UP))
        out = processes[-1].stdout
        assert out is not None
        assert out.readline() == "queued\n"
    return processes


def start_of(process: subprocess.Popen[str]) -> float:
    return float(process.communicate()[0].split()[-1])


def test_processes_start_in_the_order_of_arrival(folder: Path) -> None:
    limiter = rate_limiter.rate_limiter_for("workspace", calls_per_period=1, period=PERIOD * 2, shared=True)
    limiter.acquire()
    # Long enough for all to arrive before the first may start.
    limiter.pause(8)
    times = [start_of(process) for process in queue_up(5)]
    assert times == sorted(times)
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= PERIOD * 2


def test_a_killed_process_costs_only_its_own_start(folder: Path) -> None:
    limiter = rate_limiter.rate_limiter_for("workspace", calls_per_period=1, period=PERIOD * 2, shared=True)
    limiter.acquire()
    limiter.pause(3)
    first, killed, last = queue_up(3)
    killed.kill()
    killed.communicate()
    gap = start_of(last) - start_of(first)
    # The third process starts two starts after the first, not later.
    assert 2 * 2 * PERIOD <= gap < 3 * 2 * PERIOD


def test_the_file_does_not_grow(folder: Path) -> None:
    limiter = rate_limiter.rate_limiter_for("small", calls_per_period=50, period=0.05, shared=True)
    sizes = set()
    for _ in range(200):
        limiter.acquire()
        [file] = folder.iterdir()
        sizes.add(file.stat().st_size)
    assert max(sizes) < 1000


# Damage that must not stop a call


@pytest.mark.parametrize("when", [1e300, 86_400.0, 3600.0, -1e300, -3600.0])
def test_impossible_times_stop_no_call(folder: Path, when: float) -> None:
    history = shared(calls=2)
    now = time.monotonic()
    slept: list[float] = []
    with history.locked() as own:
        own.not_before = now + when
        own.starts.extend([now + when, now + when])
        own.queue.update(dict.fromkeys(range(20), now + when))
    clock = [now]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    rate_limiter.RateLimiter(
        calls=2, period=1, clock=lambda: clock[0], sleep=sleep, history=shared(calls=2)
    ).acquire()
    assert sum(slept) <= rate_limiter.RateLimiter.LONGEST_PAUSE


def test_a_record_from_before_a_reboot_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shared().locked() as history:
        history.starts.append(1.0)
    monkeypatch.setattr(module, "_boot_id", lambda: "another start")
    with shared().locked() as history:
        assert not history.starts


@contextmanager
def full_disk(*, room: int = 0) -> Iterator[None]:
    """Limit the size of this process's files, so that writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 20])
def test_a_full_disk_fails_no_call(
    folder: Path,
    connect: Connect,
    sandbox: RunningSandbox,
    caplog: pytest.LogCaptureFixture,
    room: int,
) -> None:
    connect(list_calls_per_minute=600 - 0.25 * room, calls_per_second=500)
    hook = WorkatoConnectionsHook()
    with full_disk(room=room):
        for _ in range(3):
            hook.list_connections()
    hook.close()
    messages = [record.getMessage() for record in caplog.records]
    (said,) = [message for message in messages if "Cannot use the file" in message]
    assert "Free space in the temporary folder, or set TMPDIR" in said


def test_unsaved_calls_count(folder: Path) -> None:
    """Calls made while the disk was full count as well."""
    history = shared(calls=5)
    with full_disk(), history.locked() as own:
        own.starts.append(2.0)
    with shared(calls=5).locked() as others:
        others.starts.append(1.0)
    with history.locked() as own:
        assert list(own.starts) == [1.0, 2.0]
    with shared(calls=5).locked() as others:
        assert list(others.starts) == [1.0, 2.0]


FORK = """
import os, threading, time
from airflow_provider_workato.client import rate_limiter
from airflow_provider_workato.local_lock import open_locked
from airflow_provider_workato.client.call_history import SharedCallHistory
limiter = rate_limiter.rate_limiter_for("workspace", calls_per_period=100, period=1, shared=True)
forked = threading.Event()
held = threading.Event()
def pause():
    with limiter._lock, rate_limiter._lock:
        held.set()
        forked.wait()
threading.Thread(target=pause, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    rate_limiter.rate_limiter_for("another", calls_per_period=100, period=1)
    limiter.acquire()
    os._exit(7)
forked.set()
end = time.monotonic() + 20
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
    time.sleep(0.01)
print("child", os.waitstatus_to_exitcode(ended[1]) if ended[0] else "hangs", flush=True)
"""
FORK_WITH_FILE = """
import os, signal
from airflow_provider_workato.local_lock import open_locked
from airflow_provider_workato.client.call_history import SharedCallHistory
history = SharedCallHistory(1, key="workspace")
with history.locked():
    child = os.fork()
    if child == 0:
        signal.pause()
try:
    os.close(open_locked(history._name, wait=0))
    print("free", flush=True)
except BlockingIOError:
    print("locked", flush=True)
os.kill(child, signal.SIGKILL)
"""

FORK_OF_A_KILLED_PROCESS = """
import os, signal
from airflow_provider_workato.client.call_history import SharedCallHistory
from airflow_provider_workato.local_lock import open_locked
history = SharedCallHistory(1, key="workspace")
reader, writer = os.pipe()
killed = os.fork()
if killed == 0:
    with history.locked():
        child = os.fork()
        if child == 0:
            os.write(writer, str(os.getpid()).encode())
            signal.pause()
        signal.pause()
child = int(os.read(reader, 20))
os.kill(killed, signal.SIGKILL)
os.waitpid(killed, 0)
try:
    os.close(open_locked(history._name, wait=0))
    print("free", flush=True)
except BlockingIOError:
    print("locked", flush=True)
os.kill(child, signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [(FORK, "child 7"), (FORK_WITH_FILE, "free"), (FORK_OF_A_KILLED_PROCESS, "free")],
)
def test_a_fork_neither_hangs_nor_keeps_the_lock(folder: Path, program: str, said: str) -> None:
    """Airflow forks its task processes, some of them from processes that have threads."""
    with start(program) as process:
        assert process.communicate(timeout=60)[0].strip() == said
