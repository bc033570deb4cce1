"""Make links between files of the repository work in the built pages.

On a code host, a page links to any file. Of these the site has the pages, their images, the example DAGs and
the files that a page includes as a whole. Any other link becomes the file's path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

#: Files outside of the pages' folder that a page shows.
SHOWN_BY = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "airflow_provider_workato/sandbox/GUESSES.md": "guesses.md",
    "example_dags": "examples.md",
}

_INCLUDE = re.compile(r"^```\{include\} (?P<path>\S+)\n```$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<label>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def rewritten(text: str, *, folder: Path, page: Path) -> str:
    """Return Markdown whose links lead to pages.

    :param text: the Markdown.
    :param folder: where its links start.
    :param page: the page that will show it.
    """

    def link(found: re.Match[str]) -> str:
        target, label = found["target"], found["label"]
        path, hash_, fragment = target.partition("#")
        if "://" in target or not path:
            return found[0]
        file = Path(os.path.normpath(folder / path))
        shown = _page_of(file)
        if shown is None:
            name = f"`{file.relative_to(ROOT)}`"
            return name if label.strip("`") == name.strip("`") else f"{label} ({name})"
        if file.suffix == ".py":
            hash_, fragment = "#", file.stem
        return f"[{label}]({os.path.relpath(shown, page.parent)}{hash_}{fragment})"

    return _LINK.sub(link, text)


def _page_of(file: Path) -> Path | None:
    if file.is_relative_to(DOCS):
        if file.is_dir():
            file /= "README.md"
        return file if file.suffix == ".md" or file.parent == DOCS / "images" else None
    name = file.relative_to(ROOT)
    shown = SHOWN_BY.get(str(name)) or SHOWN_BY.get(str(name.parent))
    return None if shown is None else DOCS / shown


def _on_source(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    text = rewritten(source[0], folder=page.parent, page=page)

    def included(found: re.Match[str]) -> str:
        path = Path(os.path.normpath(page.parent / found["path"]))
        return rewritten(path.read_text(encoding="utf-8"), folder=path.parent, page=page)

    source[0] = _INCLUDE.sub(included, text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _on_source)
    return {"parallel_read_safe": True, "version": "1"}
