"""The pages that people read: their links lead somewhere, and they agree with the package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_workato
from airflow_provider_workato import __version__

ROOT = Path(__file__).parent.parent
PACKAGE = Path(airflow_provider_workato.__file__).parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference" / "index.md"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links, outside of its code."""
    yield from _LINK.findall(_CODE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """Return the fragments that a code host gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    dead = []
    for link in links(page):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize(
    "page",
    [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))],
    ids=lambda page: page.stem,
)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`([\w./-]+(?:\.py|\.md|/))`", page.read_text())
    assert [name for name in named if not any((root / name).exists() for root in (ROOT, PACKAGE))] == []


def test_every_public_class_has_a_page() -> None:
    """Each class that is named after Workato is in the reference: by its module, or by itself."""
    listed = re.findall(r"^   (airflow_provider_workato\.\S+)$", REFERENCE.read_text(), re.MULTILINE)
    missing = [
        f"{module}.{name}"
        for path in PACKAGE.rglob("*.py")
        for module in [".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts))]
        for name in re.findall(r"^class (Workato\w+)", path.read_text(), re.MULTILINE)
        if module not in listed and f"{module}.{name}" not in listed
    ]
    assert missing == []
    assert "airflow_provider_workato.operators.connections" in listed


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [version for version in versions if version != "Unreleased"]
    assert released[0] == __version__
