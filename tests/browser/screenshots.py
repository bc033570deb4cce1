"""Screenshots of the pages, some of which the documentation shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_ROOT = Path(__file__).parents[2]
FOLDER = _ROOT / "build" / "screenshots"
DOCS_FOLDER = _ROOT / "docs" / "images"

#: Those that the documentation shows.
IN_DOCS = {
    "workspace",
    "workspace-dark",
    "workspace-phone",
    "connection-form",
    "consent",
    "waiting-task",
    "log",
}
_MAX_SIZE = 150_000


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
