"""The page about a soak shows which goals were met, and the benchmarks show the same figures."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from tools.bench.report import Document
from tools.soak.memory import Memory
from tools.soak.play import Outcome
from tools.soak.report import page, passed, section


class Steady:
    """Memory that does not grow."""

    def median(self, name: str, *, start: float, end: float) -> float:
        return 1e6


GOOD = Outcome(seconds=1800, waits=1500, waits_at_once=[10, 460, 500], minutes=[20, 59], polls=400, calls=700)


def found(outcome: Outcome, *, minutes: float = 30) -> str:
    made = section(outcome, cast("Memory", Steady()), minutes=minutes, waits=500, ended=[])
    text = page(made, load=1)
    assert passed(made) == ("**missed**" not in text)
    return text


def test_the_page_and_the_benchmarks_show_the_same_figures() -> None:
    made = section(GOOD, cast("Memory", Steady()), minutes=30, waits=500, ended=[])
    document = Document("# Benchmarks\n\n## A call\n\nHow.\n", facts=[])
    document.put(made, load=1)
    text = document.markdown()
    rows = [line for line in page(made, load=1).splitlines() if line.startswith("| ")]
    assert len(rows) > 20
    assert [line for line in rows if line not in text] == []
    assert "\n## A call\n" in text
    headings = [line for line in found(GOOD).splitlines() if line.startswith("#")]
    assert headings == ["# Soak", "## Figures", "## Memory"]


@pytest.mark.parametrize(
    ("outcome", "missed"),
    [
        (GOOD, []),
        (replace(GOOD, waits_at_once=[294]), ["most waits at once"]),
        (replace(GOOD, minutes=[61]), ["most list calls in a minute"]),
        (replace(GOOD, refused=71), ["calls refused with 429, without those of faults"]),
        (replace(GOOD, failed_beside=1), ["tasks started by the watches that failed"]),
    ],
)
def test_a_goal_that_was_missed_is_shown(outcome: Outcome, missed: list[str]) -> None:
    lines = [line for line in found(outcome).splitlines() if line.endswith("| **missed** |")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == missed


def test_a_short_soak_need_not_have_started_all_waits() -> None:
    assert "**missed**" not in found(replace(GOOD, waits_at_once=[90]), minutes=5)
