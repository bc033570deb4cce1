"""A poll of a large list, again and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.measure import in_turn
from tools.bench.one_poll import OURS, PEER
from tools.bench.report import Row, Section, Table, megabytes, milliseconds, times

SIZE = 50_000
#: How many connections change between two polls.
CHANGES = 50
CPU_FACTOR = 2.5
MEMORY_SHARE = 1 / 3
HELD = 0.05
#: Without this, glibc keeps one freed answer of the thread's, in either way: that would not be what is kept.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
TOKEN = "benchmark"  # noqa: S105 - the sandbox takes any
METHOD = f"""\
What a triggerer does for as long as anything waits. {OURS.capitalize()} keeps of each row what waits and
watches look at, and the rest compressed; the other way keeps a dict of decoded rows. Each polls in a process
of its own, in a thread beside an event loop; {CHANGES} connections change between two polls. Medians of the
polls after the first one; of the loop, the longest time in any poll. CPU is that of the whole process. Memory
is what the process holds after a poll above what it held before the first, unused memory given back: glibc
keeps a freed answer for the thread's next one, so both run with `MALLOC_MMAP_THRESHOLD_=1000000`. The loop
is watched every 5 ms."""


def run(*, polls: int, size: int = SIZE) -> Section:
    """Time the polls.

    :param polls: how many polls each way makes after its first one.
    :param size: how many connections.
    """
    options = ("--no-quota", f"--token={TOKEN}")
    names = (OURS, PEER)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with running_sandbox(*options) as sandbox, running_sandbox(*options) as short:
        ids = sandbox.control.seed(count=size - len(sandbox.control.connections()), authorization_status=None)
        with _polling(OURS, sandbox.url, short.url) as ours, _polling(PEER, sandbox.url, short.url) as peer:
            for number in range(polls + 1):
                sandbox.control.authorize_all(ids[number * CHANGES : (number + 1) * CHANGES])
                for name in in_turn(names, number):
                    told = _poll(ours if name == OURS else peer)
                    if told["connections"] != size:
                        raise RuntimeError(f"{name} found {told['connections']} connections of {size}")
                    found[name].append(told)
    return Section(title="A poll", method=METHOD, tables=[_table(size=size, found=found)])


@contextmanager
def _polling(name: str, url: str, short_url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tools.bench.one_poll", name, url, TOKEN, short_url]
    env = os.environ | _ALLOCATOR
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.communicate(timeout=60)
        finally:
            process.kill()


def _poll(process: subprocess.Popen[str]) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    process.stdin.write("poll\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("{"):
            told: dict[str, Any] = json.loads(line)
            return told
    raise RuntimeError(f"the process ended: {process.wait()}")


def _table(*, size: int, found: dict[str, list[dict[str, Any]]]) -> Table:
    first = {name: polls[0] for name, polls in found.items()}
    cpu = {name: median(poll["cpu"] for poll in polls[1:]) for name, polls in found.items()}
    memory = {name: median(poll["memory"] for poll in polls[1:]) for name, polls in found.items()}
    held = {name: max(poll["held"] for poll in polls) for name, polls in found.items()}
    rows = [
        Row(
            label="CPU of a poll",
            values=[milliseconds(cpu[OURS]), milliseconds(cpu[PEER]), times(cpu[OURS], cpu[PEER])],
            goal=f"{CPU_FACTOR} x cheaper",
            met=CPU_FACTOR * cpu[OURS] <= cpu[PEER],
        ),
        Row(
            label="CPU of the first poll",
            values=[
                milliseconds(first[OURS]["cpu"]),
                milliseconds(first[PEER]["cpu"]),
                times(first[OURS]["cpu"], first[PEER]["cpu"]),
            ],
        ),
        Row(
            label="memory kept",
            values=[megabytes(memory[OURS]), megabytes(memory[PEER]), times(memory[OURS], memory[PEER])],
            goal="<= 1/3",
            met=memory[OURS] <= MEMORY_SHARE * memory[PEER],
        ),
        Row(
            label="the loop held, at most",
            values=[milliseconds(held[OURS]), milliseconds(held[PEER]), times(held[OURS], held[PEER])],
            goal=f"<= {HELD * 1000:.0f} ms",
            met=held[OURS] <= HELD,
        ),
    ]
    return Table(title=f"{size:,} connections", columns=[OURS, PEER, "ratio"], rows=rows)
