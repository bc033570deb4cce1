"""The pool of sandboxes that runs the fault matrix, and the summary line with its size."""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.faults.methods import CREDENTIAL, SECRETS
from tests.faults.run import LOGGERS, Cell, Outcome, run
from tests.support.listener import Listener, listening

#: A cell spends most of its time waiting, so there are more sandboxes than processors.
SANDBOXES = 12


@pytest.fixture(scope="session")
def foreign() -> Iterator[Listener]:
    """The server that redirects lead to."""
    with listening() as listener:
        # Another host name than the sandbox's: a client may trust other ports of the same host.
        listener.url = f"{listener.url.replace('127.0.0.1', 'localhost')}/elsewhere"
        yield listener


@pytest.fixture(scope="module")
def everything_logged() -> Iterator[None]:
    """Log at DEBUG level, but not to the screen."""
    before = {logger: (logger.level, logger.propagate) for logger in map(logging.getLogger, LOGGERS)}
    for logger in before:
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(
            f"AIRFLOW_CONN_{SECRETS.upper()}", json.dumps({"conn_type": "generic", "password": CREDENTIAL})
        )
        # Without it, a set looks for no fingerprints, which only a task can read.
        environment.setenv("AIRFLOW__CORE__FERNET_KEY", "")
        yield
    for logger, (level, propagate) in before.items():
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, foreign: Listener, everything_logged: None
) -> Iterator[Callable[[Cell], Outcome]]:
    """The outcome of a cell. All selected cells run in parallel, each on its own sandbox."""
    given = [getattr(item, "callspec", None) for item in request.session.items]
    params = [callspec.params.get("cell") for callspec in given if callspec is not None]
    cells = [cell for cell in params if isinstance(cell, Cell)]
    free: queue.SimpleQueue[SandboxProcess] = queue.SimpleQueue()
    outcomes: dict[str, Future[Outcome]] = {}

    def run_on_a_free_one(cell: Cell) -> Outcome:
        sandbox = free.get()
        try:
            return run(cell, sandbox=sandbox, foreign_url=foreign.url)
        finally:
            free.put(sandbox)

    sandboxes = [SandboxProcess("--no-quota") for _ in range(min(SANDBOXES, len(cells)))]
    with ThreadPoolExecutor(SANDBOXES) as pool:
        try:
            list(pool.map(SandboxProcess.start, sandboxes))
            for sandbox in sandboxes:
                free.put(sandbox)
            outcomes = {cell.id: pool.submit(run_on_a_free_one, cell) for cell in cells}
            yield lambda cell: outcomes[cell.id].result()
        finally:
            for future in outcomes.values():
                future.cancel()
            list(pool.map(SandboxProcess.stop, sandboxes))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of cells."""
    held = {
        outcome: sum("::test_cell[" in report.nodeid for report in terminalreporter.stats.get(outcome, []))
        for outcome in ("passed", "failed", "error")
    }
    total = sum(held.values())
    if total:
        terminalreporter.write_line(
            f"fault matrix: {total} cells (method x fault) over real sockets, {held['passed']} held"
        )
