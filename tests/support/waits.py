"""The four ways in which a sensor can wait, each run as Airflow runs it."""

from __future__ import annotations

import asyncio
import json
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.sdk import AirflowSkipException, TaskDeferred
from tests.support.supervisor import supervised
from tests.support.tasks import TaskInstance, deferred_instance

MakeSensor = Callable[..., WorkatoConnectionSensor]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a wait, in a form that can be compared between the ways."""

    result: Any = None
    raised: str = ""
    says: str = ""
    xcoms: dict[str, Any] = field(default_factory=dict)


def observe(way: Callable[[MakeSensor, TaskInstance], Any], make: MakeSensor, ti: TaskInstance) -> Outcome:
    """Wait, and return the outcome.

    :param way: one of this module's ways to wait.
    :param make: makes the sensor, once for each process in which it would run.
    :param ti: the task instance that receives its XComs.
    """
    try:
        result = way(make, ti)
    except AirflowSkipException as error:
        raised = f"skipped after {type(error.__cause__).__name__}"
        return Outcome(raised=raised, says=_without_times(str(error)), xcoms=ti.xcoms)
    except Exception as error:  # noqa: BLE001 - any error is part of the outcome
        return Outcome(raised=type(error).__name__, says=_without_times(str(error)), xcoms=ti.xcoms)
    return Outcome(result=result, xcoms=ti.xcoms)


def poke(make: MakeSensor, ti: TaskInstance) -> Any:
    """Wait on a worker."""
    return make(mode="poke").execute(ti.context)


def reschedule(make: MakeSensor, ti: TaskInstance) -> Any:
    """Poll on a worker, release it, and come back."""
    from airflow.exceptions import AirflowRescheduleException

    while True:
        began = datetime.now(UTC)
        try:
            return make(mode="reschedule").execute(ti.context)
        except AirflowRescheduleException as later:
            ti.rescheduled(began=began, until=later.reschedule_date)
            # The scheduler waits in the same way.
            time.sleep(max(0.0, (later.reschedule_date - datetime.now(UTC)).total_seconds()))


def deferred(make: MakeSensor, ti: TaskInstance) -> Any:
    """Wait in a triggerer and end on a worker."""
    try:
        return make(deferrable=True).execute(ti.context)
    except TaskDeferred as deferral:
        fired = asyncio.run(own_poll(deferral.trigger))
        method, arguments = resume_with(fired, deferral.method_name)
        return make(deferrable=True).resume_execution(method, arguments, ti.context)


def ended_in_trigger(make: MakeSensor, ti: TaskInstance) -> Any:
    """Wait in the trigger runner of Airflow 3.3 with its shared poll, and end there on success."""
    from airflow.triggers.base import TaskSuccessEvent

    try:
        return make(deferrable=True, end_from_trigger=True).execute(ti.context)
    except TaskDeferred as deferral:
        with supervised() as supervisor:
            fired = asyncio.run(shared_poll(deferral.trigger, deferred_instance()))
        if isinstance(fired, TaskSuccessEvent):
            assert fired.xcoms is None
            ti.xcoms |= supervisor.xcoms()
            return ti.xcoms.pop("return_value")
        method, arguments = resume_with(fired, deferral.method_name)
        return make(deferrable=True).resume_execution(method, arguments, ti.context)


async def own_poll(trigger: Any) -> Any:
    """Run a trigger as Airflow before 3.3 does, and return its event or error."""
    classpath, kwargs = trigger.serialize()
    module, _, name = classpath.rpartition(".")
    fresh = getattr(import_module(module), name)(**json.loads(json.dumps(kwargs)))
    events = fresh.run()
    try:
        return await anext(events)
    except Exception as error:  # noqa: BLE001 - the triggerer catches every error
        return error
    finally:
        await events.aclose()


async def shared_poll(trigger: Any, task_instance: Any) -> Any:
    """Run a trigger as Airflow 3.3 does, and return its event or error."""
    from tests.support.triggerer import Runner

    runner = Runner()
    number = runner.start(trigger, task_instance)
    await runner.until(runner.tasks[number].done)
    return runner.events[0][1] if runner.events else runner.tasks[number].exception()


def resume_with(fired: Any, method: str) -> tuple[str, dict[str, Any]]:
    """Return the method and the arguments with which a worker resumes."""
    if isinstance(fired, BaseException):
        lines = traceback.format_exception(type(fired), fired, fired.__traceback__)
        return "__fail__", {"error": "Trigger failure", "traceback": lines}
    return method, {"event": json.loads(json.dumps(fired.payload))}


def _without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT\S+?(?=:? )", "…", text)
