"""A poll of a large list, again and again."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from statistics import median
from typing import Any

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.contenders import SESSION, TOKEN, opened_session, set_connection
from tools.bench.measure import (
    LoopWatch,
    conversation,
    forget_peak,
    in_turn,
    peak,
    resident,
    settled_resident,
)
from tools.bench.report import Row, Section, Table, compared, milliseconds

SIZE = 50_000
#: How many connections change between two polls.
CHANGES = 50
#: Of the other way's CPU, for a list that changed and for the same bytes again.
CHANGED_SHARE, SAME_SHARE = 0.4, 0.12
#: In sizes of the answer.
KEPT, PEAK = 1.0, 2.0
HELD = 0.015
#: As the provider asks.
_ALL = {"include_runtime_connections": "true"}
OURS = "the shared poll"
PEER = f"{SESSION} and json.loads"

Poll = Callable[[], Awaitable[Any]]

METHOD = f"""\
What a triggerer does for as long as anything waits. {OURS.capitalize()} keeps of each row what waits and
watches look at, and the rest compressed; the other way keeps a dict of decoded rows. Each polls in a process
of its own, in a thread beside an event loop: after {CHANGES} connections changed, and once more. Medians of
the polls after the first two; of the loop, the longest time in any poll. CPU is that of the whole process.
Memory is what the system counts as resident after a poll above what it was before the first, with the
default allocator; the peak is the highest of any poll. The loop is watched every 5 ms."""


def run(*, polls: int, size: int = SIZE) -> Section:
    """Time the polls.

    :param polls: how often each way polls a list that changed, and then the same again.
    :param size: how many connections.
    """
    options = ("--no-quota", f"--token={TOKEN}")
    names = (OURS, PEER)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with running_sandbox(*options) as sandbox, running_sandbox(*options) as short, ExitStack() as stack:
        ids = sandbox.control.seed(count=size - len(sandbox.control.connections()), authorization_status=None)
        ask = {
            name: stack.enter_context(conversation("-m", "tools.bench.polls", name, sandbox.url, short.url))
            for name in names
        }
        for number in range(2 * polls):
            if number % 2 == 0:
                sandbox.control.authorize_all(ids[number * CHANGES : (number + 1) * CHANGES])
            for name in in_turn(names, number // 2):
                told = ask[name]("poll")
                if told["connections"] != size:
                    raise RuntimeError(f"{name} found {told['connections']} connections of {size}")
                found[name].append(told)
        with opened_session(TOKEN) as session:
            answer = len(session.get(f"{sandbox.url}/api/connections", params=_ALL, timeout=300).content)
    return Section(title="A poll", method=METHOD, tables=[_table(size=size, answer=answer, found=found)])


def _table(*, size: int, answer: int, found: dict[str, list[dict[str, Any]]]) -> Table:
    def cpu(label: str, polls: slice, share: float | None = None) -> Row:
        took = {name: median(poll["cpu"] for poll in found[name][polls]) for name in found}
        return compared(label, took[OURS], took[PEER], show=milliseconds, share=share)

    def memory(label: str, field: str, most: float) -> Row:
        peaks = {name: max(poll[field] for poll in found[name]) / answer for name in found}
        return compared(label, peaks[OURS], peaks[PEER], show="{:.1f}".format, most=most)

    held = {name: max(poll["held"] for poll in polls) for name, polls in found.items()}
    rows = [
        cpu("CPU of the first poll", slice(1)),
        cpu(f"CPU of a poll, {CHANGES} connections changed", slice(2, None, 2), CHANGED_SHARE),
        cpu("CPU of a poll, nothing changed", slice(3, None, 2), SAME_SHARE),
        memory("memory kept, in sizes of the answer", "memory", KEPT),
        memory("peak of memory, in sizes of the answer", "peak", PEAK),
        compared("the loop held, at most", held[OURS], held[PEER], show=milliseconds, most=HELD),
    ]
    return Table(title=f"{size:,} connections", columns=[OURS, PEER, "ratio"], rows=rows)


@asynccontextmanager
async def _shared_poll(url: str) -> AsyncIterator[Poll]:
    from airflow_provider_workato.triggers.shared_list import SharedList

    set_connection(url=url, token=TOKEN)
    shared = SharedList(("workato_default", ()))

    async def poll() -> Any:
        snapshot: Any = await shared.poll()
        return snapshot.rows

    yield poll


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Poll]:
    with opened_session(TOKEN) as session:

        def poll() -> dict[int, Any]:
            answer = session.get(f"{url}/api/connections", params=_ALL, timeout=300)
            return {row["id"]: row for row in json.loads(answer.content)}

        # Beside the loop, as anyone would.
        yield lambda: asyncio.to_thread(poll)


_OPEN = {OURS: _shared_poll, PEER: _session}


async def _measure(name: str, url: str, short_url: str) -> None:
    # What it imports is not what is compared.
    async with _OPEN[name](short_url) as poll:
        await poll()
    async with _OPEN[name](url) as poll:
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


if __name__ == "__main__":
    # NAME URL SHORT_URL: polls in one way for each line of input, and prints what each poll took.
    asyncio.run(_measure(*sys.argv[1:]))
