"""The memory of the cluster's processes over time."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import psutil

from tools.bench.measure import Sampler

if TYPE_CHECKING:
    from tools.celery_cluster import CeleryCluster

#: Parts that are never restarted, so that their memory can be compared over the whole time.
STEADY = ("triggerer-1", "worker-0", "worker-1", "scheduler", "api-server", "dag-processor")


class Memory(Sampler):
    """Samples the memory of each part of a cluster while the block runs.

    The memory of a part is that of its process and of all that the process started. For a triggerer also
    the process in which its triggers run is sampled on its own, as ``triggers-1``.

    :param cluster: the cluster.
    """

    def __init__(self, cluster: CeleryCluster) -> None:
        super().__init__(interval=10.0)
        self._cluster = cluster
        self._began = time.monotonic()
        self._samples: dict[str, list[tuple[float, int]]] = defaultdict(list)

    def median(self, name: str, *, start: float, end: float) -> float:
        """Return the median of a part's memory in bytes.

        :param name: the part.
        :param start: from which moment, in seconds since the start of the block.
        :param end: until which moment.
        """
        sizes = [size for at, size in self._samples[name] if start <= at <= end]
        return statistics.median(sizes) if sizes else 0.0

    def look(self) -> None:
        """Note the memory of every part that runs."""
        at = time.monotonic() - self._began
        for name in STEADY:
            with contextlib.suppress(psutil.Error, KeyError):
                process = psutil.Process(self._cluster.component_pid(name))
                self._samples[name].append((at, _size(process, *process.children(recursive=True))))
        with contextlib.suppress(psutil.Error, KeyError, ValueError):
            triggerer = psutil.Process(self._cluster.component_pid("triggerer-1"))
            [runner] = triggerer.children()
            self._samples["triggers-1"].append((at, _size(runner)))


def _size(*processes: psutil.Process) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info()
            # Forks share most of what they were started with; what counts is what each adds.
            total += memory.rss - memory.shared
    return total
