"""The figures of a soak as a page of the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tools.soak.memory import STEADY
from tools.soak.play import INTERVAL, TRIGGERERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.soak.memory import Memory
    from tools.soak.play import Outcome

_MISSED = "**missed**"
#: By how much the memory of triggers may grow between the first half and the end.
_GROWTH = 1.15
_MEMORY_HEAD = """\
Memory that is not shared with other processes: the median of the second quarter of the time, and of the last
eighth. `triggers-1` is the process with the triggers of the triggerer that is never restarted."""
HEAD = """\
# Soak

Written by `make soak`; do not edit. A real Airflow runs on one machine: scheduler, DAG processor, API
server, two triggerers, two Celery workers, Redis and PostgreSQL. Each worker and each triggerer has a
temporary folder of its own, as on separate machines. The sandbox enforces Workato's quotas (60 list calls
a minute, one other call a second).

Meanwhile:

- runs of 50 mapped sensors (`deferrable=True`, `poke_interval=10`) start and end; each connection is
  authorized at a random moment, and some are lost later;
- two watches tell what becomes of the connections of two apps;
- every minute four connections are created, with `retries`;
- every 20 s a random fault hits a list call or a create: 5xx, 429, resets, torn and late answers;
- every four minutes one of the triggerers is restarted, by turns with SIGTERM and SIGKILL. Before that the
  workspace is left alone until the watches have noted what they told, because a watch whose triggerer dies
  within about three seconds of telling a change tells it again
  ([why](scale.md#what-happens-on-a-kill))."""


def report(outcome: Outcome, memory: Memory, *, minutes: float, load: float, ended: Sequence[str]) -> str:
    """Return the page.

    :param outcome: what came of the soak.
    :param memory: the memory of the cluster's parts.
    :param minutes: how long it was to last.
    :param load: how busy the machine was before.
    :param ended: components that ended by themselves.
    """
    rows = [
        ("minutes", f"{outcome.seconds / 60:.0f}", "", True),
        ("waits that ended", f"{outcome.waits:,}", "", True),
        ("most waits at once", str(outcome.most_waits), "", True),
        ("creates", str(outcome.creates), "", True),
        ("changes told", f"{outcome.told.count:,}", "", True),
        ("faults", str(outcome.faults.total()), "", True),
        ("restarts of a triggerer", _counts(outcome.restarts), "", True),
        _zero("waits and creates that failed", outcome.failed),
        _zero("tasks started by the watches that failed", outcome.failed_beside),
        _zero("lost waits", outcome.lost_waits),
        _zero("connections made twice", outcome.duplicates),
        _zero("connections not made", outcome.unmade),
        _zero("changes told twice", len(outcome.told.twice)),
        _zero("changes missed", len(outcome.told.missed)),
        _zero("components that ended by themselves", len(ended)),
        *_calls(outcome),
    ]
    lines = ["| | | goal | result |", "| --- | ---: | --- | --- |"]
    lines += [
        f"| {label} | {value} | {goal} | {'' if not goal else 'met' if met else _MISSED} |"
        for label, value, goal, met in rows
    ]
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    measured = f"Measured {now}; load average of the machine before it began: {load:.1f}."
    memory_table = _memory(memory, seconds=60 * minutes)
    parts = [HEAD, "## Figures", "\n".join(lines), "## Memory", memory_table, measured]
    return "\n\n".join(parts) + "\n"


def passed(text: str) -> bool:
    """Tell whether a page shows that all goals were met.

    :param text: the page.
    """
    return _MISSED not in text


def _calls(outcome: Outcome) -> list[tuple[str, str, str, bool]]:
    minutes = outcome.seconds / 60
    # Waits that follow other tasks may ask for a list of their own, together, twice a minute.
    most = TRIGGERERS * (60 / INTERVAL + 2)
    polls = outcome.polls / minutes
    return [
        ("polls a minute, both triggerers", f"{polls:.1f}", f"<= {most:g}", polls <= most),
        ("list calls a minute, all", f"{sum(outcome.minutes) / max(len(outcome.minutes), 1):.1f}", "", True),
        ("most list calls in a minute", str(max(outcome.minutes, default=0)), "", True),
        ("calls refused with 429, without those of faults", str(outcome.refused), "", True),
    ]


def _memory(memory: Memory, *, seconds: float) -> str:
    lines = [
        _MEMORY_HEAD,
        "",
        "| | then | at the end | growth | goal | result |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    for name in ("triggers-1", *STEADY):
        then = memory.median(name, start=seconds / 4, end=seconds / 2)
        last = memory.median(name, start=seconds * 7 / 8, end=seconds)
        growth = last / then if then else 0.0
        judged = name == "triggers-1"
        goal, result = "", ""
        if judged:
            goal, result = f"<= {_GROWTH:g} x", "met" if 0 < growth <= _GROWTH else _MISSED
        lines.append(
            f"| {name} | {then / 1e6:.1f} MB | {last / 1e6:.1f} MB | {growth:.2f} x | {goal} | {result} |"
        )
    return "\n".join(lines)


def _zero(label: str, count: int) -> tuple[str, str, str, bool]:
    return (label, str(count), "0", count == 0)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in counts.items()) or "0"
