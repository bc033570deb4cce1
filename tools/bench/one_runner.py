"""Let many triggers wait in Airflow's trigger runner, on one loop, and print what it took.

``python -m tools.bench.one_runner NAME SECONDS INTERVAL`` reads the connections' ids from its input, as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tools.bench.loop_watch import LoopWatch
from tools.bench.memory import resident, settled_resident

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, ASLEEP = "WorkatoConnectionTrigger", "DateTimeTrigger"


def _triggers(name: str, ids: list[int], interval: float) -> Iterator[Any]:
    if name == ASLEEP:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        for _ in ids:
            yield DateTimeTrigger(moment=datetime.now(UTC) + timedelta(days=1))
    else:
        from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger

        for number in ids:
            yield WorkatoConnectionTrigger(
                connection_id=number,
                workato_conn_id="workato_default",
                poke_interval=interval,
                since=time.time(),
                deadline=time.time() + 86_400,
            )


async def _measure(name: str, ids: list[int], seconds: float, interval: float) -> dict[str, float]:
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    runner, numbers = TriggerRunner(), itertools.count(1)
    await asyncio.sleep(0.5)
    before = settled_resident()
    tasks = []
    for trigger in _triggers(name, ids, interval):
        number = next(numbers)
        trigger.trigger_id = number
        task = asyncio.create_task(runner.run_trigger(number, trigger))
        runner.triggers[number] = {"task": task, "is_watcher": False, "name": str(number), "events": 0}
        tasks.append(task)
        if number % 100 == 0:
            await asyncio.sleep(0)
    # The waits have begun, and two lists have come: what follows is the steady state.
    await asyncio.sleep(2.5 * interval)
    print(json.dumps({"moment": "before"}), flush=True)
    async with LoopWatch() as steady:
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, took = time.process_time() - cpu, time.monotonic() - began
    memory = resident() - before
    print(json.dumps({"moment": "after"}), flush=True)
    async with LoopWatch() as end:
        # The parent has authorized all by then, or wants no more.
        line = await asyncio.to_thread(sys.stdin.readline)
        if line.strip() != "end":
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks, timeout=600)
    return {
        "cpu": cpu / took * 60,
        "memory": memory,
        "held": steady.longest,
        "held_at_the_end": end.longest,
        "settled": sum("error" not in entry.event.payload for entry in runner.events),
    }


def main(name: str, seconds: str, interval: str) -> None:
    """Wait and measure.

    :param name: which trigger.
    :param seconds: for how long, once all wait.
    :param interval: seconds between two lists.
    """
    logging.disable(logging.INFO)
    ids = json.loads(sys.stdin.readline())
    found = asyncio.run(_measure(name, ids, float(seconds), float(interval)))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
