"""Run one cell of the fault matrix over real sockets, and record the outcome."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato.exceptions import WorkatoError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.faults.matrix import USUAL, Ending, Fault
from tests.faults.methods import CREDENTIAL, Method, prepare, wanted
from tests.faults.port import refusing_port
from tests.support.secrets import everything_shown

#: The loggers whose lines could show a secret.
LOGGERS = ("airflow_provider_workato", "urllib3")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method with one fault."""

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
    """The outcome of a cell.

    :param error: the error that the method raised.
    :param result: the value that it returned.
    :param did: whether its result and the workspace show that it worked.
    :param calls: the number of requests that the server received, by endpoint.
    :param there: the ids of the connections that the method creates or looks up.
    :param attempts: how often the method announced another attempt.
    :param leaks: the errors and log lines that show the token or the credential.
    """

    error: WorkatoError | None
    result: Any
    did: bool
    calls: dict[str, int]
    there: list[int]
    attempts: int
    leaks: list[str]


def run(cell: Cell, *, sandbox: SandboxProcess, foreign_url: str) -> Outcome:
    """Run a cell. Nothing else may use the sandbox meanwhile.

    :param cell: the cell.
    :param sandbox: the sandbox.
    :param foreign_url: where redirects lead to.
    """
    fault, method, control = cell.fault, cell.method, sandbox.control
    control.reset()
    prepare(control, method)
    error, result = None, None
    with ExitStack() as stack:
        url = sandbox.url
        heard = stack.enter_context(_listening())
        if fault.show.startswith("refused"):
            port = stack.enter_context(refusing_port(sandbox.url))
            url = port.url
            if fault.show == "refused, then up":
                heard.on_announcement = port.open
        else:
            target: dict[str, Any] = {"location": foreign_url} if fault.show == "redirect" else {}
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
    shown = [*heard.lines, repr(result)]
    if error is not None:
        shown.append(everything_shown(error))
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
    """Records what one thread logs, at DEBUG and above."""

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
