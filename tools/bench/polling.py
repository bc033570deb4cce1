"""A poll of a large list, again and again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import requests

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.measure import in_turn
from tools.bench.one_poll import OURS, PEER
from tools.bench.report import Row, Section, Table, milliseconds, times

SIZE = 50_000
#: How many connections change between two polls.
CHANGES = 50
#: Of the other way's CPU, for a list that changed and for the same bytes again.
CHANGED_SHARE, SAME_SHARE = 0.4, 0.12
#: In sizes of the answer.
KEPT, PEAK = 1.0, 2.0
HELD = 0.015
TOKEN = "benchmark"  # noqa: S105 - the sandbox takes any
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
    with running_sandbox(*options) as sandbox, running_sandbox(*options) as short:
        ids = sandbox.control.seed(count=size - len(sandbox.control.connections()), authorization_status=None)
        with _polling(OURS, sandbox.url, short.url) as ours, _polling(PEER, sandbox.url, short.url) as peer:
            for number in range(2 * polls):
                if number % 2 == 0:
                    sandbox.control.authorize_all(ids[number * CHANGES : (number + 1) * CHANGES])
                for name in in_turn(names, number // 2):
                    told = _poll(ours if name == OURS else peer)
                    if told["connections"] != size:
                        raise RuntimeError(f"{name} found {told['connections']} connections of {size}")
                    found[name].append(told)
        answer = _size_of_answer(sandbox.url)
    return Section(title="A poll", method=METHOD, tables=[_table(size=size, answer=answer, found=found)])


@contextmanager
def _polling(name: str, url: str, short_url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tools.bench.one_poll", name, url, TOKEN, short_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
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


def _size_of_answer(url: str) -> int:
    answer = requests.get(
        f"{url}/api/connections",
        params={"include_runtime_connections": "true"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=300,
    )
    return len(answer.content)


def _table(*, size: int, answer: int, found: dict[str, list[dict[str, Any]]]) -> Table:
    def cpu(label: str, polls: slice, goal: float | None = None) -> Row:
        took = {name: median(poll["cpu"] for poll in found[name][polls]) for name in found}
        return Row(
            label=label,
            values=[milliseconds(took[OURS]), milliseconds(took[PEER]), times(took[OURS], took[PEER])],
            goal="" if goal is None else f"<= {goal} x",
            met=None if goal is None else took[OURS] <= goal * took[PEER],
        )

    def memory(label: str, field: str, goal: float) -> Row:
        most = {name: max(poll[field] for poll in found[name]) / answer for name in found}
        return Row(
            label=label,
            values=[f"{most[OURS]:.1f}", f"{most[PEER]:.1f}", times(most[OURS], most[PEER])],
            goal=f"<= {goal:.1f}",
            met=most[OURS] <= goal,
        )

    held = {name: max(poll["held"] for poll in polls) for name, polls in found.items()}
    rows = [
        cpu("CPU of the first poll", slice(1)),
        cpu(f"CPU of a poll, {CHANGES} connections changed", slice(2, None, 2), CHANGED_SHARE),
        cpu("CPU of a poll, nothing changed", slice(3, None, 2), SAME_SHARE),
        memory("memory kept, in sizes of the answer", "memory", KEPT),
        memory("peak of memory, in sizes of the answer", "peak", PEAK),
        Row(
            label="the loop held, at most",
            values=[milliseconds(held[OURS]), milliseconds(held[PEER]), times(held[OURS], held[PEER])],
            goal=f"<= {HELD * 1000:.0f} ms",
            met=held[OURS] <= HELD,
        ),
    ]
    return Table(title=f"{size:,} connections", columns=[OURS, PEER, "ratio"], rows=rows)
