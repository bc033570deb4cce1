"""Poll a list in one way, a line of input for each poll, and print what each took.

``python -m tools.bench.one_poll NAME URL TOKEN SHORT_URL``
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tools.bench.contenders import SESSION
from tools.bench.loop_watch import LoopWatch
from tools.bench.memory import forget_peak, peak, resident, settled_resident

OURS = "the shared poll"
PEER = f"{SESSION} and json.loads"

Poll = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def _shared_poll(url: str, token: str) -> AsyncIterator[Poll]:
    from airflow_provider_workato.triggers.shared_list import SharedList

    # Nothing is to wait for its turn.
    extra = {"list_calls_per_minute": 600}
    os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"] = json.dumps(
        {"conn_type": "workato", "host": url, "password": token, "extra": extra}
    )
    shared = SharedList(("workato_default", ()))

    async def poll() -> Any:
        snapshot: Any = await shared.poll()
        return snapshot.rows

    yield poll


@asynccontextmanager
async def _session(url: str, token: str) -> AsyncIterator[Poll]:
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"

        def poll() -> dict[int, Any]:
            answer = session.get(
                f"{url}/api/connections", params={"include_runtime_connections": "true"}, timeout=300
            )
            return {row["id"]: row for row in json.loads(answer.content)}

        # Beside the loop, as anyone would.
        yield lambda: asyncio.to_thread(poll)


_OPEN = {OURS: _shared_poll, PEER: _session}


async def _measure(name: str, url: str, token: str, short_url: str) -> None:
    # What it imports is not what is compared.
    async with _OPEN[name](short_url, token) as poll:
        await poll()
    async with _OPEN[name](url, token) as poll:
        before = settled_resident()
        kept: Any = None
        for _ in iter(sys.stdin.readline, ""):
            gc.collect()
            forget_peak()
            async with LoopWatch() as loop:
                cpu = time.process_time()
                kept = await poll()
                cpu = time.process_time() - cpu
            gc.collect()
            told = {
                "connections": len(kept),
                "cpu": cpu,
                "held": loop.longest,
                "memory": resident() - before,
                "peak": peak() - before,
            }
            print(json.dumps(told), flush=True)


def main(name: str, url: str, token: str, short_url: str) -> None:
    """Poll and measure.

    :param name: the way.
    :param url: the server.
    :param token: its API token.
    :param short_url: a server with a short list and the same token.
    """
    asyncio.run(_measure(name, url, token, short_url))


if __name__ == "__main__":
    main(*sys.argv[1:])
