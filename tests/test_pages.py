"""The pages that people read: their links lead somewhere, and they agree with the package."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import airflow_provider_workato
from airflow_provider_workato import __version__
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

ROOT = Path(__file__).parent.parent
PACKAGE = Path(airflow_provider_workato.__file__).parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference" / "index.md"
#: What keeps the token in the settings.
INTERNAL = {"Sealed", "Version"}
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


def _classes() -> dict[str, type]:
    """Return every class of the package by its name, without those of the sandbox."""
    modules = [
        importlib.import_module(".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)))
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and not path.is_relative_to(PACKAGE / "sandbox")
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }


def _named_by(kind: type, known: Mapping[str, type]) -> Iterator[type]:
    """Yield the package's classes that the signatures on the page of a class name."""
    # Of the others, the page shows the constructor only.
    methods = inspect.getmembers(kind, inspect.isroutine) if issubclass(kind, WorkatoConnectionsHook) else []
    for name, method in [*methods, ("__init__", kind.__init__)]:  # type: ignore[misc]
        if name == "__init__" or not name.startswith("_"):
            types = " ".join(map(str, getattr(method, "__annotations__", {}).values()))
            yield from (known[word] for word in re.findall(r"\w+", types) if word in known)


def test_every_public_class_has_a_page() -> None:
    """Each class that is named after Workato, and each that the page of such a class names.

    It is in the reference by its module, or by itself. The page of an operator has what its base classes
    define.
    """
    listed = re.findall(r"^   (airflow_provider_workato\.\S+)$", REFERENCE.read_text(), re.MULTILINE)
    assert "airflow_provider_workato.operators.connections" in listed
    known = _classes()
    public = {kind for name, kind in known.items() if name.startswith("Workato")}
    public |= {named for kind in public for named in _named_by(kind, known)}
    public -= {base for kind in public for base in kind.__bases__ if not issubclass(kind, Exception)}
    public -= {known[name] for name in INTERNAL}
    assert {"WorkatoListConnectionsOperator", "ListFilters"} <= {kind.__name__ for kind in public}
    pages = {f"{kind.__module__}.{kind.__qualname__}": kind.__module__ for kind in public}
    assert [name for name, module in pages.items() if module not in listed and name not in listed] == []


def test_every_key_of_a_connection_is_explained(hook: WorkatoConnectionsHook) -> None:
    """The sandbox's connection has the keys of the vendor's description; tests/sandbox checks that."""
    section = REFERENCE.read_text().partition("## A connection\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    (connection,) = hook.list_connections()
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == connection.keys()


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [version for version in versions if version != "Unreleased"]
    assert released[0] == __version__
