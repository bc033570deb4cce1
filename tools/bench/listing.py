"""A list of many connections."""

from __future__ import annotations

from statistics import median

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.contenders import HOOK, SESSION, VENDOR
from tools.bench.measure import fresh_process, in_turn
from tools.bench.report import Row, Section, Table, megabytes, milliseconds, times

SIZES = (1_000, 10_000, 50_000)
JUDGED = (10_000, 50_000)
LIMIT = 0.7
FACTOR = 4
LIMIT_OF_MEMORY = 0.8
TOKEN = "benchmark"  # noqa: S105 - the sandbox takes any
METHOD = """\
Each contender lists a workspace of the given size in a process of its own, in turn with the others: the
first list is for the peak of its resident memory above what it held before, those after it for the time.
Medians. The sandbox serves the same bytes, made once, to all."""


def run(*, rounds: int, sizes: tuple[int, ...] = SIZES) -> Section:
    """Time the lists.

    :param rounds: how many processes each contender gets.
    :param sizes: how many connections.
    """
    return Section(title="A list", method=METHOD, tables=[_table(size=size, rounds=rounds) for size in sizes])


def _table(*, size: int, rounds: int) -> Table:
    names = (HOOK, SESSION, VENDOR)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, list[float]] = {name: [] for name in names}
    options = ("--no-quota", f"--token={TOKEN}")
    with running_sandbox(*options) as sandbox, running_sandbox(*options) as short:
        sandbox.control.seed(count=size - len(sandbox.control.connections()))
        for number in range(rounds):
            for name in in_turn(names, number):
                found = fresh_process("-m", "tools.bench.one_list", name, sandbox.url, TOKEN, short.url)
                if found["connections"] != size:
                    raise RuntimeError(f"{name} listed {found['connections']} connections of {size}")
                seconds[name].append(median(found["seconds"]))
                memory[name].append(found["peak"])
    time = {name: median(taken) for name, taken in seconds.items()}
    peak = {name: median(taken) for name, taken in memory.items()}
    judged = size in JUDGED
    rows = [
        Row(label="time", values=[milliseconds(time[name]) for name in names]),
        Row(
            label="the hook's time beside it",
            values=["", *(times(time[HOOK], time[name]) for name in names[1:])],
            goal=f"<= {LIMIT} x the session, {FACTOR} x faster than the vendor's" if judged else "",
            met=time[HOOK] <= LIMIT * time[SESSION] and FACTOR * time[HOOK] <= time[VENDOR]
            if judged
            else None,
        ),
        Row(label="peak memory added", values=[megabytes(peak[name]) for name in names]),
        Row(
            label="the hook's memory beside it",
            values=["", *(times(peak[HOOK], peak[name]) for name in names[1:])],
            goal=f"<= {LIMIT_OF_MEMORY} x the session" if judged else "",
            met=peak[HOOK] <= LIMIT_OF_MEMORY * peak[SESSION] if judged else None,
        ),
    ]
    return Table(title=f"{size:,} connections", columns=names, rows=rows)
