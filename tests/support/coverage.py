"""Run Airflow without measuring coverage, which makes its own code two to three times slower."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

#: With this variable, a new process measures its coverage.
_MEASURED = "COVERAGE_PROCESS_CONFIG"


@contextmanager
def unmeasured() -> Iterator[None]:
    """Measure no coverage of what runs in this block, or in processes that it starts."""
    if _MEASURED not in os.environ:
        yield
        return
    from coverage import Coverage

    stopped = []
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(_MEASURED)
        # Where tests run in parallel, a second one goes on as soon as the first stops.
        while (current := Coverage.current()) is not None:
            current.stop()
            stopped.append(current)
        try:
            yield
        finally:
            for one in reversed(stopped):
                one.start()
