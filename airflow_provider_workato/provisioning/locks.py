"""Lock a connection against concurrent creates by other processes of this user on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_provider_workato.exceptions import WorkatoBusyError
from airflow_provider_workato.local_lock import open_locked, remove_locked, unlock

log = logging.getLogger(__name__)

#: How many processes may be between their search and their create at once. At one create a second, all of
#: them create while their search is fresh; any more would have to search again.
MAX_SEARCHING = 8
#: The semaphore only saves calls: after this many seconds, go on without it.
_LONGEST_WAIT = 600.0
_PAUSE = 0.1
#: How many seconds to wait for the counter's file, which others lock for some microseconds only.
_LONGEST_COUNT = 5.0
_LONGEST_RECORD = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A create that was sent from this machine and whose answer was not recorded.

    :param age: seconds since it was sent.
    :param known: the ids of the matching connections that existed before.
    """

    age: float
    known: Sequence[int]


class CreateLock:
    """The exclusive right to search for a connection and create it.

    The record in the lock's file outlives a killed process, so that the next process waits for the create
    that Workato may still be working on.

    :param file: the lock's file, ``None`` to go without a lock.
    :param counter: counts each change of the record, if there is a file.
    """

    def __init__(self, file: int | None = None, *, counter: CreateCounter | None = None) -> None:
        self._file = file
        self._counter = counter

    def unanswered(self) -> Unanswered | None:
        """Return the create whose answer is not recorded, if there is one."""
        if self._file is None:
            return None
        try:
            record = json.loads(os.pread(self._file, _LONGEST_RECORD, 0) or b"null")
            # Processes share the monotonic clock until the machine restarts; then the age is unknown.
            age = time.monotonic() - float(record["sent"])
            return Unanswered(age=max(age, 0.0), known=[int(number) for number in record["known"]])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def record_sent(self, known: Sequence[int]) -> None:
        """Record that a create is about to be sent.

        :param known: the ids of the matching connections that already exist.
        """
        self._write(json.dumps({"sent": time.monotonic(), "known": list(known)}).encode())

    def record_answered(self) -> None:
        """Record that the outcome of the create is known."""
        self._write(b"")

    def _write(self, record: bytes) -> None:
        if self._file is None:
            return
        if self._counter is not None:
            self._counter.add()
        try:
            os.ftruncate(self._file, os.pwrite(self._file, record, 0))
        except OSError as error:
            log.debug("Cannot record the create on this machine: %s", error)


@contextmanager
def locked(
    key: str, *, what: object, wait: float, counter: CreateCounter | None = None
) -> Iterator[CreateLock]:
    """Hold the lock of a connection. The operating system releases it when the process ends.

    Without a folder for temporary files, go without a lock and warn once per process.

    :param key: identifies the connection. Only its hash is written.
    :param what: the connection, for logs and errors.
    :param wait: seconds to wait while another process or thread holds the lock.
    :param counter: counts the creates of the workspace.
    :raises WorkatoBusyError: if it is still held then.
    """
    name = f"create-{hashlib.sha256(key.encode()).hexdigest()}"
    file = _open(name, what=what, wait=wait)
    lock = CreateLock(file, counter=counter)
    try:
        yield lock
    finally:
        if file is not None:
            if lock.unanswered() is None:
                remove_locked(name)
            unlock(file)


def _open(name: str, *, what: object, wait: float) -> int | None:
    end = time.monotonic() + wait
    waits = False
    while True:
        try:
            file = open_locked(name, wait=end - time.monotonic() if waits else 0)
        except BlockingIOError:
            if waits:
                break
            waits = True
            log.info(
                "Another process or thread on this machine is creating this connection (%s); waiting.", what
            )
        except OSError as error:
            _warn_once(error)
            return None
        else:
            if os.fstat(file).st_nlink:
                return file
            # The previous holder removed the file.
            unlock(file)
    raise WorkatoBusyError(
        f"Another process or thread on this machine has been creating this connection ({what}) for more than "
        f"{wait:g} s. Nothing was sent. Let the task retry, or find the other task that creates it."
    )


_warned = False


def _warn_once(error: OSError) -> None:
    global _warned  # noqa: PLW0603 - once for each process
    if not _warned:
        _warned = True
        log.warning(
            "Creating connections without a lock, because there is no folder for temporary files (%s). Two "
            "tasks that run at once could create the same connection twice.",
            error.strerror or type(error).__name__,
        )


class CreateCounter:
    """Counts, for all processes of this user on this machine, the creates that leave and that are answered.

    :param workspace: the workspace's base URL.
    """

    def __init__(self, workspace: str) -> None:
        self._name = f"created-{hashlib.sha256(workspace.encode()).hexdigest()}"

    def read(self) -> int | None:
        """Return the count, ``None`` if there is no folder for temporary files."""
        return self._counted(0)

    def add(self) -> None:
        """Count one more."""
        self._counted(1)

    def _counted(self, more: int) -> int | None:
        try:
            file = open_locked(self._name, wait=_LONGEST_COUNT)
        except OSError:
            return None
        try:
            count = int(os.pread(file, 20, 0) or b"0") + more
            if more:
                os.pwrite(file, b"%d" % count, 0)
        except (OSError, ValueError):
            return None
        else:
            return count
        finally:
            unlock(file)


class SearchSemaphore:
    """One of the few slots for processes between their search and their create.

    :param workspace: the workspace's base URL.
    """

    def __init__(self, workspace: str) -> None:
        name = f"search-{hashlib.sha256(workspace.encode()).hexdigest()}"
        end = time.monotonic() + _LONGEST_WAIT
        self._file: int | None = None
        with contextlib.suppress(OSError):
            while (file := _first_free(name)) is None and time.monotonic() < end:
                time.sleep(_PAUSE)
            self._file = file

    def release(self) -> None:
        """Let the next process search. Calling this twice is harmless."""
        file, self._file = self._file, None
        if file is not None:
            unlock(file)


def _first_free(name: str) -> int | None:
    for number in range(MAX_SEARCHING):
        with contextlib.suppress(BlockingIOError):
            return open_locked(f"{name}-{number}", wait=0)
    return None
