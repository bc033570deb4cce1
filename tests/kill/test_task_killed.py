"""A create that is killed at any point makes one connection in the end, and returns its id."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import parse_qs

import pytest

from tests.kill.conftest import Stage
from tests.kill.points import ANSWER_READ, POINTS, POST_LATE, Point
from tests.support.airflow import on_airflow_33
from tools.waiting import wait_until

pytestmark = [pytest.mark.kill, on_airflow_33]

DAG_ID = "killed_create"
TASKS = 8
# Generous, for a busy machine.
wait = partial(wait_until, deadline=400)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The outcome of one create.

    :param returned: the id that the task returned.
    :param ids: the ids of its connections in the workspace.
    """

    point: Point
    task_id: str
    state: str
    tries: int
    returned: int | None
    ids: tuple[int, ...]

    @property
    def verdict(self) -> str:
        if len(self.ids) > 1:
            return "DUPLICATE"
        if not self.ids or self.state != "success" or self.returned not in self.ids:
            return "LOST"
        return "ok" if self.tries == 2 else "NOT KILLED ONCE"

    def __str__(self) -> str:
        mode, identity, _ = self.task_id.split("-")
        ids = ", ".join(map(str, self.ids)) or "none"
        return (
            f"{self.point.what:<40}{mode:<8}{identity:<16}{self.tries} tries, ids: {ids:<8}  {self.verdict}"
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of all creates.

    :param posts: how many create calls each point's workspace received.
    """

    trials: list[Trial]
    posts: dict[Point, int]


@pytest.fixture(scope="module")
def outcome(stage: Stage) -> Outcome:
    """Kill the first try of every create at its point."""
    for point in POINTS:
        if point.fault:
            stage.workspaces[point.name].add_fault(times=TASKS, **point.fault)
        stage.api.trigger(DAG_ID, run_id=point.name)
    for point in POINTS:
        wait(_all_are_there(stage, point), what=f"{TASKS} creates at: {point.what}")
        seen = stage.workspaces[point.name].requests()[-1]["seq"]
        _kill_all(stage, point)
        if point is POST_LATE:
            wait(_retries_look(stage, since=seen), what="the retries to look for what the first tries made")
            assert stage.workspaces[point.name].release() == TASKS
    return _outcome(stage)


def test_one_connection_is_left_and_its_id_returned(outcome: Outcome) -> None:
    print()
    for number, trial in enumerate(outcome.trials, start=1):
        print(f"{number:3}  {trial}")
    verdicts = [trial.verdict for trial in outcome.trials]
    duplicates, lost = verdicts.count("DUPLICATE"), verdicts.count("LOST")
    print(f"{len(verdicts)} creates killed: {duplicates} duplicates, {lost} lost", flush=True)
    assert verdicts == ["ok"] * TASKS * len(POINTS)


def test_workato_is_asked_to_create_no_more_often_than_it_takes(outcome: Outcome) -> None:
    assert outcome.posts == {point: TASKS * point.posts for point in POINTS}


def test_clearing_finished_runs_creates_nothing(stage: Stage, outcome: Outcome) -> None:
    for point in POINTS:
        stage.api.clear(DAG_ID, point.name)
    again = _outcome(stage)
    assert again.posts == outcome.posts
    assert again.trials == [replace(trial, tries=3) for trial in outcome.trials]
    print(f"\n{len(again.trials)} creates cleared and run again: 0 new connections", flush=True)


def _all_are_there(stage: Stage, point: Point) -> Callable[[], bool]:
    if point is ANSWER_READ:
        return lambda: len(list(stage.answered.iterdir())) == TASKS
    return lambda: len(stage.workspaces[point.name].held()) == TASKS


def _kill_all(stage: Stage, point: Point) -> None:
    tasks = stage.api.task_instances(DAG_ID, point.name)
    assert [(task["state"], task["try_number"]) for task in tasks] == [("running", 1)] * TASKS
    pids = {task["pid"] for task in tasks}
    assert len(pids) == TASKS
    assert pids <= {process.pid for process in stage.cluster.processes("scheduler")}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _retries_look(stage: Stage, *, since: int) -> Callable[[], bool]:
    """Return whether all tasks run their second try, and those that look for an external id have done so."""
    workspace = stage.workspaces[POST_LATE.name]

    def they_do() -> bool:
        looks = workspace.requests(operation="list_connections", since=since)
        sought = {name for look in looks for name in parse_qs(look["query"]).get("external_id", [])}
        tasks = stage.api.task_instances(DAG_ID, POST_LATE.name)
        wanted = {task["task_id"] for task in tasks if "by_external_id" in task["task_id"]}
        tries = [(task["state"], task["try_number"]) for task in tasks]
        return sought == wanted and tries == [("running", 2)] * TASKS

    return they_do


def _outcome(stage: Stage) -> Outcome:
    return Outcome(
        trials=[trial for point in POINTS for trial in _trials(stage, point)],
        posts={
            point: stage.workspaces[point.name].counts()["by_operation"]["create_connection"]
            for point in POINTS
        },
    )


def _trials(stage: Stage, point: Point) -> list[Trial]:
    stage.api.wait_for_run(DAG_ID, point.name, deadline=400)
    rows = stage.workspaces[point.name].connections()
    return [
        Trial(
            point=point,
            task_id=task["task_id"],
            state=task["state"],
            tries=task["try_number"],
            returned=stage.api.xcom(DAG_ID, point.name, task["task_id"]),
            ids=tuple(row["id"] for row in rows if row["name"] == f"{point.name} {task['task_id']}"),
        )
        for task in sorted(stage.api.task_instances(DAG_ID, point.name), key=lambda task: task["task_id"])
    ]
