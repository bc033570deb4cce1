"""A listener that records everything a task holds, at each event, as error reporters and lineage tools do."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

#: They lead to the whole process, and not to the task.
_ELSEWHERE = (type, ModuleType, FunctionType, MethodType, logging.Logger, logging.Handler)


def _held(task: object) -> Iterator[str]:
    """Yield the representation of each object that a task's attributes lead to."""
    seen: set[int] = set()
    rest: list[object] = [vars(task)]
    while rest:
        value = rest.pop()
        if id(value) in seen or isinstance(value, _ELSEWHERE):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            rest += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            rest += value
        else:
            yield repr(value)
            rest.append(getattr(value, "__dict__", None))


def _record(event: str, task_instance: Any) -> None:
    task = getattr(task_instance, "task", None)
    if task is None:
        return
    told = {"event": event, "task": task_instance.task_id, "held": list(_held(task))}
    with Path(os.environ["AIRFLOW_HOME"], "recorded.jsonl").open("a") as file:
        file.write(json.dumps(told) + "\n")


class Recorder:
    @hookimpl
    def on_task_instance_running(self, previous_state: object, task_instance: object) -> None:
        _record("running", task_instance)

    @hookimpl
    def on_task_instance_success(self, previous_state: object, task_instance: object) -> None:
        _record("success", task_instance)

    @hookimpl
    def on_task_instance_failed(self, previous_state: object, task_instance: object, error: object) -> None:
        _record("failed", task_instance)


class RecorderPlugin(AirflowPlugin):
    name = "recorder"
    listeners = [Recorder()]  # noqa: RUF012 - as Airflow declares it
