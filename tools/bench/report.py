"""Tables with goals and results, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure.

    :param label: what was measured.
    :param values: one for each contender.
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
        lines += [[row.label, *row.values, row.goal, row.result] for row in self.rows]
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
