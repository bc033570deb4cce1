"""The provider works on several machines, and keeps working when components die or are replaced."""

from __future__ import annotations

import random
import secrets
import shutil
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.cluster.conftest import EDGE_RUN, EXAMPLES, HELD, WATCHED, Stage
from tests.cluster.figures import TRIGGERERS, Figures, Meter, is_poll, most_polls
from tests.support.airflow import on_airflow_33
from tools.airflow_api import FINISHED
from tools.example_runs import ExampleRun, follow
from tools.mailbox import MailReader
from tools.waiting import wait_until

pytestmark = [pytest.mark.cluster, on_airflow_33]

# Generous, for a busy machine.
wait = partial(wait_until, deadline=400, interval=0.5)
LOST_EXAMPLE = "example_workato_lost"
APPROVAL_EXAMPLE = "example_workato_approval"
#: The Edge worker that is killed, and the one that takes over.
KILLED, HEIR = "edge-0", "edge-1"
#: What the heir also plays: a mapped task, a pool, and every call that needs no person.
EDGE_EXAMPLES = ("example_workato_connection", "example_workato_tenants")


def test_the_examples(stage: Stage) -> None:
    control, meter = stage.sandbox.control, stage.meter("all example DAGs")
    runs = [
        ExampleRun(api=stage.api, dag_id=dag_id, run_id=stage.api.trigger(dag_id), say=lambda *_: None)
        for dag_id in EXAMPLES
        if dag_id != LOST_EXAMPLE
    ]
    mails = MailReader(stage.mailbox, control=control)
    [approval] = [run for run in runs if run.dag_id == APPROVAL_EXAMPLE]
    approved = False

    def answer() -> None:
        nonlocal approved
        mails.look()
        asking = ("approve", -1) in stage.cluster.left_workers(APPROVAL_EXAMPLE, approval.run_id)
        if asking and not approved:
            approved = stage.api.answer(APPROVAL_EXAMPLE, approval.run_id, "approve", "Approve")

    follow(runs, authorize=control.click_authorize, meanwhile=answer, deadline=600)
    for run in runs:
        assert not list(run.failures())
    assert len(stage.mailbox.mails) == 2
    [user] = [row for row in control.connections() if row["external_id"] == "ada@example.com"]
    wait(lambda: (user["id"], "authorized") in _reported(stage), what="the login to be reported")
    control.lose(user["id"])
    wait(lambda: stage.api.run_states(LOST_EXAMPLE) == ["success"], what="the run for the loss")
    figures = _figures(
        stage,
        meter,
        {**{run.dag_id: [run.run_id] for run in runs}, LOST_EXAMPLE: stage.api.run_ids(LOST_EXAMPLE)},
    )
    # One of the examples polls more often.
    most = most_polls(figures.seconds, interval=min(5.0, stage.size.interval))
    assert len(figures.polls) <= most, figures.polls


def test_a_triggerer_killed_while_connections_are_authorized(stage: Stage) -> None:
    control, dag_id = stage.sandbox.control, "cluster_waits"
    ids = stage.seed(dag_id)
    meter = stage.meter(f"{len(ids)} waits, a triggerer killed")
    run_id = stage.api.trigger(dag_id)
    _all_deferred(stage, dag_id, run_id)

    def both_have_waits() -> bool:
        # Airflow assigns a wait to a triggerer some time after the task is deferred.
        ids = {task["trigger"]["triggerer_id"] for task in _waits(stage, dag_id, run_id)}
        return None not in ids and len(ids) == TRIGGERERS

    wait(both_have_waits, what="both triggerers to have waits")
    order = random.Random(8).sample(ids, len(ids))  # noqa: S311 - no secret
    half = len(order) // 2
    for number in order[:half]:
        control.authorize(number)
    wait(lambda: _count(stage, dag_id, run_id, "success"), what="a wait to end")
    _settle(stage, meter)
    stage.cluster.kill_triggerer(0)
    for number in order[half:]:
        control.authorize(number)
    stage.cluster.start_triggerer(0)
    lost = _lost_waits(stage, dag_id, run_id)
    figures = _figures(stage, meter, {dag_id: [run_id]}, lost_waits=lost)
    _one_poll_an_interval(stage, figures, starts=2 * TRIGGERERS + 1)


