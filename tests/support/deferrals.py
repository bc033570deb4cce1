"""Run an operator through its deferrals, each in a fresh object as in a new process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support.sdk import TaskDeferred
from tests.support.tasks import TaskInstance, deferred_instance
from tests.support.waits import own_poll, resume_with, shared_poll


def run_through(make: Callable[..., Any], ti: TaskInstance, *, in_runner: bool = False) -> Any:
    """Execute a deferrable operator to its end and return its result.

    :param make: makes the operator, once for each process in which it would run.
    :param ti: the task instance that receives its XComs.
    :param in_runner: wait in the trigger runner of Airflow 3.3.
    """
    method = ""
    arguments: dict[str, Any] = {}
    while True:
        operator = make(deferrable=True)
        try:
            if method:
                return operator.resume_execution(method, arguments, ti.context)
            return operator.execute(ti.context)
        except TaskDeferred as deferral:
            trigger = deferral.trigger
            fired = asyncio.run(shared_poll(trigger, deferred_instance()) if in_runner else own_poll(trigger))
            method, arguments = resume_with(fired, deferral.method_name)
