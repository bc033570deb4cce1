"""List a workspace with one contender and print what it took: ``python -m tools.bench.one_list``."""

from __future__ import annotations

import gc
import json
import sys
import time

from tools.bench.contenders import contender
from tools.bench.memory import forget_peak, peak, resident

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
        forget_peak()
        before = resident()
        connections = len(list_connections())
        peak_added = peak() - before
        seconds: list[float] = []
        while len(seconds) < REPETITIONS and sum(seconds) < ENOUGH_SECONDS:
            gc.collect()
            start = time.perf_counter()
            list_connections()
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"connections": connections, "peak": peak_added, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
