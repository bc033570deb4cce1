"""Let many triggers wait in Airflow's trigger runner, on one loop, and print what it took.

``python -m tools.bench.one_runner NAME COUNT SECONDS INTERVAL URL``
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tools.bench.memory import resident, settled_resident

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, ASLEEP = "WorkatoConnectionTrigger", "DateTimeTrigger"


class LoopWatch:
    """Notices for how long an event loop is held at a time."""

    #: Seconds between two looks.
    STEP = 0.005

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(self.STEP)
            self.longest = max(self.longest, time.perf_counter() - began - self.STEP)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _triggers(name: str, count: int, interval: float) -> Iterator[Any]:
    if name == ASLEEP:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        for _ in range(count):
            yield DateTimeTrigger(moment=datetime.now(UTC) + timedelta(days=1))
    else:
        from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger

        for number in json.loads(sys.stdin.readline()):
            yield WorkatoConnectionTrigger(
                connection_id=number,
                workato_conn_id="workato_default",
                poke_interval=interval,
                since=time.time(),
                deadline=time.time() + 86_400,
            )


async def _measure(name: str, count: int, seconds: float, interval: float) -> dict[str, float]:
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    runner, numbers = TriggerRunner(), itertools.count(1)
    await asyncio.sleep(0.5)
    before = settled_resident()
    tasks = []
    for trigger in _triggers(name, count, interval):
        number = next(numbers)
        trigger.trigger_id = number
        task = asyncio.create_task(runner.run_trigger(number, trigger))
        runner.triggers[number] = {"task": task, "is_watcher": False, "name": str(number), "events": 0}
        tasks.append(task)
        if number % 100 == 0:
            await asyncio.sleep(0)
    # The waits have begun, and two lists have come: what follows is the steady state.
    await asyncio.sleep(2.5 * interval if name == OURS else interval)
    watch = LoopWatch()
    watching = asyncio.create_task(watch.run())
    cpu, began = _cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    took, cpu = time.monotonic() - began, _cpu() - cpu
    watching.cancel()
    memory = resident() - before
    held = watch.longest
    print(json.dumps({"steady": True}), flush=True)
    settled = 0.0
    if name == OURS:
        watch = LoopWatch()
        watching = asyncio.create_task(watch.run())
        began = time.monotonic()
        # The parent authorizes all, and says so.
        await asyncio.to_thread(sys.stdin.readline)
        done, _ = await asyncio.wait(tasks, timeout=600)
        settled = len(done)
        watching.cancel()
    else:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "cpu": cpu / took * 60,
        "memory": memory,
        "held": held,
        "settled": settled,
        "held_at_the_end": watch.longest if name == OURS else 0.0,
    }


def main(name: str, count: str, seconds: str, interval: str) -> None:
    """Wait and measure.

    :param name: which trigger.
    :param count: how many.
    :param seconds: for how long, once all wait.
    :param interval: seconds between two lists.
    """
    logging.disable(logging.INFO)
    found = asyncio.run(_measure(name, int(count), float(seconds), float(interval)))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
