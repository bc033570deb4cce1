"""One call and a long list: this package beside what one would use instead."""

from __future__ import annotations

import gc
import json
import sys
import time
from contextlib import ExitStack
from statistics import median

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.contenders import HOOK, HTTP_HOOK, SESSION, TOKEN, VENDOR, contender
from tools.bench.measure import alternate, forget_peak, fresh_process, in_turn, peak, resident
from tools.bench.report import Row, Section, Table, megabytes, milliseconds, times

CONNECTIONS = 10
CALLS = 20
LIMIT_OF_A_CALL = 1.2
METHOD_OF_A_CALL = f"""\
`WorkatoConnectionsHook.list_connections()`, `requests.Session.get` and `json.loads` on a kept-alive
connection, `HttpHook.run().json()` and the vendor's `ConnectionsApi.list_connections()` ask the same
sandbox, its quota off, for the same {CONNECTIONS + 1} connections. One process; the contenders take turns
of {CALLS} calls; the median call. The time includes the server's."""

SIZES = (1_000, 10_000, 50_000)
JUDGED = (10_000, 50_000)
LIMIT = 0.7
FACTOR = 4
LIMIT_OF_MEMORY = 0.8
#: A slow contender does not get more time than it takes to know it.
REPETITIONS, ENOUGH_SECONDS = 7, 12.0
METHOD_OF_A_LIST = """\
Each contender lists a workspace of the given size in a process of its own, in turn with the others: the
first list is for the peak of its resident memory above what it held before, those after it for the time.
Medians. The sandbox serves the same bytes, made once, to all."""


def run_call(*, rounds: int) -> Section:
    """Time the calls.

    :param rounds: how often each contender has its turn.
    """
    names = (HOOK, SESSION, HTTP_HOOK, VENDOR)
    with running_sandbox("--no-quota") as sandbox, ExitStack() as stack:
        sandbox.control.seed(count=CONNECTIONS)
        contenders = {
            name: stack.enter_context(contender(name, url=sandbox.url, token=sandbox.token)) for name in names
        }
        alternate(contenders, rounds=1, calls=CALLS)
        seconds = {
            name: median(taken) for name, taken in alternate(contenders, rounds=rounds, calls=CALLS).items()
        }
    ours = seconds[HOOK]
    rows = [
        Row(label="a call", values=[milliseconds(seconds[name]) for name in names]),
        Row(
            label="the hook beside it",
            values=["", *(times(ours, seconds[name]) for name in names[1:])],
            goal=f"<= {LIMIT_OF_A_CALL} x the session, < 1 x HttpHook",
            met=ours <= LIMIT_OF_A_CALL * seconds[SESSION] and ours < seconds[HTTP_HOOK],
        ),
    ]
    return Section(
        title="A call", method=METHOD_OF_A_CALL, tables=[Table(title="One call", columns=names, rows=rows)]
    )


def run_list(*, rounds: int, sizes: tuple[int, ...] = SIZES) -> Section:
    """Time the lists.

    :param rounds: how many processes each contender gets.
    :param sizes: how many connections.
    """
    return Section(
        title="A list",
        method=METHOD_OF_A_LIST,
        tables=[_table_of_lists(size=size, rounds=rounds) for size in sizes],
    )


def _table_of_lists(*, size: int, rounds: int) -> Table:
    names = (HOOK, SESSION, VENDOR)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, list[float]] = {name: [] for name in names}
    options = ("--no-quota", f"--token={TOKEN}")
    with running_sandbox(*options) as sandbox, running_sandbox(*options) as short:
        sandbox.control.seed(count=size - len(sandbox.control.connections()))
        for number in range(rounds):
            for name in in_turn(names, number):
                found = fresh_process("-m", "tools.bench.calls", name, sandbox.url, short.url)
                if found["connections"] != size:
                    raise RuntimeError(f"{name} listed {found['connections']} connections of {size}")
                seconds[name].append(median(found["seconds"]))
                memory[name].append(found["peak"])
    took = {name: median(taken) for name, taken in seconds.items()}
    most = {name: median(taken) for name, taken in memory.items()}
    judged = size in JUDGED
    rows = [
        Row(label="time", values=[milliseconds(took[name]) for name in names]),
        Row(
            label="the hook's time beside it",
            values=["", *(times(took[HOOK], took[name]) for name in names[1:])],
            goal=f"<= {LIMIT} x the session, {FACTOR} x faster than the vendor's" if judged else "",
            met=took[HOOK] <= LIMIT * took[SESSION] and FACTOR * took[HOOK] <= took[VENDOR]
            if judged
            else None,
        ),
        Row(label="peak memory added", values=[megabytes(most[name]) for name in names]),
        Row(
            label="the hook's memory beside it",
            values=["", *(times(most[HOOK], most[name]) for name in names[1:])],
            goal=f"<= {LIMIT_OF_MEMORY} x the session" if judged else "",
            met=most[HOOK] <= LIMIT_OF_MEMORY * most[SESSION] if judged else None,
        ),
    ]
    return Table(title=f"{size:,} connections", columns=names, rows=rows)


def _measure_list(name: str, url: str, short_url: str) -> None:
    # What it imports is not what is compared.
    with contender(name, url=short_url, token=TOKEN) as list_connections:
        list_connections()
    with contender(name, url=url, token=TOKEN) as list_connections:
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
    # NAME URL SHORT_URL: lists with one contender, and prints what it took.
    _measure_list(*sys.argv[1:])
