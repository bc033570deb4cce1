"""The tables of the matrix: on the terminal, in docs/compatibility.md and, in brief, on other pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tools.matrix.legs import CONSTRAINED, LEGS, LINES, PYTHONS, RELEASES, ROOT
from tools.matrix.outcomes import PASSED, RAN, Outcome

RECORD = ROOT / "docs" / "compatibility.md"
#: Where the pages are that may show the brief table.
FOLDERS = (ROOT, ROOT / "docs")

#: The distributions whose versions the table shows.
SHOWN = {
    "Airflow": "apache-airflow",
    "common-compat": "apache-airflow-providers-common-compat",
    "requests": "requests",
    "urllib3": "urllib3",
}
#: The distributions whose versions Airflow's day decides.
PINNED = {**SHOWN, "msgspec": "msgspec", "tenacity": "tenacity", "FastAPI": "fastapi"}
_BRIEF_HEADINGS = ("Airflow", *(f"Python {python}" for python in PYTHONS))
_HEADINGS = ("Leg", "Python", *SHOWN, "Tests", "Skipped", "Seconds", "Result")
_PINNED_HEADINGS = ("As of", "Python", *PINNED, "Tests", "Skipped", "Seconds", "Result")

_PAGE = """# Compatibility

`make matrix` wrote this page on {day}: what ran, on which versions, and how it ended. Each leg is a new
environment. It ran {tests}.
Tests are skipped where an Airflow version does not have what they are about. The legs `airflow-3.0.0` to
`airflow-3.3-table` ran the waits, creates and watches of a real Airflow instead: see below.

{table}

- `lowest` has the lowest versions that `pyproject.toml` allows, `newest` the newest of everything, without
  constraints. There, every module is also imported with `-W error::DeprecationWarning`.
- The other legs use the [constraints](../constraints) of their Airflow line. Airflow 2.11 and 3.0 do not
  support Python 3.13, and 3.1 does not support 3.14.
