"""Locks that every process of this user on this machine respects."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path


def open_locked(name: str, *, wait: float) -> int:
    """Open a file of this name, locked, and return its descriptor; closing it unlocks.

    The lock also ends with the process, however that ends.

    :param name: the file's name, in a folder that only this user can read.
    :param wait: how many seconds to wait for whoever holds the lock.
    :raises BlockingIOError: if it is still held then.
    :raises OSError: if there can be no such file.
    """
    file = os.open(_folder() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _lock(file, wait=wait)
    except BaseException:
        os.close(file)
        raise
    return file


def unlock(file: int) -> None:
    """Close a locked file.

    :param file: the descriptor that :func:`open_locked` returned.
    """
    # Closing alone keeps the lock where a fork of this process has the file open too.
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    with contextlib.suppress(OSError):
        os.close(file)


def remove_locked(name: str) -> None:
    """Remove a file that this process has locked; who waits for it gets one that no folder shows any more.

    :param name: the file's name.
    """
    with contextlib.suppress(OSError):
        (_folder() / name).unlink()


def _folder() -> Path:
    folder = Path(tempfile.gettempdir(), f"airflow-provider-workato-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    # Whoever else made a folder or link of this name could decide when we call.
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is not ours")
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
