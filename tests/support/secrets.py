"""What an error would show of itself, wherever somebody prints it."""

from __future__ import annotations

import traceback
from pathlib import Path

_TESTS = str(Path(__file__).parent.parent)


def everything_shown(error: BaseException) -> str:
    """Return all texts of an error and its causes: ``repr``, attributes and tracebacks with local variables.

    The tests' own frames are left out, since they hold what is looked for.
    """
    seen: list[BaseException] = []
    texts: list[str] = []
    queue: list[BaseException | None] = [error]
    while queue:
        item = queue.pop()
        if item is None or item in seen:
            continue
        seen.append(item)
        queue += [item.__cause__, item.__context__]
        texts += [repr(item), str(item), repr(item.args), repr(vars(item))]
        stack = traceback.StackSummary.extract(
            traceback.walk_tb(item.__traceback__), capture_locals=True, lookup_lines=False
        )
        texts += [
            f"{frame.name} {name}={value}"
            for frame in stack
            if not frame.filename.startswith(_TESTS)
            for name, value in (frame.locals or {}).items()
        ]
    return "\n".join(texts)