- Airflow 3.2 is tested with `svcs` 26.1. With 26.2, `dag.test()` and `airflow dags test` fail in Airflow 3.2
  (`'State' object has no attribute 'svcs_registry'`) unless `[api_auth] jwt_secret` is set. Airflow 3.3
  [does not need the secret](https://github.com/apache/airflow/pull/68980).
- The legs of single patch releases have constraints of their own.
- `wheel` and `sdist` are installed from the built distribution, without the repository: `pip check`,
  `airflow providers get`, the parsing of the example DAGs, the sandbox, and a DAG run against it.

## Under the constraints of each Airflow

Airflow's own constraints, and those of [hosted Airflows](guides/hosted.md), pin what was new when Airflow was
released. Each row is an Airflow with the newest versions of its day, to which the wheel with the extra
`sandbox` was added. That changed none of these versions, `pip check` found no conflict, and the same tests
ran.

{constrained}

- An empty cell: this Airflow does not install it, so the provider or its extra brings the newest.
- `SmtpNotifier` cannot be imported from the smtp provider of the day of Airflow 3.0.0 (2.0.3) and of 3.1.0
  (2.3.0, which imports Airflow's own tests). There, `example_workato_email` needs another version of it.
- `example_workato_approval` and `example_workato_apply` need the standard provider 1.12.2 or later, for
  `response_timeout`. The days of Airflow 3.1.0 and 3.1.8 have an older one.

## What each Airflow can do

On a real Airflow of each release: API server, scheduler, DAG processor, triggerer and PostgreSQL.

{abilities}

- *A change while nothing watches*: the triggerer was killed, and a connection was lost before another one
  started. Airflow has an asset state store, where a watch records its reports, from 3.3 on.
- *Watchers of an asset*: before Airflow 3.3, a watch cannot tell for which asset it reports.
- *The store*: Airflow 3.3.0 and 3.3.1 lack `aget` and `aset`. There, the provider uses `get` and `set`.
- *Read a stored Airflow connection in the triggerer*: on Airflow 3.0.0 to 3.0.2, that can hang the triggerer
  with all its waits. There, the provider reads the connection only from the environment, as in these runs, or
  from a secrets backend. Otherwise the wait fails with an error that says so.
- Airflow 3.0 starts a new watch only when it parses the DAG file for the second time.
"""
_SMOKE = (
    "the tests of imports, metadata, form, example DAGs (one of them run against the sandbox), hook and\n"
    "sensor modes"
)
_EVERYTHING = "all tests that `make test` runs"

Rows = Sequence[Sequence[str]]


def _rows(outcomes: Sequence[Outcome], *, days: bool = False) -> Rows:
    return [
        (
            RELEASES[one.leg.removeprefix("constraints-")] if days else one.leg,
            one.python,
            *(one.versions.get(name, "") for name in (PINNED if days else SHOWN).values()),
            str(one.passed or ""),
            str(one.skipped or ""),
            f"{one.seconds:.0f}" if one.seconds else "",
            one.result,
        )
        for one in outcomes
    ]


def plain(outcomes: Sequence[Outcome]) -> str:
    """Return the table for a terminal.

    :param outcomes: all legs.
    """
    rows = [_HEADINGS, *_rows(outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def markdown(rows: Rows, *, headings: Sequence[str] = _HEADINGS) -> str:
    """Return a table for a page.

    :param rows: its rows.
    :param headings: its first row.
    """
    ruled = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)


def write_record(outcomes: Sequence[Outcome]) -> None:
    """Write what ran to docs/compatibility.md and to the pages with the brief table.

    :param outcomes: all legs.
    """
    names = {leg.name for leg in CONSTRAINED}
    constrained = [one for one in outcomes if one.leg in names]
    outcomes = [one for one in outcomes if one.leg not in names]
    page = _PAGE.format(
        day=datetime.now(tz=UTC).date(),
        tests=_EVERYTHING if all(one.everything for one in outcomes if one.passed) else _SMOKE,
        table=markdown(_rows(outcomes)),
        constrained=markdown(_rows(constrained, days=True), headings=_PINNED_HEADINGS),
        abilities=_abilities(outcomes),
    )
    RECORD.write_text(page)
    record = recorded(RECORD)
    for path in pages_with_table():
        path.write_text(with_table(path.read_text(), record))


def _abilities(outcomes: Sequence[Outcome]) -> str:
    able = [one for one in outcomes if one.abilities]
    # A column for each Airflow. The newest has all the rows.
    rows = [
        (name, *(one.abilities.get(name, "") for one in able))
        for name in (able[-1].abilities if able else ())
    ]
    return markdown(rows, headings=("", *(one.versions[SHOWN["Airflow"]] for one in able)))


def recorded(page: Path, *, by: str = _HEADINGS[0]) -> dict[str, dict[str, str]]:
    """Read a table of docs/compatibility.md, by its first column.

    :param page: the page.
    :param by: that column's heading.
    """
    text = page.read_text()
    start = text.index(f"| {by} |")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text[start : text.index("\n\n", start)].splitlines()
    ]
    headings, _, *legs = rows
    return {row[0]: dict(zip(headings, row, strict=True)) for row in legs}


def pages_with_table() -> list[Path]:
    """Return the pages with the brief table, for example the README."""
    heading = markdown([], headings=_BRIEF_HEADINGS)
    pages = [path for folder in FOLDERS for path in sorted(folder.glob("*.md"))]
    return [path for path in pages if heading in path.read_text()]


def brief_table(record: dict[str, dict[str, str]]) -> str:
    """Return the brief table: one row for each Airflow, one column for each Python.

    :param record: the table of docs/compatibility.md.
    """
    legs = {(leg.line, leg.python): record.get(leg.name, {}) for leg in LEGS if leg.line}
    rows = [
        [
            next(
                (row["Airflow"] for python in LINES[line] if (row := legs[line, python]).get("Airflow")), line
            ),
            *(_mark(legs.get((line, python))) for python in PYTHONS),
        ]
        for line in LINES
    ]
    return markdown(rows, headings=_BRIEF_HEADINGS)


def with_table(page: str, record: dict[str, dict[str, str]]) -> str:
    """Return *page* with its brief table replaced by the current one.

    :param page: the text of a page.
    :param record: the table of docs/compatibility.md.
    :raises ValueError: if the page has no such table.
    """
    start = page.index(markdown([], headings=_BRIEF_HEADINGS))
    return page[:start] + brief_table(record) + page[page.index("\n\n", start) :]


def _mark(row: dict[str, str] | None) -> str:
    if row is None:
        return "not supported by Airflow"
    result = row.get("Result")
    if result == PASSED:
        return "tested"
    return "failed" if result in RAN else "not tested"
