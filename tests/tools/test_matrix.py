"""The compatibility matrix: what it says it runs is there, and what it found is what the pages say."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from airflow_provider_workato import __version__
from tools.matrix.distributions import UnfitError, _compare, check_release, not_released
from tools.matrix.legs import CONSTRAINED, LEGS, LINES, PATCHES, PYTHONS, RELEASES, ROOT, SMOKE, Leg, newest
from tools.matrix.outcomes import (
    FAILED,
    NO_INTERPRETER,
    NOT_INSTALLABLE,
    NOT_RUN,
    PASSED,
    Outcome,
    load,
    read,
    recording,
)
from tools.matrix.table import (
    PINNED,
    RECORD,
    brief_table,
    pages_with_table,
    plain,
    recorded,
    with_table,
    write_record,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("test", SMOKE)
def test_the_chosen_tests_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}" in (ROOT / path).read_text()


def pins(leg: Leg) -> list[str]:
    return re.findall(r"^apache-airflow==([\d.]+)$", (ROOT / leg.constraints).read_text(), re.MULTILINE)


@pytest.mark.parametrize("leg", [leg for leg in LEGS if leg.line], ids=lambda leg: leg.name)
def test_a_leg_has_the_constraints_of_its_airflow(leg: Leg) -> None:
    assert [pin.rpartition(".")[0] for pin in pins(leg)] == [leg.line]


def test_a_leg_of_a_patch_release_has_its_constraints() -> None:
    patches = [leg for leg in LEGS if leg.on_airflow and not leg.name.endswith("-table")]
    assert [pins(leg) for leg in patches] == [[patch] for patch in PATCHES]
    assert [leg.name for leg in patches] == [f"airflow-{patch}" for patch in PATCHES]


def test_every_python_that_is_promised_is_tested() -> None:
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(promised) == PYTHONS
    assert {python for pythons in LINES.values() for python in pythons} == set(PYTHONS)


def test_the_record_has_every_leg() -> None:
    record = recorded(RECORD)
    assert list(record) == [*(leg.name for leg in LEGS), "wheel", "sdist"]


def test_every_line_is_tested_under_the_constraints_of_its_first_and_last_release() -> None:
    last = [pins(leg)[0] for leg in (newest(line, found=()) for line in LINES)]
    both = [release for patch in last for release in (f"{patch.rpartition('.')[0]}.0", patch)]
    assert list(RELEASES) == [leg.release for leg in CONSTRAINED] == both
    assert list(recorded(RECORD, by="As of")) == list(RELEASES.values())


def test_no_floor_is_above_what_an_airflow_pins() -> None:
    """Otherwise the provider cannot be installed under that Airflow's constraints."""
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["sandbox"]]
    floors = {each.name: each.specifier for each in map(Requirement, wanted)}
    columns = {heading: name for heading, name in PINNED.items() if name in floors}
    assert {"msgspec", "requests", "tenacity", "urllib3", "FastAPI"} < set(columns)
    for day, row in recorded(RECORD, by="As of").items():
        for heading, name in columns.items():
            assert not row[heading] or row[heading] in floors[name], f"{name} of {day}"


def test_the_pages_say_what_the_matrix_ran() -> None:
    pages = {path: path.read_text() for path in pages_with_table()}
    assert ROOT / "README.md" in pages
    assert {path: with_table(page, recorded(RECORD)) for path, page in pages.items()} == pages


def test_a_leg_that_failed_or_did_not_run_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"airflow-3.0-python-3.11": FAILED, "airflow-3.1-python-3.12": NO_INTERPRETER}
    outcomes = [
        Outcome(
            leg=leg.name,
            result=results.get(leg.name, PASSED),
            python=leg.python,
            versions={"apache-airflow": f"{leg.line}.9"},
            passed=300,
            abilities={"Watch": "yes"} if leg.on_airflow else {},
        )
        for leg in LEGS
    ]
    for name, result in results.items():
        assert re.search(rf"^{re.escape(name)} .* {result}$", plain(outcomes), re.MULTILINE)
    monkeypatch.setattr("tools.matrix.table.RECORD", tmp_path / "page.md")
    monkeypatch.setattr("tools.matrix.table.FOLDERS", [tmp_path])
    (tmp_path / "readme.md").write_text(f"Before\n\n{brief_table({})}\n\nAfter\n")
    write_record(outcomes)
    assert list(recorded(tmp_path / "page.md")) == [leg.name for leg in LEGS]
    assert "| Watch | yes | yes | yes | yes | yes | yes |" in (tmp_path / "page.md").read_text()
    shown = (tmp_path / "readme.md").read_text().splitlines()
    assert (shown[0], shown[-1]) == ("Before", "After")
    assert "| 3.0.9 | failed | tested | not supported by Airflow | not supported by Airflow |" in shown
    assert "| 3.1.9 | tested | not tested | tested | not supported by Airflow |" in shown
    assert NOT_RUN not in plain(outcomes)


def test_a_leg_has_passed_only_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.matrix.outcomes.FOLDER", tmp_path)
    with recording("good"):
        assert load(["good"])[0].result == NOT_RUN
    with suppress(ZeroDivisionError), recording("broken"):
        raise ZeroDivisionError
    with suppress(RuntimeError), recording("refused") as entry:
        entry.note(result=NOT_INSTALLABLE)
        raise RuntimeError
    results = [outcome.result for outcome in load(["good", "broken", "refused"])]
    assert results == [PASSED, FAILED, NOT_INSTALLABLE]


def test_the_distributions_take_the_newest_python_there_is() -> None:
    pythons = [newest("3.3", found=found).python for found in (PYTHONS, {"3.11", "3.12"}, {"3.11"}, ())]
    assert pythons == ["3.14", "3.12", "3.11", "3.14"]
    assert newest("2.11", found=PYTHONS).name == "airflow-2.11-python-3.12"


def test_a_report_is_read(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="12" skipped="3" failures="2" errors="1">'
        '<properties><property name="Watch" value="yes"/></properties></testsuite></testsuites>'
    )
    assert read(report) == {"passed": 6, "skipped": 3, "abilities": {"Watch": "yes"}}


def test_a_stray_file_is_refused() -> None:
    with pytest.raises(UnfitError, match=r"Stray: \['tests/test_x.py'\]. Missing: \['py.typed'\]"):
        _compare(Path("a.whl"), {"a.py", "tests/test_x.py"}, {"a.py", "py.typed"})


def test_another_tag_is_no_release_of_this_version() -> None:
    with pytest.raises(UnfitError, match=r"The tag is v9.9.9, the package's version"):
        check_release("v9.9.9")


def test_every_page_says_how_to_install_what_is_not_released() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    install = re.compile(r"pip install .*airflow-provider-workato")
    installing = [str(page.relative_to(ROOT)) for page in pages if install.search(page.read_text())]
    unreleased = f"## [{__version__}] - Unreleased" in (ROOT / "CHANGELOG.md").read_text()
    assert not_released() == (installing if unreleased else [])


def test_ci_runs_what_github_runs() -> None:
    steps = set(re.findall(r"^\s*step ([\w.-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    listed = set(
        re.findall(r"^ {10}- ([\w.-]+)$", (ROOT / ".github/workflows/ci.yml").read_text(), re.MULTILINE)
    )
    # GitHub's machines have the services, or the workflow installs them.
    assert steps - listed == {"services"}
    targets = set(re.findall(r"^([a-z][\w.-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for name in listed if not name.startswith("test-airflow-")} <= targets
