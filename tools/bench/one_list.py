"""List a workspace with one contender and print what it took: ``python -m tools.bench.one_list``."""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from pathlib import Path

from tools.bench.contenders import contender

#: A slow contender does not get more time than it takes to know it.
REPETITIONS, ENOUGH_SECONDS = 7, 12.0


def main(name: str, url: str, token: str, short_url: str) -> None:
    """List and measure.

    :param name: the contender.
    :param url: the server.
    :param token: its API token.
    :param short_url: a server with a short list and the same token.
    """
    # What it imports is not what is compared.
    with contender(name, url=short_url, token=token) as list_connections:
        list_connections()
    with contender(name, url=url, token=token) as list_connections:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _memory("VmRSS")
        connections = len(list_connections())
        peak = _memory("VmHWM") - before
        seconds: list[float] = []
        while len(seconds) < REPETITIONS and sum(seconds) < ENOUGH_SECONDS:
            gc.collect()
            start = time.perf_counter()
            list_connections()
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"connections": connections, "peak": peak, "seconds": seconds}))


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the system does not tell {field}")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
