"""Wait for a condition, not for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    *,
    deadline: float = 30.0,
    what: str = "the condition",
    interval: float = 0.02,
) -> T:
    """Call *condition* until it returns something true, and return that.

    :param condition: the function to call.
    :param deadline: seconds after which to give up.
    :param what: the condition in words, for the error.
    :param interval: seconds between two calls.
    :raises TimeoutError: if nothing true came before the deadline.
    """
    end = time.monotonic() + deadline
    while not (answer := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {deadline:g} s")
        time.sleep(interval)
    return answer
