"""The report: tables with goals and results, in a Markdown page that later runs bring up to date."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"

HEAD = """\
# Benchmarks

Written by `make bench`; do not edit. All columns of a table were measured in the same run on the same
machine, which is also where the server, the database and all of Airflow ran. Ratios are worth more than
the figures: another machine has other figures. The sandbox stands in for Workato, so there is no network in
any time. [The soak](soak.md) has a page of its own."""

#: The section that `make soak` writes.
SOAK = "Soak"

_FACT = re.compile(r"^\| (?!---)([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure.

    :param label: what was measured.
    :param values: one for each column; the cells of the last columns may be left out.
    :param goal: what it was to be, empty if nothing was asked for.
    :param met: whether it is so.
    """

    label: str
    values: Sequence[str]
    goal: str = ""
    met: bool | None = None

    @property
    def result(self) -> str:
        """What became of the goal."""
        return "" if self.met is None else "met" if self.met else "**missed**"


def exact(label: str, *counts: int, goal: int) -> Row:
    """Return the row of a number that each contender has to reach exactly.

    :param label: what was counted.
    :param counts: how many there were.
    :param goal: how many there must be.
    """
    return Row(
        label=label,
        values=[str(count) for count in counts],
        goal=str(goal),
        met=all(count == goal for count in counts),
    )


def compared(
    label: str,
    ours: float,
    theirs: float,
    *,
    show: Callable[[float], str],
    share: float | None = None,
    most: float | None = None,
) -> Row:
    """Return the row of a measure of two contenders, with their ratio.

    :param label: what was measured.
    :param ours: the measure of this package.
    :param theirs: the measure of the other one.
    :param show: returns a measure as a text.
    :param share: the goal, as a part of *theirs*.
    :param most: the goal, if it does not depend on *theirs*.
    """
    limit = most if share is None else share * theirs
    goal = f"<= {share} x" if share is not None else "" if most is None else f"<= {show(most)}"
    return Row(
        label=label,
        values=[show(ours), show(theirs), times(ours, theirs)],
        goal=goal,
        met=None if limit is None else ours <= limit,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one run measured side by side.

    :param title: what it is about.
    :param columns: the contenders, and what compares them.
    :param rows: the measures.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]

    def markdown(self) -> str:
        """Return it as Markdown."""
        head = ["", *self.columns, "goal", "result"]
        lines = [head, ["---", *["---:"] * len(self.columns), "---", "---"]]
        for row in self.rows:
            empty = [""] * (len(self.columns) - len(row.values))
            lines.append([row.label, *row.values, *empty, row.goal, row.result])
        body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"### {self.title}\n\n{body}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A benchmark's part of the report.

    :param title: what it is about.
    :param method: how it was measured.
    :param tables: what came out.
    :param notes: what one has to know to read the tables, and why a goal was missed.
    """

    title: str
    method: str
    tables: Sequence[Table]
    notes: str = ""

    def markdown(self) -> str:
        """Return it as Markdown."""
        parts = [f"## {self.title}", self.method, *(table.markdown() for table in self.tables)]
        if self.notes:
            parts.append(self.notes)
        return "\n\n".join(parts)


class Document:
    """A report in Markdown.

    :param text: what an earlier run wrote.
    :param facts: versions and machine, by default those of the earlier run.
    """

    def __init__(self, text: str = "", *, facts: Sequence[tuple[str, str]] | None = None) -> None:
        head = text.partition("\n## ")[0]
        self._facts = _FACT.findall(head) if facts is None else facts
        self._sections: dict[str, str] = {
            part.partition("\n")[0]: f"## {part.rstrip()}"
            for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]
        }

    def put(self, section: Section, *, load: float) -> None:
        """Add a section, or replace the one of an earlier run.

        :param section: the section.
        :param load: how busy the machine was before it was measured.
        """
        self._sections[section.title] = f"{section.markdown()}\n\n{measured(load=load)}"

    def keep(self, titles: Sequence[str]) -> None:
        """Remove all other sections and put these into order.

        :param titles: the titles of the sections; those that do not exist are ignored.
        """
        self._sections = {
            title: self._sections[title] for title in dict.fromkeys(titles) if title in self._sections
        }

    def markdown(self) -> str:
        """Return it as Markdown."""
        missed = [
            f"{title}: {label}"
            for title, text in self._sections.items()
            for label in re.findall(r"^\| ([^|]+) \|.*\| \*\*missed\*\* \|$", text, flags=re.MULTILINE)
        ]
        verdict = f"Missed: {'; '.join(missed)}." if missed else "All goals were met."
        facts = "\n".join(f"| {name} | {value} |" for name, value in self._facts)
        head = [HEAD, f"| | |\n| --- | --- |\n{facts}", verdict]
        return "\n\n".join([*head, *self._sections.values()]) + "\n"


def measured(*, load: float) -> str:
    """Return the sentence that says when, which is now.

    :param load: how busy the machine was before.
    """
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return f"Measured {now}; load average of the machine before it began: {load:.1f}."


def times(first: float, second: float) -> str:
    """Return the ratio of two measures as a text.

    :param first: what is compared.
    :param second: with what.
    """
    if second <= 0:
        return "-"
    ratio = first / second
    return f"{ratio:.3f} x" if ratio < 0.1 else f"{ratio:.2f} x" if ratio < 10 else f"{ratio:,.0f} x"


def milliseconds(seconds: float) -> str:
    """Return a short time as a text.

    :param seconds: the time.
    """
    return f"{seconds * 1000:,.2f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"


def megabytes(size: float) -> str:
    """Return a size as a text.

    :param size: in bytes.
    """
    return f"{size / 1e6:,.1f} MB"
