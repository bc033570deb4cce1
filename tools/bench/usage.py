"""What a process uses while it runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from types import TracebackType


class Usage:
    """CPU time and memory of a process, watched while the block runs.

    :param process: which process.
    :param interval: seconds between two looks at its memory.
    """

    def __init__(self, process: psutil.Process, *, interval: float = 0.5) -> None:
        self._process = process
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.memory_at_start = self._memory()
        self.peak = self.memory_at_start

    @property
    def cpu(self) -> float:
        """The CPU seconds that it has used since it began."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def added(self) -> int:
        """The bytes by which its memory grew at most."""
        return self.peak - self.memory_at_start

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self._interval):
            try:
                self.peak = max(self.peak, self._memory())
            except psutil.NoSuchProcess:
                return

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)
