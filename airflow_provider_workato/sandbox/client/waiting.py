"""Wait for a condition, not for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.02
_GROWTH = 1.5


def wait_until(
    condition: Callable[[], T | None],
    *,
    deadline: float = 30.0,
    what: str = "the condition",
    interval: float = 0.2,
) -> T:
    """Call *condition* until it returns a true value, and return that value.

    The pauses between calls start at 20 ms and grow, so that a short wait ends soon and a long one is cheap.

    :param condition: the function to call.
    :param deadline: seconds after which to give up.
    :param what: what is waited for, for the error message.
    :param interval: the longest pause between two calls, in seconds.
    :raises TimeoutError: if the condition is still false at the deadline.
    """
    end = time.monotonic() + deadline
    pause = min(_FIRST_PAUSE, interval)
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"gave up after {deadline:g} s waiting for {what}")
        time.sleep(pause)
        pause = min(pause * _GROWTH, interval)
    return result
