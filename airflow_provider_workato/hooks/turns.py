"""The turns that a quota has given, as every process of a machine sees them.

Each Airflow task is a process of its own, so a pace that only one process keeps is none: sixty tasks
that create a connection each would mostly be refused. What is kept here are times, nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import math
import os
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class Turns:
    """The latest turns.

    :param calls: how many to remember.
    """

    def __init__(self, calls: int) -> None:
        self.starts: deque[float] = deque(maxlen=calls)
        #: No turn before this moment, as a server's ``Retry-After`` asked.
        self.not_before = 0.0

    @contextmanager
    def exclusively(self) -> Iterator[Turns]:
        """Give the turns, to read and to change."""
        yield self


class SharedTurns(Turns):
    """The latest turns of all processes of this user on this machine, kept in a file.

    Where there can be no such file each process keeps its own: then the server's 429 decides.

    :param calls: how many to remember.
    :param key: what makes two processes share a quota. Only its hash is seen.
    """

    #: A process that was stopped while it held the lock must not stop the others.
    LONGEST_WAIT = 1.0

    def __init__(self, calls: int, *, key: Hashable) -> None:
        super().__init__(calls)
        self._name = hashlib.sha256(repr(key).encode()).hexdigest()

    @contextmanager
    def exclusively(self) -> Iterator[Turns]:
        """Give the turns, while no other process does."""
        file = None
        try:
            file = self._open()
            self._read(file)
        except OSError as error:
            log.debug("The pace is kept in this process only: %s", error)
        try:
            yield self
            if file is not None:
                self._write(file)
        finally:
            if file is not None:
                os.close(file)

    def _open(self) -> int:
        folder = Path(tempfile.gettempdir(), f"airflow-provider-workato-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        # Whoever else made a folder or link of this name could decide when we call.
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} is not ours")
        file = os.open(folder / self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._lock(file)
        except BaseException:
            os.close(file)
            raise
        return file

    def _lock(self, file: int) -> None:
        end = time.monotonic() + self.LONGEST_WAIT
        while True:
            try:
                # It ends with the process, however that ends.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.002)
            else:
                return

    def _read(self, file: int) -> None:
        kept = array("d")
        try:
            kept.frombytes(os.pread(file, os.fstat(file).st_size, 0))
        except ValueError:
            # Left by a process that was killed while it wrote.
            return
        if kept and all(map(math.isfinite, kept)):
            self.not_before = kept[0]
            self.starts.clear()
            self.starts.extend(kept[1:])

    def _write(self, file: int) -> None:
        kept = array("d", [self.not_before, *self.starts]).tobytes()
        os.ftruncate(file, os.pwrite(file, kept, 0))
