"""Run an operator through its deferrals, each in a fresh object as in a new process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support.sdk import TaskDeferred
from tests.support.supervisor import supervised
from tests.support.tasks import TaskInstance, deferred_instance
from tests.support.waits import own_poll, resume_with, shared_poll


def run_through(make: Callable[..., Any], ti: TaskInstance, *, end_in_trigger: bool = False) -> Any:
    """Execute a deferrable operator to its end and return its result.

    :param make: makes the operator, once for each process in which it would run.
    :param ti: the task instance that receives its XComs.
    :param end_in_trigger: use the trigger runner of Airflow 3.3, which may end the task.
    """
    method = ""
    arguments: dict[str, Any] = {}
    while True:
        operator = make(deferrable=True, end_in_trigger=end_in_trigger)
        try:
            if method:
                return operator.resume_execution(method, arguments, ti.context)
            return operator.execute(ti.context)
        except TaskDeferred as deferral:
            if end_in_trigger:
                fired = _fire_in_runner(deferral, ti)
            else:
                fired = asyncio.run(own_poll(deferral.trigger))
            if type(fired).__name__ == "TaskSuccessEvent":
                return ti.xcoms["return_value"]
            method, arguments = resume_with(fired, deferral.method_name)


def _fire_in_runner(deferral: TaskDeferred, ti: TaskInstance) -> Any:
    with supervised() as supervisor:
        fired = asyncio.run(shared_poll(deferral.trigger, deferred_instance()))
    ti.xcoms |= supervisor.xcoms()
    return fired
