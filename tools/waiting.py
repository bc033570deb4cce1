"""Wait for a condition, not for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_until(probe: Callable[[], T | None], *, what: str, deadline: float, interval: float = 0.2) -> T:
    """Call *probe* until it gives something true, and return that.

    :param probe: what to ask.
    :param what: what is waited for, for the error.
    :param deadline: seconds after which to give up.
    :param interval: seconds between two calls.
    :raises TimeoutError: if it stayed false.
    """
    end = time.monotonic() + deadline
    while not (found := probe()):
        if time.monotonic() > end:
            raise TimeoutError(f"gave up after {deadline:g} s waiting for {what}")
        time.sleep(interval)
    return found
