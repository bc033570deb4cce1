"""How the benchmarks' report judges a goal, and the order in which contenders take turns."""

from __future__ import annotations

import json

import pytest

from tools.bench.measure import alternate, fresh_process, in_turn
from tools.bench.report import Document, Row, Section, Table, compared, exact, megabytes, milliseconds, times


def section(*rows: Row) -> Section:
    return Section(
        title="Waiting", method="How.", tables=[Table(title="Ten", columns=["ours", "theirs"], rows=rows)]
    )


ROWS = (
    Row(label="calls", values=["6", "60"], goal="<= 7", met=True),
    Row(label="memory", values=["9 MB", "10 MB"], goal="<= 0.1 x", met=False),
    Row(label="seconds", values=["1"]),
)


def test_a_row_shows_its_goal_and_what_became_of_it() -> None:
    assert section(*ROWS).markdown().splitlines()[-5:] == [
        "|  | ours | theirs | goal | result |",
        "| --- | ---: | ---: | --- | --- |",
        "| calls | 6 | 60 | <= 7 | met |",
        "| memory | 9 MB | 10 MB | <= 0.1 x | **missed** |",
        "| seconds | 1 |  |  |  |",
    ]


@pytest.mark.parametrize(
    ("goal", "shown", "met"),
    [
        ({"share": 0.5}, "<= 0.5 x", True),
        ({"share": 0.4}, "<= 0.4 x", False),
        ({"most": 1e6}, "<= 1.0 MB", True),
        ({"most": 9e5}, "<= 0.9 MB", False),
        ({}, "", None),
    ],
)
def test_a_measure_is_judged_beside_the_other_or_by_itself(
    goal: dict[str, float], shown: str, met: bool | None
) -> None:
    row = compared("memory", 1e6, 2e6, show=megabytes, **goal)
    assert row == Row(label="memory", values=["1.0 MB", "2.0 MB", "0.50 x"], goal=shown, met=met)


@pytest.mark.parametrize(("counts", "met"), [((3, 3), True), ((3, 2), False)])
def test_a_number_has_to_be_reached_by_all(counts: tuple[int, ...], met: bool) -> None:
    assert exact("made", *counts, goal=3).met is met


def test_what_was_missed_is_named() -> None:
    document = Document(facts=[])
    document.put(section(*ROWS), load=1)
    assert "\nMissed: Waiting: memory.\n" in document.markdown()


def test_a_section_can_be_added_without_the_facts_of_the_others() -> None:
    document = Document(facts=[("machine", "2 cores"), ("Python", "3.13")])
    document.put(Section(title="One", method="How.", tables=[]), load=1)
    later = Document(document.markdown())
    later.put(Section(title="Two", method="How.", tables=[]), load=1)
    assert later.markdown().startswith(document.markdown().partition("\n## ")[0])


def test_a_later_run_replaces_its_own_section_only() -> None:
    document = Document(facts=[])
    for title in ("One", "Two", "Three"):
        document.put(Section(title=title, method=f"first {title}", tables=[]), load=1)
    later = Document(document.markdown(), facts=[])
    later.put(Section(title="Two", method="second Two", tables=[]), load=1)
    text = later.markdown()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## One", "## Two", "## Three"]
    assert [name in text for name in ("first One", "first Two", "second Two", "first Three")] == [
        True,
        False,
        True,
        True,
    ]
    assert "\nAll goals were met.\n" in text


def test_a_whole_run_leaves_no_section_of_an_earlier_version() -> None:
    document = Document(facts=[])
    for title in ("Renamed since", "Soak", "One"):
        document.put(Section(title=title, method="How.", tables=[]), load=1)
    document.keep(["One", "Two", "Soak"])
    text = document.markdown()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## One", "## Soak"]


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [(1, 100, "0.010 x"), (1, 2, "0.50 x"), (12_000, 6, "2,000 x"), (1, 0, "-")],
)
def test_ratios(first: float, second: float, text: str) -> None:
    assert times(first, second) == text


def test_units() -> None:
    assert milliseconds(0.00123) == "1.23 ms"
    assert milliseconds(1.5) == "1,500 ms"
    assert megabytes(1_500_000) == "1.5 MB"


def test_each_contender_is_once_the_first() -> None:
    assert [in_turn(["a", "b", "c"], number)[0] for number in range(3)] == ["a", "b", "c"]
    called: list[str] = []
    taken = alternate({name: lambda name=name: called.append(name) for name in "ab"}, rounds=2, calls=2)  # type: ignore[misc]
    assert called == ["a", "a", "b", "b", "b", "b", "a", "a"]
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 4, "b": 4}


def test_a_fresh_process_gives_what_it_printed_last() -> None:
    program = f"print('noise'); print({json.dumps(json.dumps({'seconds': [1]}))})"
    assert fresh_process("-c", program) == {"seconds": [1]}


def test_a_fresh_process_that_fails_tells_why() -> None:
    with pytest.raises(RuntimeError, match="no such contender"):
        fresh_process("-c", "raise SystemExit('no such contender')")
