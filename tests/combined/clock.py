"""The wall clock of the machine that the workers and triggerers of one play run on; it can jump."""

from __future__ import annotations

import mmap
import struct
import time


class Clock:
    """Shared by a process and all that it forks, so that a jump meets them in the middle of what they do."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)
        self._real = time.time

    def install(self) -> None:
        """Be the clock that :func:`time.time` tells, in this process and all that it forks."""
        time.time = self._now

    def uninstall(self) -> None:
        """Tell the real time again."""
        time.time = self._real

    def jump(self, seconds: float) -> None:
        """Set the clock, as a correction by NTP or by hand does.

        :param seconds: by how much; negative sets it back
        """
        self._shared[:] = struct.pack("d", self.offset + seconds)

    @property
    def offset(self) -> float:
        """How far the clock is ahead of the real one."""
        offset: float = struct.unpack("d", self._shared[:])[0]
        return offset

    def _now(self) -> float:
        return self._real() + self.offset
