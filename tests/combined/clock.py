"""The wall clock of the machine on which the workers and triggerers of a play run; it can jump."""

from __future__ import annotations

import mmap
import struct
import time


class Clock:
    """A clock shared by a process and all its forks, so that a jump affects them while they run."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)
        self._real = time.time

    def install(self) -> None:
        """Replace :func:`time.time` in this process and in all its forks."""
        time.time = self._now

    def uninstall(self) -> None:
        """Restore the real time."""
        time.time = self._real

    def jump(self, seconds: float) -> None:
        """Move the clock, as a correction by NTP or by hand does.

        :param seconds: the seconds to add; negative to set it back.
        """
        self._shared[:] = struct.pack("d", self.offset + seconds)

    @property
    def offset(self) -> float:
        """The seconds by which the clock is ahead of the real one."""
        offset: float = struct.unpack("d", self._shared[:])[0]
        return offset

    def _now(self) -> float:
        return self._real() + self.offset
