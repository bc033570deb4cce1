"""The recent calls of a quota and the queue of the next ones, shared by the processes of a machine.

Each Airflow task is a process of its own. If each knew only its own calls, Workato would reject most calls of
sixty tasks that start at once. The record holds only times.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import struct
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_workato.local_lock import open_locked, unlock

log = logging.getLogger(__name__)

#: The file's header: no start before this moment, the number of starts, the number of tickets.
_HEADER = struct.Struct("<dII")
_START = struct.Struct("<d")
_TICKET = struct.Struct("<Qd")


class CallHistory:
    """The latest starts and the waiting tickets, kept in memory.

    :param calls: how many starts to remember.
    """

    def __init__(self, calls: int) -> None:
        #: When the latest calls started, oldest first.
        self.starts: deque[float] = deque(maxlen=calls)
        #: The planned start of each waiting ticket, in the order of arrival.
        self.queue: dict[int, float] = {}
        #: No start before this moment, as a server's ``Retry-After`` asked.
        self.not_before = 0.0

    @contextmanager
    def locked(self) -> Iterator[CallHistory]:
        """Yield the history, to read and to change."""
        yield self


class SharedCallHistory(CallHistory):
    """The call history of all processes of this user on this machine, kept in a file.

    If the file cannot be used, each process limits only its own calls, and the server's 429 applies.

    :param calls: how many starts to remember.
    :param key: identifies the quota. Only its hash is visible.
    """

    #: Seconds to wait for the lock: a process that was stopped while holding it must not stop the others.
    LONGEST_WAIT = 1.0

    def __init__(self, calls: int, *, key: Hashable) -> None:
        super().__init__(calls)
        # The clock starts anew with each boot, so the name depends on the boot.
        self._name = hashlib.sha256(repr((_boot_id(), key)).encode()).hexdigest()
        self._unsaved = False
        self._warned = False

    @contextmanager
    def locked(self) -> Iterator[CallHistory]:
        """Yield the history under a lock between processes."""
        file = None
        try:
            try:
                file = open_locked(self._name, wait=self.LONGEST_WAIT)
                self._read(file)
            except OSError as error:
                self._keep_here(error)
            yield self
            if file is not None:
                self._save(file)
        finally:
            if file is not None:
                unlock(file)

    def _read(self, file: int) -> None:
        own = self.starts.copy() if self._unsaved else ()
        content = os.pread(file, os.fstat(file).st_size, 0)
        try:
            not_before, starts, tickets = _HEADER.unpack_from(content)
            queue_at = _HEADER.size + starts * _START.size
            read = [_START.unpack_from(content, _HEADER.size + i * _START.size)[0] for i in range(starts)]
            queue = dict(_TICKET.unpack_from(content, queue_at + i * _TICKET.size) for i in range(tickets))
        except struct.error:
            # A process was killed while writing, or the disk was full.
            return
        if all(map(math.isfinite, (not_before, *read, *queue.values()))):
            self.not_before = max(not_before, self.not_before) if self._unsaved else not_before
            self.queue = queue
            self.starts.clear()
            self.starts.extend(sorted({*read, *own}))

    def _save(self, file: int) -> None:
        content = b"".join(
            (
                _HEADER.pack(self.not_before, len(self.starts), len(self.queue)),
                *map(_START.pack, self.starts),
                *(_TICKET.pack(*ticket) for ticket in self.queue.items()),
            )
        )
        try:
            written = os.pwrite(file, content, 0)
            os.ftruncate(file, written)
            if written < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - reported as any other
            self._unsaved = False
        except OSError as error:
            self._keep_here(error)

    def _keep_here(self, error: OSError) -> None:
        self._unsaved = True
        if self._warned:
            return
        self._warned = True
        log.warning(
            "Cannot use the file through which tasks share Workato's quota (%s: %s). This process limits "
            "only its own calls, so Workato may answer some with 429. Free space in the temporary folder, "
            "or set TMPDIR to a writable one.",
            type(error).__name__,
            error.strerror or error,
        )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # Not Linux. Times from an earlier boot are recognized as impossible and dropped.
        return ""
