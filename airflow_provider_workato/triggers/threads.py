"""Work beside a triggerer's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run a blocking function beside the loop.

    The pool behind ``asyncio.to_thread`` is joined when a loop ends: a triggerer could not stop before
    the last call has had its turn and its answer.

    :param function: what to run.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # Nobody is left to be told once the loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            settle(partial(future.set_exception, error))
        else:
            settle(partial(future.set_result, result))

    threading.Thread(target=run, name="workato-poll", daemon=True).start()
    return future
