"""One create of a connection at a time, among all processes of this user on this machine."""

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

#: How many processes may be between their look and their create at once. At one create a second each of
#: them gets its turn while its look is fresh; more would only have to look again.
PLACES = 8
#: A place only saves calls, so that nothing fails for want of one.
_LONGEST_WAIT_FOR_A_PLACE = 600.0
_PAUSE = 0.1
_LONGEST_NOTE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A create that was sent and, as far as this machine knows, never answered.

    :param age: seconds since it was sent.
    :param known: the ids of the connections that were there before.
    """

    age: float
    known: Sequence[int]


class Claim:
    """The right to look for a connection and to make it.

    The note in the lock's file outlives a process that is killed, so that the next one waits for what
    Workato may still be making.

    :param file: the lock's file, ``None`` if there can be none.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = file

    def unanswered(self) -> Unanswered | None:
        """Return the create whose answer nobody read, if there is one."""
        if self._file is None:
            return None
        try:
            note = json.loads(os.pread(self._file, _LONGEST_NOTE, 0) or b"null")
            # Monotonic clocks agree within a boot; after a boot the note may be of any age.
            age = time.monotonic() - float(note["sent"])
            return Unanswered(age=max(age, 0.0), known=[int(number) for number in note["known"]])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def note_sending(self, known: Sequence[int]) -> None:
        """Note that a create is about to be sent.

        :param known: the ids of the connections that are there already.
        """
        self._write(json.dumps({"sent": time.monotonic(), "known": list(known)}).encode())

    def note_answered(self) -> None:
        """Note that it is known what became of the create."""
        self._write(b"")

    def _write(self, note: bytes) -> None:
        if self._file is None:
            return
        try:
            os.ftruncate(self._file, os.pwrite(self._file, note, 0))
        except OSError as error:
            log.debug("The create cannot be noted on this machine: %s", error)


@contextmanager
def claimed(key: str, *, who: object, wait: float) -> Iterator[Claim]:
    """Hold the claim on a connection; it also ends with the process, however that ends.

    Without a folder for temporary files there is no claim, and one warning for each process.

    :param key: what the processes must not make twice. Only its hash is seen.
    :param who: the connection, for logs and errors.
    :param wait: seconds to wait for another process or thread that holds the claim.
    :raises WorkatoBusyError: if it still holds it then.
    """
    name = f"claim-{hashlib.sha256(key.encode()).hexdigest()}"
    file = _open(name, who=who, wait=wait)
    claim = Claim(file)
    try:
        yield claim
    finally:
        if file is not None:
            if claim.unanswered() is None:
                remove_locked(name)
            unlock(file)


def _open(name: str, *, who: object, wait: float) -> int | None:
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
                "Another process or thread of this machine is making this connection (%s); waiting.", who
            )
        except OSError as error:
            _warn_once(error)
            return None
        else:
            if os.fstat(file).st_nlink:
                return file
            # Whoever held it removed the file.
            unlock(file)
    raise WorkatoBusyError(
        f"Another process or thread of this machine has been making this connection ({who}) for more than "
        f"{wait:g} s. Nothing was sent. Let the task retry, or see which other task makes the same one."
    )


_warned = False


def _warn_once(error: OSError) -> None:
    global _warned  # noqa: PLW0603 - once for each process
    if not _warned:
        _warned = True
        log.warning(
            "Connections are made without a lock, so that two tasks at once could make the same one twice: "
            "there is no folder for temporary files (%s).",
            error.strerror or type(error).__name__,
        )


class Place:
    """One of the few places between a look and a create, until it is left.

    :param workspace: the workspace's base URL.
    """

    def __init__(self, workspace: str) -> None:
        name = f"place-{hashlib.sha256(workspace.encode()).hexdigest()}"
        end = time.monotonic() + _LONGEST_WAIT_FOR_A_PLACE
        self._file: int | None = None
        with contextlib.suppress(OSError):
            while (file := _first_free(name)) is None and time.monotonic() < end:
                time.sleep(_PAUSE)
            self._file = file

    def leave(self) -> None:
        """Let the next one look; leaving twice is fine."""
        file, self._file = self._file, None
        if file is not None:
            unlock(file)


def _first_free(name: str) -> int | None:
    for number in range(PLACES):
        with contextlib.suppress(BlockingIOError):
            return open_locked(f"{name}-{number}", wait=0)
    return None
