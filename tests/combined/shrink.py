"""Shrink a history that fails to the steps that are needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.combined.steps import Step

if TYPE_CHECKING:
    from tests.combined.cli import Company


def shrunk(
    company: Company, history: Sequence[Step], *, seed: int, outcome: dict[str, Any], seconds: float
) -> tuple[list[Step], dict[str, Any]]:
    """Return the shortest part found of a history that breaks the same promise, and its outcome.

    :param company: the players for the parts.
    :param history: the steps up to the one that showed the failure.
    :param seed: the play's seed.
    :param outcome: the outcome of the whole history.
    :param seconds: how long to try.
    """
    until = time.monotonic() + seconds
    best, last = list(history), outcome
    size = max(1, len(best) // 2)
    while size:
        parts = [(best[:i] + best[i + size :]) for i in range(0, len(best), size)]
        # Some failures show only in a quiet at the end.
        jobs = [(part, [*part, {"do": "quiet"}], seed) for part in parts if part and len(part) < len(best)]
        shorter = None
        for part, tried in company.play(jobs, until=until):
            if tried["kind"] == outcome["kind"] and (shorter is None or len(part) < len(shorter)):
                shorter, last = part[: tried["steps"]], tried
        if time.monotonic() > until:
            return shorter or best, last
        if shorter is not None:
            best = shorter
            size = min(size, max(1, len(best) // 2))
        else:
            size //= 2
    return best, last
