"""A wait survives its triggerer's death: it ends, and ends only once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

import pytest

from tests.kill.conftest import Stage
from tests.support.airflow import on_airflow_33
from tools.waiting import wait_until

pytestmark = [pytest.mark.kill, on_airflow_33]

DAG_ID = RUN_ID = "killed_waits"
#: The connections that the mapped instances of each task wait for, in the order of their map indexes.
CONNECTIONS = {"ended_by_triggerer": range(1001, 1051), "resumed_on_worker": range(2001, 2051)}
#: How often a worker runs a wait: to begin it and, for some, to end it.
STARTS = {"ended_by_triggerer": 1, "resumed_on_worker": 2}
COUNT = sum(map(len, CONNECTIONS.values()))
# Generous, for a busy machine.
wait = partial(wait_until, deadline=400, interval=1)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The outcome of a wait.

    :param returned: the id of the connection that the task returned.
    :param starts: how often a worker ran it.
    """

    task_id: str
    connection_id: int
    state: str
    tries: int
    returned: int | None
    starts: int

    @property
    def is_lost(self) -> bool:
        return self.state != "success" or self.returned != self.connection_id

    @property
    def fired_twice(self) -> bool:
        return self.tries != 1 or self.starts != STARTS[self.task_id]


def test_every_wait_ends_and_ends_once(stage: Stage) -> None:
    workspace = stage.workspaces["waits"]
    workspace.seed([{"id": number} for numbers in CONNECTIONS.values() for number in numbers])
    stage.cluster.start_triggerer(0)
    stage.api.trigger(DAG_ID, run_id=RUN_ID)
    wait(lambda: _count(stage, "deferred") == COUNT, what=f"{COUNT} deferred waits")

    stage.cluster.start_triggerer(1)
    half = workspace.authorize_all([number for numbers in CONNECTIONS.values() for number in numbers[::2]])
    wait(lambda: _count(stage, "deferred") < COUNT, what="a wait to end", interval=0)
    stage.cluster.kill_triggerer(0)
    ended = COUNT - _count(stage, "deferred")
    print(f"\n  1  triggerer killed when {ended} of {COUNT} waits had ended and {len(half)} were to end")
    wait(lambda: _count(stage, "success") == len(half), what="the second triggerer to take over")

    stage.cluster.kill_triggerer(1)
    rest = workspace.authorize_all()
    print(f"  2  triggerer killed with {len(rest)} waits, no other running, all to end meanwhile")
    stage.cluster.start_triggerer(2)
    stage.api.wait_for_run(DAG_ID, RUN_ID, deadline=400)

    waits = _waits(stage)
    lost = [one for one in waits if one.is_lost]
    twice = [one for one in waits if one.fired_twice]
    print(
        f"{len(waits)} waits, 2 triggerers killed: {len(lost)} lost waits, {len(twice)} fired twice",
        flush=True,
    )
    assert (len(waits), lost, twice) == (COUNT, [], [])


def _count(stage: Stage, state: str) -> int:
    return stage.api.task_count(DAG_ID, RUN_ID, state)


def _waits(stage: Stage) -> list[Wait]:
    starts = Counter(
        (row["task_id"], row["map_index"]) for row in stage.api.audit_log(DAG_ID, RUN_ID, "running")
    )
    found = []
    for task in stage.api.task_instances(DAG_ID, RUN_ID):
        task_id, index = task["task_id"], task["map_index"]
        returned = stage.api.xcom(DAG_ID, RUN_ID, task_id, map_index=index)
        found.append(
            Wait(
                task_id=task_id,
                connection_id=CONNECTIONS[task_id][index],
                state=task["state"],
                tries=task["try_number"],
                returned=returned and returned["id"],
                starts=starts[task_id, index],
            )
        )
    return found
