"""File locks between the processes of one user on one machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path

#: The files that this process has opened.
_opened: set[int] = set()


def open_locked(name: str, *, wait: float) -> int:
    """Open and lock a file, and return its descriptor.

    The lock ends with :func:`unlock`, or with the process, even if that is killed.

    :param name: the file's name, in a folder that only this user can read.
    :param wait: how many seconds to wait while another process holds the lock.
    :raises BlockingIOError: if another process still holds the lock after that.
    :raises OSError: if the file cannot be opened.
    """
    file = os.open(_folder() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    _opened.add(file)
    try:
        _lock(file, wait=wait)
    except BaseException:
        _close(file)
        raise
    return file


def unlock(file: int) -> None:
    """Unlock and close a file.

    :param file: the descriptor that :func:`open_locked` returned.
    """
    if file not in _opened:
        # This process is a fork of the one that locked it.
        return
    # Closing alone would keep the lock until a fork has closed its own descriptor.
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    _close(file)


def remove_locked(name: str) -> None:
    """Remove a file that this process has locked.

    A process that is waiting for the lock then locks the deleted file.

    :param name: the file's name.
    """
    with contextlib.suppress(OSError):
        (_folder() / name).unlink()


def _folder() -> Path:
    folder = Path(tempfile.gettempdir(), f"airflow-provider-workato-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    # Another user who made a folder or link of this name could control the locks.
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return folder


def _lock(file: int, *, wait: float) -> None:
    end = time.monotonic() + wait
    pause = 0.002
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25) if wait > 1 else pause
        else:
            return


def _close(file: int) -> None:
    _opened.discard(file)
    with contextlib.suppress(OSError):
        os.close(file)


def _after_fork() -> None:
    # Locks belong to the parent. Open here, they would outlive it if it were killed.
    for file in list(_opened):
        _close(file)


os.register_at_fork(after_in_child=_after_fork)