def test_a_worker_killed_while_it_creates(stage: Stage) -> None:
    control, dag_id = stage.sandbox.control, "cluster_creates"
    meter = stage.meter(f"{stage.size.creates} creates, a worker killed")
    run_id = stage.api.trigger(dag_id)

    def made() -> int:
        return len([row for row in control.connections() if (row["external_id"] or "").startswith(dag_id)])

    wait(lambda: made() >= stage.size.creates // 3, what="a third of the creates", interval=0.1)
    assert _count(stage, dag_id, run_id, "running") >= 2
    stage.cluster.kill(stage.workers[1])
    stage.cluster.start_again(stage.workers[1])
    _succeeds(stage, dag_id, run_id)
    retried = [task for task in stage.api.task_instances(dag_id, run_id) if task["try_number"] > 1]
    assert retried, "the worker had no task when it was killed"
    assert made() == stage.size.creates
    # Both have made calls, each with a temporary folder of its own.
    for name in stage.workers:
        assert list(stage.cluster.temporary_folder(name).glob("airflow-provider-workato-*"))
    _ids_are_read(stage, dag_id, run_id)
    figures = _figures(stage, meter, {dag_id: [run_id]})
    _one_poll_an_interval(stage, figures)


def test_two_runs_at_once(stage: Stage) -> None:
    meter = stage.meter("two runs of a DAG at once")
    dag_ids = ("cluster_one_run", "cluster_one_slot")
    runs = {dag_id: [stage.api.trigger(dag_id) for _ in range(2)] for dag_id in dag_ids}
    for dag_id in dag_ids:
        for run_id in runs[dag_id]:
            _succeeds(stage, dag_id, run_id)
        first, second = (_ids_are_read(stage, dag_id, run_id) for run_id in runs[dag_id])
        assert first == second
    figures = _figures(stage, meter, runs)
    _one_poll_an_interval(stage, figures)


def test_a_rolling_restart_while_sensors_wait(stage: Stage) -> None:
    control, dag_id = stage.sandbox.control, "cluster_restart"
    ids = stage.seed(dag_id)
    meter = stage.meter(f"rolling restart, {len(ids)} waits")
    run_id = stage.api.trigger(dag_id)
    _all_deferred(stage, dag_id, run_id)
    first, second = stage.workers
    parts = ["triggerer-0", first, "api-server", "dag-processor", "scheduler", second, "triggerer-1"]
    share = -(-len(ids) // len(parts))
    for number, name in enumerate(parts):
        if name.startswith("triggerer"):
            _settle(stage, meter)
        stage.cluster.end(name)
        # People do not wait for a restart.
        for connection_id in ids[number * share : (number + 1) * share]:
            control.authorize(connection_id)
        stage.cluster.start_again(name)
    lost = _lost_waits(stage, dag_id, run_id)
    figures = _figures(stage, meter, {dag_id: [run_id]}, lost_waits=lost)
    _one_poll_an_interval(stage, figures, starts=3 * TRIGGERERS)


def test_a_token_rotated_while_sensors_wait(stage: Stage) -> None:
    control, dag_id = stage.sandbox.control, "cluster_rotation"
    ids = stage.seed(dag_id)
    meter = stage.meter(f"token rotated, {len(ids)} waits")
    run_id = stage.api.trigger(dag_id)
    _all_deferred(stage, dag_id, run_id)
    old, new = stage.sandbox.token, f"sandbox-{secrets.token_urlsafe(24)}"
    control.set_tokens(old, new)
    for conn_id in ("workato_default", "workato_held"):
        stage.api.set_password(conn_id, new)
    control.set_tokens(new)
    _poll(stage, rounds=2)
    refused = _polls(stage, status=401)
    # Each triggerer learns of the rotation by a refusal, and repeats it at most once.
    assert 1 <= refused <= 2 * TRIGGERERS
    assert _count(stage, dag_id, run_id, "deferred") == len(ids)
    control.authorize_all(ids)
    lost = _lost_waits(stage, dag_id, run_id)
    figures = _figures(stage, meter, {dag_id: [run_id]}, lost_waits=lost)
    assert _polls(stage, status=401) == refused
    assert control.counts()["by_status"]["401"] == refused
    # A rejected poll is repeated one interval later.
    _one_poll_an_interval(stage, figures)


def test_every_change_was_reported_once(stage: Stage) -> None:
    """Check all changes once more: a change can be reported twice long after it happened."""
    reports = stage.whole.reports()
    print(
        f"\n{reports.count} changes in all, {len(reports.twice)} reported twice, {len(reports.missed)} missed"
    )
    assert (reports.twice, reports.missed) == ([], [])
    for dag_id in (f"cluster_watch_{provider}" for provider in WATCHED):
        wait(partial(_all_ended, stage, dag_id), what=f"the runs of {dag_id}")
        assert set(stage.api.run_states(dag_id)) == {"success"}


@pytest.fixture(scope="module")
def killed_edge_worker(stage: Stage) -> int:
    """Kill an Edge worker during creates, start another, and return the number of the last call before."""
    control, cluster = stage.sandbox.control, stage.cluster
    if KILLED in stage.workers:
        cluster.end(HEIR)
        shutil.rmtree(cluster.edge_home(HEIR))
    else:
        cluster.start_again(KILLED)
    # One create is carried out although nobody reads the answer, the other while the retry looks for it.
    control.add_fault("hold", operation="create_connection", performed=True)
    control.add_fault("slow_server", operation="create_connection", performed=False)
    stage.seed("cluster_edge_waits")
    for dag_id in ("cluster_held", "cluster_edge_waits"):
        stage.api.trigger(dag_id, run_id=EDGE_RUN)
    wait(lambda: len(control.held()) == HELD, what="the creates to be held")
    _all_deferred(stage, "cluster_edge_waits", EDGE_RUN)
    last: int = control.requests()[-1]["seq"]
    cluster.kill(KILLED)
    cluster.start_again(HEIR)
    return last


# Meanwhile, Airflow notices that the worker of the next scenario is dead.
@pytest.mark.usefixtures("killed_edge_worker")
def test_a_change_whose_report_was_not_stored_is_reported_at_most_once_more(stage: Stage) -> None:
    control, meter = stage.sandbox.control, stage.meter("triggerers killed between a report and its note")
    first, second = control.seed([{"provider": "salesforce"}] * 2)
    control.authorize(first)
    wait(lambda: (first, "authorized") in _reported(stage), what="the change to be reported", interval=0.1)
    # The other triggerer may have the watch. Together they take no longer than one.
    for number in range(TRIGGERERS):
        stage.cluster.kill_triggerer(number)
    control.authorize(second)
    for number in range(TRIGGERERS):
        stage.cluster.start_triggerer(number)
    # What it repeats, it tells with the next change at the latest.
    meter.wait_until_reported()
    _poll(stage)
    reports = meter.reports()
    print(f"\n{meter.seconds():.0f} s, reported again: {reports.twice}")
    assert reports.missed == []
    assert reports.twice in ([], [(first, "authorized")])


def test_an_edge_worker_takes_over_from_a_killed_one(stage: Stage, killed_edge_worker: int) -> None:
    """It has nothing of the other one: no file and no database, only what Airflow and Workato say."""
    control, meter = stage.sandbox.control, stage.meter("an Edge worker takes over from a killed one")
    played = ("cluster_held", "cluster_edge_waits", *EDGE_EXAMPLES)
    for dag_id in EDGE_EXAMPLES:
        stage.api.trigger(dag_id, run_id=EDGE_RUN)
    control.authorize_all(stage.ids["cluster_edge_waits"])
    lost = _lost_waits(stage, "cluster_edge_waits", EDGE_RUN)

    def both_look() -> bool:
        looks = control.requests(operation="list_connections", since=killed_edge_worker)
        sought = {name for look in looks for name in parse_qs(look["query"]).get("external_id", [])}
        return {f"cluster_held-{number}" for number in range(HELD)} <= sought

    wait(both_look, what="the retries to look for what the first tries made")
    assert control.release() == 1
    for dag_id in ("cluster_held", *EDGE_EXAMPLES):
        _succeeds(stage, dag_id, EDGE_RUN)
    _ids_are_read(stage, "cluster_held", EDGE_RUN)
    for number in range(HELD):
        where: dict[str, Any] = {
            "dag_id": "cluster_held",
            "run_id": EDGE_RUN,
            "task_id": "create",
            "map_index": number,
        }
        task = stage.api.task_instance(**where)
        assert (task["hostname"], task["try_number"]) == (HEIR, 2)
        assert stage.api.xcom(**where, key="workato_outcome")["did"] == "created"
        assert stage.api.links(**where)["Open in Workato"]
        assert "which an interrupted try of this task created" in stage.api.log(**where, try_number=2)
    hosts = {task["hostname"] for dag_id in played for task in stage.api.task_instances(dag_id, EDGE_RUN)}
    assert {HEIR} <= hosts <= {KILLED, HEIR}
    _figures(stage, meter, {dag_id: [EDGE_RUN] for dag_id in played}, lost_waits=lost)


def _all_ended(stage: Stage, dag_id: str) -> bool:
    return FINISHED.issuperset(stage.api.run_states(dag_id))


def _settle(stage: Stage, meter: Meter) -> None:
    """Wait until the watches have reported and stored everything. They repeat what they have not stored."""
    meter.wait_until_reported()
    _poll(stage, rounds=2)


def _poll(stage: Stage, *, rounds: int = 1) -> None:
    """Wait until the triggerers have polled so many times more."""
    goal = _polls(stage, status=200) + rounds * TRIGGERERS
    wait(lambda: _polls(stage, status=200) >= goal, what=f"{rounds} rounds of polls")


def _figures(
    stage: Stage, meter: Meter, runs: dict[str, list[str]], *, lost_waits: int | None = None
) -> Figures:
    figures = meter.figures(runs, lost_waits=lost_waits)
    stage.figures.append(figures)
    print(f"\n{figures}", flush=True)
    assert stage.cluster.ended_components() == []
    assert figures.succeeded == figures.tasks
    assert (figures.failed, figures.duplicates, figures.lost_waits or 0) == (0, 0, 0)
    # The shares leave room for every list call. Two workers can make another call in the same second.
    assert figures.refused_lists == 0
    assert figures.refused_calls <= figures.other_calls / 2
    assert (figures.reports.twice, figures.reports.missed) == ([], [])
    return figures


def _one_poll_an_interval(stage: Stage, figures: Figures, *, starts: int = 2 * TRIGGERERS) -> None:
    most = most_polls(figures.seconds, interval=stage.size.interval, starts=starts)
    assert len(figures.polls) <= most, figures.polls


def _count(stage: Stage, dag_id: str, run_id: str, state: str) -> int:
    return stage.api.task_count(dag_id, run_id, state)


def _all_deferred(stage: Stage, dag_id: str, run_id: str) -> None:
    count = len(stage.ids[dag_id])
    wait(lambda: _count(stage, dag_id, run_id, "deferred") == count, what=f"{count} deferred waits")


def _succeeds(stage: Stage, dag_id: str, run_id: str) -> None:
    state = stage.api.wait_for_run(dag_id, run_id, deadline=600)
    assert state == "success", _logs_of_failures(stage, dag_id, run_id)


def _logs_of_failures(stage: Stage, dag_id: str, run_id: str) -> str:
    run = ExampleRun(api=stage.api, dag_id=dag_id, run_id=run_id, say=lambda *_: None)
    run.look()
    return "\n\n".join(f"{name}\n{log[-3000:]}" for name, log in run.failures())


def _lost_waits(stage: Stage, dag_id: str, run_id: str) -> int:
    """Wait for the end of a run and return how many waits did not end, or not with their own connection."""
    stage.api.wait_for_run(dag_id, run_id, deadline=600)
    ids = stage.ids[dag_id]
    ended = {
        task["map_index"]
        for task in _waits(stage, dag_id, run_id)
        if task["state"] == "success" and task["try_number"] == 1
    }
    read = stage.api.xcom(dag_id, run_id, "read_waits") or []
    lost = {number for index, number in enumerate(ids) if index not in ended or number not in read}
    if lost:
        print(_logs_of_failures(stage, dag_id, run_id))
    return len(lost)


def _waits(stage: Stage, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    return [task for task in stage.api.task_instances(dag_id, run_id) if task["task_id"] == "wait"]


def _ids_are_read(stage: Stage, dag_id: str, run_id: str) -> list[int]:
    """Compare what the task downstream read with the workspace."""
    read: list[int] = stage.api.xcom(dag_id, run_id, "read_creates")
    rows = stage.sandbox.control.connections()
    assert read == sorted(row["id"] for row in rows if (row["external_id"] or "").startswith(f"{dag_id}-"))
    return read


def _reported(stage: Stage) -> set[tuple[int, str]]:
    payloads = [event["extra"]["payload"] for event in stage.api.asset_events("cluster_salesforce")]
    return {(payload["connection"]["id"], payload["change"]) for payload in payloads}


def _polls(stage: Stage, *, status: int) -> int:
    rows = stage.sandbox.control.requests(operation="list_connections")
    return sum(is_poll(row) and row["status"] == status for row in rows)
