"""The turns that a quota has given, as every process of a machine sees them.

Each Airflow task is a process of its own, so a pace that only one process keeps is none: sixty tasks
that create a connection each would mostly be refused. What is kept here are times, nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from array import array
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from airflow_provider_workato.hooks.local_lock import open_locked

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
            file = open_locked(self._name, wait=self.LONGEST_WAIT)
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
