"""Screenshots of the pages, some of which the documentation shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Locator, Page

_ROOT = Path(__file__).parents[2]
FOLDER = _ROOT / "build" / "screenshots"
DOCS_FOLDER = _ROOT / "docs" / "images"

#: Those that the documentation shows.
IN_DOCS = {
    "workspace",
    "workspace-dark",
    "workspace-phone",
    "connection-form",
    "connection-form-extras",
    "consent",
    "waiting-task",
    "log",
    "plan",
}
#: In bytes. The log of a wait is the largest: Airflow writes the event that resumes the task into it.
_MAX_SIZE = 200_000
_MARGIN = 16


def around(shown: Locator) -> FloatRect:
    """Return the part of a page that shows this, with a margin.

    :param shown: what to show
    """
    box = _box(shown)
    return {
        "x": box["x"] - _MARGIN,
        "y": box["y"] - _MARGIN,
        "width": box["width"] + 2 * _MARGIN,
        "height": box["height"] + 2 * _MARGIN,
    }


def down_to(last: Locator, *, of: Locator, margin: float = 0) -> FloatRect:
    """Return the upper part of something on a page.

    :param last: what it ends below
    :param of: what to show a part of
    :param margin: how far below
    """
    box, end = _box(of), _box(last)
    return {**box, "height": end["y"] + end["height"] + margin - box["y"]}


def _box(shown: Locator) -> FloatRect:
    box = shown.bounding_box()
    assert box is not None
    return box


class Screenshots:
    """Takes the screenshots of a run.

    :param update_docs: whether to copy those that the documentation shows
    """

    def __init__(self, *, update_docs: bool) -> None:
        self._update_docs = update_docs
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)

    def take(self, shown: Page | Locator, name: str, **options: Any) -> None:
        """Write a screenshot.

        :param shown: what to show
        :param name: the file's name, without its ending
        :param options: those of Playwright
        """
        path = FOLDER / f"{re.sub(r'[^a-z0-9-]+', '-', name)}.png"
        shown.screenshot(path=path, animations="disabled", caret="hide", **options)
        if name in IN_DOCS:
            assert path.stat().st_size < _MAX_SIZE, f"{name} is too large for the documentation"
            if self._update_docs:
                DOCS_FOLDER.mkdir(exist_ok=True)
                shutil.copy(path, DOCS_FOLDER)
