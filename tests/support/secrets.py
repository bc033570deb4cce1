"""Credentials that must not show, and everything that an error can show when it is printed."""

from __future__ import annotations

import traceback
from pathlib import Path

SECRET = "t0p-s3cret-apit0ken"
INPUT = {"deep": [{"pwd": SECRET}], "host_name": "acme-s3cret.example"}

_TESTS = str(Path(__file__).parent.parent)


def everything_shown(error: BaseException) -> str:
    """Return every representation of an error and its causes, with the local variables of their tracebacks.

    The frames of the tests are left out, since they hold the secrets themselves.
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
