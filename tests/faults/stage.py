"""Plays one cell of the fault matrix over real sockets and tells what happened."""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato.exceptions import WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.faults.doors import Stranger, closed_door
from tests.faults.matrix import USUAL, Ending, Fault
from tests.faults.methods import CREDENTIAL, Method, prepare, wanted

#: Whoever could show a secret in its log lines.
LOGGERS = ("airflow_provider_workato", "urllib3")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A method that meets a fault."""

    method: Method
    fault: Fault

    @property
    def id(self) -> str:
        return f"{self.method.name} x {self.fault.name}"

    @property
    def expected(self) -> Ending:
        return self.fault.ending(self.method.kind)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened.

    :param error: what the method raised
    :param result: what it returned
    :param did: whether its result and the workspace show that it did its work
    :param calls: requests that the server saw, by endpoint
    :param there: the connections that the method makes or looks for
    :param attempts: how often the method announced another attempt
    :param leaks: what of its errors and logs shows the token or the credential
    """

    error: WorkatoError | None
    result: Any
    did: bool
    calls: dict[str, int]
    there: list[int]
    attempts: int
    leaks: list[str]


def play(cell: Cell, *, sandbox: SandboxProcess, stranger: Stranger) -> Outcome:
    """Play a cell; nobody else may use the sandbox meanwhile.

    :param cell: which
    :param sandbox: the Workato
    :param stranger: where a redirect leads
    """
    fault, method, control = cell.fault, cell.method, sandbox.control
    control.reset()
    prepare(control, method)
    error, result = None, None
    with ExitStack() as stack:
        url = sandbox.url
        heard = stack.enter_context(_listening())
        if fault.show.startswith("refused"):
            door = stack.enter_context(closed_door(sandbox.url))
            url = door.url
            if fault.show == "refused, then up":
                heard.on_announcement = door.open
        else:
            target: dict[str, Any] = {"location": stranger.url} if fault.show == "redirect" else {}
            control.add_fault(
                fault.show,
                operation=method.operation,
                times=fault.times,
                performed=fault.carried_out,
                **fault.parameters,
                **target,
            )
        hook = stack.enter_context(_hook(url=url, token=sandbox.token, fault=fault))
        try:
            result = method.call(hook)
        except WorkatoError as raised:
            error = raised
    rows = control.connections()
    shown = [*heard.lines, *_faces(error), repr(result)]
    return Outcome(
        error=error,
        result=result,
        did=error is None and method.did(result, rows),
        calls=control.counts()["by_operation"],
        there=wanted(rows),
        attempts=heard.announcements,
        leaks=[text for text in shown if sandbox.token in text or CREDENTIAL in text],
    )


@contextmanager
def _hook(*, url: str, token: str, fault: Fault) -> Iterator[WorkatoConnectionsHook]:
    conn_id = f"faults_{threading.get_ident()}"
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    extra = {**USUAL, **fault.extras}
    os.environ[variable] = json.dumps(
        {"conn_type": "workato", "host": url, "password": token, "extra": extra}
    )
    hook = WorkatoConnectionsHook(conn_id)
    try:
        yield hook
    finally:
        hook.close()
        del os.environ[variable]


class _Listener(logging.Handler):
    """Hears what one thread logs, from DEBUG on."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.lines: list[str] = []
        self.announcements = 0
        self.on_announcement: Callable[[], None] = lambda: None
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        text = record.getMessage()
        self.lines.append(text)
        if "Trying again in" in text:
            self.announcements += 1
            self.on_announcement()


@contextmanager
def _listening() -> Iterator[_Listener]:
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        yield listener
    finally:
        for logger in loggers:
            logger.removeHandler(listener)


def _faces(error: WorkatoError | None) -> list[str]:
    """Return an error in every form in which it can be shown."""
    if error is None:
        return []
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    # The first frame is our own, and we know the token.
    told.stack = traceback.StackSummary.from_list(list(told.stack)[1:])
    return [str(error), repr(error), repr(vars(error)), "".join(told.format())]
