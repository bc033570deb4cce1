"""Calls that are held until they are released."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_workato.sandbox.traffic.request_log import LoggedRequest


@dataclass(eq=False, kw_only=True)
class Hold:
    """A held call."""

    entry: LoggedRequest
    performed: bool
    since: float = field(default_factory=time.monotonic)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Holds:
    """The calls that are held now."""

    def __init__(self) -> None:
        self._held: list[Hold] = []

    @contextmanager
    def holding(self, *, entry: LoggedRequest, performed: bool) -> Iterator[Hold]:
        """List a call as held while the block runs.

        :param entry: the call's entry in the request log.
        :param performed: whether it has been carried out.
        """
        hold = Hold(entry=entry, performed=performed)
        self._held.append(hold)
        try:
            yield hold
        finally:
            self._held.remove(hold)

    def release(self) -> int:
        """Let all held calls go on and return their number."""
        waiting = [hold for hold in self._held if not hold.released.is_set()]
        for hold in waiting:
            hold.released.set()
        return len(waiting)

    def describe(self) -> list[dict[str, Any]]:
        """Return the held calls, oldest first."""
        return [
            {
                "seq": hold.entry.seq,
                "operation": hold.entry.operation,
                "path": hold.entry.path,
                "performed": hold.performed,
                "held_for": time.monotonic() - hold.since,
            }
            for hold in self._held
        ]
