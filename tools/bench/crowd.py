"""Ten thousand waits in one triggerer."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_workato.sandbox.client import SandboxControl, running_sandbox
from tools.bench.measure import LoopWatch, conversation, resident, settled_resident
from tools.bench.report import Row, Section, Table, compared, exact, megabytes, milliseconds

OURS, ASLEEP = "WorkatoConnectionTrigger", "DateTimeTrigger"
COUNT = 10_000
INTERVAL = 10.0
SECONDS = 60.0
MEMORY = 1.5
HELD = 0.25
#: One more than there are intervals in a minute.
MOST_CALLS = 60 / INTERVAL + 1
METHOD = f"""\
Triggers in Airflow's own `TriggerRunner`, on one event loop, without the processes around it. Each waits for
a connection of its own, with `poke_interval={INTERVAL:g}`; beside them as many that only sleep. All wait for
{SECONDS:g} s, which is what is measured; then all connections are authorized at one instant. The sandbox
enforces the quotas. The loop is watched every 5 ms, which is part of the CPU of both."""


def run(*, count: int, say: Callable[[str], None], seconds: float = SECONDS) -> Section:
    """Let triggers wait.

    :param count: how many.
    :param say: told how far it is.
    :param seconds: for how long, once all wait.
    """
    with running_sandbox() as sandbox:
        ids = sandbox.control.seed(count=count, authorization_status=None)
        os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"] = sandbox.airflow_conn
        found = {}
        for name in (ASLEEP, OURS):
            say(f"{count} triggers: {name}")
            found[name] = _wait(name, ids=ids, seconds=seconds, control=sandbox.control)
        refused = sandbox.control.counts()["too_many_requests"]
    return Section(
        title=f"{count:,} waits in one triggerer",
        method=METHOD,
        tables=[_table(count=count, ours=found[OURS], asleep=found[ASLEEP], refused=refused)],
    )


def _wait(name: str, *, ids: list[int], seconds: float, control: SandboxControl) -> dict[str, Any]:
    def list_calls() -> int:
        return int(control.counts()["by_operation"].get("list_connections", 0))

    with conversation("-m", "tools.bench.crowd", name, str(seconds)) as ask:
        ask(json.dumps(ids))
        before = list_calls()
        steady = ask("measure")
        calls = (list_calls() - before) / seconds * 60
        if name == OURS:
            control.authorize_all(ids)
        return steady | ask("end" if name == OURS else "cancel") | {"calls": calls}


def _table(*, count: int, ours: dict[str, Any], asleep: dict[str, Any], refused: int) -> Table:
    rows = [
        Row(
            label="list calls a minute",
            values=[f"{ours['calls']:.1f}"],
            goal=f"<= {MOST_CALLS:g}",
            met=ours["calls"] <= MOST_CALLS,
        ),
        exact("calls refused with 429", refused, goal=0),
        compared("CPU seconds a minute", ours["cpu"], asleep["cpu"], show="{:.2f}".format),
        compared("memory added", ours["memory"], asleep["memory"], show=megabytes, share=MEMORY),
        compared("the loop held, at most", ours["held"], asleep["held"], show=milliseconds, most=HELD),
        Row(
            label="the loop held while all end at once, at most",
            values=[milliseconds(ours["held_at_the_end"])],
        ),
        exact("settled", ours["settled"], goal=count),
    ]
    return Table(title="Beside as many that only sleep", columns=[OURS, ASLEEP, "ratio"], rows=rows)


def _triggers(name: str, ids: list[int]) -> Iterator[Any]:
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
                poke_interval=INTERVAL,
                since=time.time(),
                deadline=time.time() + 86_400,
            )


async def _measure(name: str, seconds: float) -> None:
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    runner, numbers = TriggerRunner(), itertools.count(1)
    await asyncio.sleep(0.5)
    ids = json.loads(await _line())
    before = settled_resident()
    tasks = []
    for trigger in _triggers(name, ids):
        number = next(numbers)
        trigger.trigger_id = number
        task = asyncio.create_task(runner.run_trigger(number, trigger))
        runner.triggers[number] = {"task": task, "is_watcher": False, "name": str(number), "events": 0}
        tasks.append(task)
        if number % 100 == 0:
            await asyncio.sleep(0)
    # The waits have begun, and two lists have come: what follows is the steady state.
    await asyncio.sleep(2.5 * INTERVAL)
    _answer(waiting=len(tasks))
    await _line()
    async with LoopWatch() as steady:
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, took = time.process_time() - cpu, time.monotonic() - began
    _answer(cpu=cpu / took * 60, memory=resident() - before, held=steady.longest)
    async with LoopWatch() as end:
        # The parent has authorized all by then, or wants no more.
        if await _line() != "end":
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks, timeout=600)
    settled = sum("error" not in entry.event.payload for entry in runner.events)
    _answer(held_at_the_end=end.longest, settled=settled)


async def _line() -> str:
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()


def _answer(**told: float) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    # NAME SECONDS: lets triggers wait in Airflow's runner, on one loop, and prints what it took.
    logging.disable(logging.INFO)
    asyncio.run(_measure(sys.argv[1], float(sys.argv[2])))
