"""The report as a document that later runs bring up to date, section by section."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.bench.report import Section

HEAD = """\
# Benchmarks

Written by `make bench`; do not edit. All columns of a table were measured in the same run on the same
machine, which is also where the server, the database and all of Airflow ran. Ratios are worth more than
the figures: another machine has other figures. The sandbox stands in for Workato, so there is no network in
any time. [The soak](soak.md) has a page of its own."""

#: The section that `make soak` writes.
SOAK = "Soak"

_FACT = re.compile(r"^\| (?!---)([^|]+) \| ([^|]+) \|$", re.MULTILINE)


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
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        measured = f"Measured {now}; load average of the machine before it began: {load:.1f}."
        self._sections[section.title] = f"{section.markdown()}\n\n{measured}"

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
