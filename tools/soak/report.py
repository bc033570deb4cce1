"""The figures of a soak as a page of the documentation."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tools.bench.report import SOAK, Row, Section, Table, exact, measured, megabytes
from tools.soak.memory import STEADY
from tools.soak.play import FEWEST, INTERVAL, TRIGGERERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.soak.memory import Memory
    from tools.soak.play import Outcome

#: Minutes of a soak whose figures are published.
FULL = 30
#: By how much the memory may grow between the first half and the end: that of triggers, and that of other
#: processes. How many tasks run at a moment makes a difference to theirs.
_GROWTH, _GROWTH_OF_OTHERS = 1.15, 1.25
_TRIGGERS = "triggers-1"
_MEMORY_HEAD = """\
Memory that is not shared with other processes: the median of the second quarter of the time, and of the last
eighth. `triggers-1` is the process with the triggers of the triggerer that is never restarted."""
_METHOD = f"""\
A real Airflow with two triggerers and two Celery workers, faults and restarts ([what happens](soak.md)).
{_MEMORY_HEAD}"""
HEAD = """\
# Soak

Written by `make soak`; do not edit. A real Airflow runs on one machine: scheduler, DAG processor, API
server, two triggerers, two Celery workers, Redis and PostgreSQL. Each worker and each triggerer has a
temporary folder of its own, as on separate machines. The sandbox enforces Workato's quotas (60 list calls
a minute, one other call a second).

Meanwhile:

- runs of 50 mapped sensors (`deferrable=True`, `poke_interval=10`) start and end; each connection is
  authorized at a random moment, and some are lost later;
- two watches report the changes of the connections of two apps;
- every minute four connections are created, with `retries`;
- every 20 s a random fault hits a list call or a create: 5xx, 429, resets, torn and late answers;
- every four minutes one of the triggerers is restarted, by turns with SIGTERM and SIGKILL. Before that the
  workspace is left alone until the watches have stored their reports, because a watch whose triggerer dies
  within about three seconds of reporting a change reports it again
  ([why](scale.md#what-happens-on-a-kill))."""


def section(outcome: Outcome, memory: Memory, *, minutes: float, waits: int, ended: Sequence[str]) -> Section:
    """Return the figures as a section of the benchmarks.

    :param outcome: what came of the soak.
    :param memory: the memory of the cluster's parts.
    :param minutes: how long it was to last.
    :param waits: how many waits were to go on.
    :param ended: components that ended by themselves.
    """
    # A shorter soak has hardly started them all.
    fewest = int(FEWEST * waits) if minutes >= FULL else 0
    most = max(outcome.waits_at_once, default=0)
    figures = [
        _row("minutes", f"{outcome.seconds / 60:.0f}"),
        _row("waits that ended", f"{outcome.waits:,}"),
        _row("most waits at once", str(most), goal=f">= {fewest}" if fewest else "", met=most >= fewest),
        _row("waits at once, median", f"{statistics.median(outcome.waits_at_once or [0]):.0f}"),
        _row("creates", str(outcome.creates)),
        _row("changes reported", f"{outcome.reports.count:,}"),
        _row("faults", str(outcome.faults.total())),
        _row("restarts of a triggerer", _counts(outcome.restarts)),
        exact("waits and creates that failed", outcome.failed, goal=0),
        exact("tasks started by the watches that failed", outcome.failed_beside, goal=0),
        exact("lost waits", outcome.lost_waits, goal=0),
        exact("connections made twice", outcome.duplicates, goal=0),
        exact("connections not made", outcome.unmade, goal=0),
        exact("changes reported twice", len(outcome.reports.twice), goal=0),
        exact("changes missed", len(outcome.reports.missed), goal=0),
        exact("components that ended by themselves", len(ended), goal=0),
        *_calls(outcome),
    ]
    tables = [
        Table(title="Figures", columns=[""], rows=figures),
        Table(
            title="Memory",
            columns=["then", "at the end", "growth"],
            rows=_memory(memory, seconds=60 * minutes),
        ),
    ]
    return Section(title=SOAK, method=_METHOD, tables=tables)


def page(found: Section, *, load: float) -> str:
    """Return the figures as a page of their own.

    :param found: the figures.
    :param load: how busy the machine was before.
    """
    figures, memory = (table.markdown().removeprefix("#") for table in found.tables)
    heading, _, rows = memory.partition("\n\n")
    return f"{HEAD}\n\n{figures}\n\n{heading}\n\n{_MEMORY_HEAD}\n\n{rows}\n\n{measured(load=load)}\n"


def passed(found: Section) -> bool:
    """Tell whether all goals were met.

    :param found: the figures.
    """
    return all(row.met is not False for table in found.tables for row in table.rows)


def _calls(outcome: Outcome) -> list[Row]:
    minutes = outcome.seconds / 60
    # Waits that follow other tasks may ask for a list of their own, together, twice a minute.
    most = TRIGGERERS * (60 / INTERVAL + 2)
    polls = outcome.polls / minutes
    busiest = max(outcome.minutes, default=0)
    lists = sum(outcome.minutes) / max(len(outcome.minutes), 1)
    # Workers limit only themselves, so two can make a call in the same second.
    refused = outcome.calls // 10
    return [
        _row("polls a minute, both triggerers", f"{polls:.1f}", goal=f"<= {most:g}", met=polls <= most),
        _row("list calls a minute, all", f"{lists:.1f}"),
        _row("most list calls in a minute", str(busiest), goal="<= 60", met=busiest <= 60),
        _row("calls", f"{outcome.calls:,}"),
        _row(
            "calls refused with 429, without those of faults",
            str(outcome.refused),
            goal="<= 10% of the calls",
            met=outcome.refused <= refused,
        ),
    ]


def _memory(memory: Memory, *, seconds: float) -> list[Row]:
    rows = []
    for name in (_TRIGGERS, *STEADY):
        then = memory.median(name, start=seconds / 4, end=seconds / 2)
        last = memory.median(name, start=seconds * 7 / 8, end=seconds)
        growth = last / then if then else 0.0
        most = _GROWTH if name == _TRIGGERS else _GROWTH_OF_OTHERS
        rows.append(
            Row(
                label=name,
                values=[megabytes(then), megabytes(last), f"{growth:.2f} x"],
                goal=f"<= {most:g} x",
                met=0 < growth <= most,
            )
        )
    return rows


def _row(label: str, value: str, *, goal: str = "", met: bool | None = None) -> Row:
    return Row(label=label, values=[value], goal=goal, met=met if goal else None)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "0"
