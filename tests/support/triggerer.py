"""Airflow's own trigger runner, without the process around it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger, TriggerEvent


class Runner:
    """Runs triggers as the triggerer of Airflow 3.3 does: on one event loop, with shared streams."""

    def __init__(self) -> None:
        from airflow.jobs.triggerer_job_runner import TriggerRunner

        self._runner = TriggerRunner()
        self._numbers = itertools.count(1)
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, trigger: BaseTrigger, task_instance: Any = None) -> int:
        """Serialize *trigger*, run the deserialized copy, and return its number."""
        classpath, kwargs = trigger.serialize()
        number = next(self._numbers)
        fresh = self._runner.get_trigger_by_classpath(classpath)(**kwargs)
        fresh.trigger_id = number
        fresh.task_instance = task_instance
        if store := getattr(trigger, "asset_state_store", None):
            setattr(fresh, "asset_state_store", store)  # noqa: B010 - on event triggers only
        task = asyncio.create_task(self._runner.run_trigger(number, fresh))
        self._runner.triggers[number] = {
            "task": task,
            "is_watcher": True,
            "name": f"trigger {number}",
            "events": 0,
        }
        self.tasks[number] = task
        return number

    @property
    def events(self) -> list[tuple[int, TriggerEvent]]:
        """The events that the triggers fired, with the triggers' numbers, oldest first."""
        return [(entry.trigger_id, entry.event) for entry in self._runner.events]

    def fired(self, number: int) -> list[Any]:
        """Return the payloads of one trigger's events."""
        return [event.payload for trigger, event in self.events if trigger == number]

    async def until(self, condition: Callable[[], Any], *, deadline: float = 60.0) -> None:
        """Run the triggers until *condition* is true."""
        end = time.monotonic() + deadline
        while not await asyncio.to_thread(condition):
            assert time.monotonic() < end, "the condition did not come true"
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Cancel the triggers that are still running."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """A trigger runner, whose triggers end with the test."""
    runner = Runner()
    yield runner
    await runner.stop()


async def only_event(trigger: BaseTrigger, task_instance: Any = None) -> Any:
    """Run a trigger to its end and return its first event."""
    runner = Runner()
    number = runner.start(trigger, task_instance)
    await runner.until(runner.tasks[number].done)
    return runner.events[0][1]
