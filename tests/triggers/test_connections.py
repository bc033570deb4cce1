"""One wait in a triggerer: what it rides out, what ends it, and what it costs."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoNotFoundError,
    WorkatoPermissionError,
    WorkatoServerError,
    from_data,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from airflow_provider_workato.triggers import shared_list
from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger
from airflow_provider_workato.triggers.shared_list import LISTS, ListKey
from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.supervisor import as_stored, supervised
from tests.support.tasks import TaskInstance, deferred_instance
from tests.support.triggerer import Runner, only_event
from tests.support.watching import latest

#: The list of everything.
KEY: ListKey = ("workato_default", ())

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connect")]


@pytest.fixture
def impatient(connect: Connect) -> None:
    """Let a call fail at its first failure."""
    connect(retry_budget=0)


def wait_for(connection_id: Any, **arguments: Any) -> WorkatoConnectionTrigger:
    defaults: dict[str, Any] = {"workato_conn_id": "workato_default", "poke_interval": 0.05}
    return WorkatoConnectionTrigger(connection_id=connection_id, **{**defaults, **arguments})


async def ends(trigger: WorkatoConnectionTrigger) -> dict[str, Any]:
    """Run a trigger and return its only event, or raise the error that the event tells of."""
    async with asyncio.timeout(60):
        (payload,) = [event.payload async for event in trigger.run()]
    assert isinstance(payload, dict)
    if error := from_data(json.loads(json.dumps(payload)).get("error")):
        raise error
    return payload


@asynccontextmanager
async def running(trigger: WorkatoConnectionTrigger) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    task = asyncio.create_task(ends(trigger))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.01)


def lists(sandbox: RunningSandbox) -> int:
    return int(sandbox.control.counts()["by_operation"].get("list_connections", 0))


@pytest.fixture
def waiting(sandbox: RunningSandbox) -> int:
    """A connection that nobody authorized yet."""
    (number,) = sandbox.control.seed([{}])
    return number


# What is kept of it

EVERYTHING: dict[str, Any] = {
    "connection_id": [36, "37"],
    "workato_conn_id": "workato_eu",
    "poke_interval": 12.5,
    "folder_id": "1892",
    "project_id": 301,
    "external_id": "e",
    "fail_fast": False,
    "known_failures": ["0123456789abcdef"],
    "remind_at": None,
    "max_failed_polls": 2,
    "deadline": 1_900_000_000.5,
    "timeout": 100_000_000.5,
    "execution_timeout": 3600.5,
    "advice": "ASKED",
    "since": 1_800_000_000.5,
    "accept_newest": True,
    "end_from_trigger": True,
    "do_xcom_push": False,
    "dag_result": True,
    "quote_app": False,
    "min_seconds": 8.5,
    "execution_deadline": 1800000000.5,
}


def test_rebuilt_from_what_it_serializes_to() -> None:
    classpath, kwargs = WorkatoConnectionTrigger(**EVERYTHING).serialize()
    assert classpath == f"{WorkatoConnectionTrigger.__module__}.{WorkatoConnectionTrigger.__qualname__}"
    assert kwargs == EVERYTHING
    assert WorkatoConnectionTrigger(**json.loads(json.dumps(kwargs))).serialize() == (classpath, kwargs)


@on_airflow_33
def test_rebuilt_by_airflow() -> None:
    from airflow.sdk.serde import deserialize, serialize
    from airflow.serialization.encoders import encode_trigger

    trigger = WorkatoConnectionTrigger(**EVERYTHING)
    _, kwargs = trigger.serialize()
    assert deserialize(serialize(kwargs)) == kwargs
    assert encode_trigger(trigger)["kwargs"] == kwargs


async def test_it_keeps_no_secret(sandbox: RunningSandbox, waiting: int) -> None:
    trigger = wait_for(waiting)

    async with running(trigger):
        await until(lambda: lists(sandbox))
        assert sandbox.token not in f"{trigger!r}{trigger.serialize()}{vars(trigger)}"
        assert sandbox.token not in repr([vars(shared) for shared in LISTS.values()])


async def test_it_leaves_nothing_behind(sandbox: RunningSandbox, waiting: int) -> None:
    async with running(wait_for(waiting)):
        await until(lambda: lists(sandbox))
        assert LISTS
    assert not LISTS


# How long it lasts at least


@on_airflow_33
async def test_a_worker_is_not_called_back_too_early(sandbox: RunningSandbox, runner: Runner) -> None:
    began = time.time()
    wait = runner.start(wait_for(36, since=began, min_seconds=1.5))
    await runner.until(lambda: runner.fired(wait))
    assert time.time() - began >= 1.5


@pytest.mark.usefixtures("sandbox")
async def test_dag_test_resumes_the_task_at_once() -> None:
    """There, no executor is in between, and the trigger has no id."""
    assert (await ends(wait_for(36, since=time.time(), min_seconds=3600)))["connections"]


@on_airflow_33
async def test_an_error_calls_a_worker_back_too(sandbox: RunningSandbox, runner: Runner) -> None:
    sandbox.control.add_fault("unauthorized", times=None)

    began = time.time()
    wait = runner.start(wait_for(36, since=began, min_seconds=1.5))
    await runner.until(lambda: runner.fired(wait))
    assert time.time() - began >= 1.5
    assert isinstance(from_data(runner.fired(wait)[0]["error"]), WorkatoAuthError)


@on_airflow_33
async def test_without_a_worker_nothing_is_too_early(sandbox: RunningSandbox, runner: Runner) -> None:
    with supervised():
        wait = runner.start(
            wait_for(36, since=time.time(), min_seconds=3600, end_from_trigger=True), deferred_instance()
        )
        await runner.until(lambda: runner.fired(wait))


@on_airflow_33
async def test_a_clock_ahead_of_ours_holds_nothing_up(sandbox: RunningSandbox, runner: Runner) -> None:
    wait = runner.start(
        wait_for(36, since=time.time() + 3600, min_seconds=0.1, accept_newest=True, poke_interval=0.1)
    )
    await runner.until(lambda: runner.fired(wait))


# Failed polls


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault", ["server_error", "reset_before_answer", "rate_limited_no_header", "html_page"]
)
async def test_a_few_failed_polls_are_ridden_out(sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, times=3)
    event = await ends(wait_for(36, max_failed_polls=3))
    assert [row["id"] for row in event["connections"]] == [36]
    assert lists(sandbox) == 4


@pytest.mark.usefixtures("impatient")
async def test_a_long_outage_ends_in_the_real_error(sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("server_error", times=None)
    with pytest.raises(WorkatoServerError, match="3188c2d0") as caught:
        await ends(wait_for(36, max_failed_polls=2))
    assert lists(sandbox) == 3
    assert str(caught.value.support_id).startswith("3188c2d0")
    assert sandbox.token not in f"{caught.value}{vars(caught.value)}"


@pytest.mark.usefixtures("impatient")
async def test_only_failures_in_a_row_count(sandbox: RunningSandbox, waiting: int) -> None:
    for _ in range(3):
        sandbox.control.add_fault("server_error", times=2)
        sandbox.control.add_fault("extra_keys", times=1)

    async with running(wait_for(waiting, max_failed_polls=2)) as task:
        await until(lambda: lists(sandbox) >= 9)
        sandbox.control.authorize(waiting)
        assert (await task)["connections"]


@pytest.mark.usefixtures("impatient")
async def test_any_number_of_failures(sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("server_error", times=12)
    assert (await ends(wait_for(36, max_failed_polls=None)))["connections"]
    assert lists(sandbox) == 13


@pytest.mark.parametrize("options", [{}, {"max_failed_polls": None}], ids=str)
@pytest.mark.parametrize(
    ("fault", "error", "polls"),
    [("unauthorized", WorkatoAuthError, 2), ("forbidden", WorkatoPermissionError, 6)],
)
async def test_what_no_later_poll_cures_ends_it(
    sandbox: RunningSandbox, fault: str, error: type[WorkatoError], polls: int, options: dict[str, Any]
) -> None:
    sandbox.control.add_fault(fault, times=None)
    with pytest.raises(error):
        await ends(wait_for(36, **options))
    assert lists(sandbox) == polls


async def test_an_airflow_connection_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WORKATO_DEFAULT")
    with pytest.raises(WorkatoError, match="'workato_default' cannot be read") as caught:
        await ends(wait_for(36, max_failed_polls=2))
    # As on a worker, where Airflow's own error leaves it to retries.
    assert not isinstance(caught.value, AirflowFailException)
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_wrong_argument_ends_it_at_once(sandbox: RunningSandbox) -> None:
    with pytest.raises(WorkatoConfigurationError):
        await ends(wait_for(36, folder_id="x"))
    assert lists(sandbox) == 0


async def test_an_unknown_status_is_said_once(
    sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (odd, *_) = sandbox.control.seed(count=50, authorization_status="pending")

    async with running(wait_for(odd)):
        await until(lambda: lists(sandbox) >= 4)
    # Airflow 3 prints it, Airflow 2 logs it, too.
    said = max(capsys.readouterr().out, caplog.text, key=lambda text: text.count("unknown status"))
    assert said.count(f"Waiting for connection {odd} (unknown status 'pending')") == 1
    assert said.count("unknown status") == 1


# Time


async def test_the_deadline_holds_while_workato_does_not_answer(
    sandbox: RunningSandbox, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkatoConnectionTrigger, "GRACE", 0.1)
    sandbox.control.add_fault("hold", times=None)
    deadline = time.time() + 0.5

    with pytest.raises(AirflowSensorTimeout, match=rf"connection {waiting} \(Workato's list was not rec"):
        await ends(wait_for(waiting, deadline=deadline))
    assert time.time() >= deadline
    assert await asyncio.to_thread(sandbox.control.held), "the call still waits for its answer"
    await asyncio.to_thread(sandbox.control.reset)


@on_airflow_33
async def test_the_deadline_of_a_wait_that_started_there(waiting: int) -> None:
    trigger = wait_for(waiting, poke_interval=3600)
    began = time.monotonic()
    after = timedelta(seconds=0.5 + WorkatoConnectionTrigger.SLACK)
    trigger.timeout_after = datetime.now(UTC) + after  # type: ignore[attr-defined]
    with pytest.raises(AirflowSensorTimeout):
        await ends(trigger)
    assert 0.4 < time.monotonic() - began < 10


@on_airflow_33
@pytest.mark.parametrize(
    ("sensor_timeout", "execution_timeout", "error"),
    [(0.5, 3600, AirflowSensorTimeout), (0.5, 10, AirflowSensorTimeout), (3600, 0.5, AirflowTaskTimeout)],
)
async def test_a_wait_that_started_there_ends_at_the_earlier_of_its_timeouts(
    waiting: int, sensor_timeout: float, execution_timeout: float, error: type[BaseException]
) -> None:
    sensor = WorkatoConnectionSensor(
        task_id="wait",
        connection_id=waiting,
        poke_interval=3600,
        timeout=sensor_timeout,
        execution_timeout=timedelta(seconds=execution_timeout),
        deferrable=True,
        start_from_trigger=True,
    )
    assert sensor.start_trigger_args is not None
    trigger: Any = WorkatoConnectionTrigger(**sensor.start_trigger_args.trigger_kwargs or {})
    trigger.task_instance = deferred_instance(as_stored(sensor))
    given = sensor.start_trigger_args.timeout
    assert given is not None
    # As Airflow 3.3 calculates it when the task starts.
    trigger.timeout_after = datetime.now(UTC) + min(given, timedelta(seconds=execution_timeout))
    began = time.monotonic()
    with pytest.raises(error, match=rf"connection {waiting} \(no status yet.*timeout of 0\.5 s"):
        await ends(trigger)
    assert 0.4 < time.monotonic() - began < 10


@pytest.mark.parametrize("execution_ends_in", [0.5, 3600], ids=["execution_timeout", "timeout"])
async def test_the_earlier_deadline_ends_a_wait(waiting: int, execution_ends_in: float) -> None:
    now = time.time()
    limits = {"deadline": now + 3600.5 - execution_ends_in, "execution_deadline": now + execution_ends_in}
    with pytest.raises(AirflowTaskTimeout if execution_ends_in < 1 else AirflowSensorTimeout):
        await ends(wait_for(waiting, poke_interval=3600, **limits))


@pytest.mark.parametrize("number", [36, None], ids=["authorized", "waiting"])
async def test_a_wait_that_is_overdue_looks_once(
    sandbox: RunningSandbox, waiting: int, number: int | None
) -> None:
    wait = wait_for(number or waiting, poke_interval=3600, since=time.time() - 10, deadline=time.time() - 5)
    says = rf"connection {waiting} \(no status yet, created 20"
    with nullcontext() if number else pytest.raises(AirflowSensorTimeout, match=says):
        assert (await ends(wait))["connections"]
    assert lists(sandbox) == 1


@pytest.mark.parametrize("age", [0, 30], ids=["new", "taken over"])
@pytest.mark.parametrize("accept_newest", [True, False])
async def test_a_wait_that_is_overdue_asks_for_a_list_of_its_own(
    sandbox: RunningSandbox, waiting: int, monkeypatch: pytest.MonkeyPatch, accept_newest: bool, age: float
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 0.1)
    (late,) = sandbox.control.seed([{}])

    async with running(wait_for(waiting, poke_interval=3600)):
        await until(lambda: latest(KEY, max_age=3600))
        sandbox.control.authorize(late)
        overdue = wait_for(
            late,
            poke_interval=3600,
            since=time.time() - age,
            deadline=time.time(),
            accept_newest=accept_newest,
        )
        assert (await asyncio.wait_for(ends(overdue), 10))["connections"]


async def test_a_login_after_the_last_poll_counts(
    sandbox: RunningSandbox, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 0.1)

    deadline = time.monotonic() + 4
    async with running(wait_for(waiting, poke_interval=3600, deadline=time.time() + 4)) as task:
        await until(lambda: latest(KEY, max_age=3600))
        sandbox.control.authorize(waiting)
        assert (await task)["connections"]
    assert time.monotonic() >= deadline
    assert lists(sandbox) == 2


@pytest.mark.usefixtures("impatient")
async def test_an_outage_until_the_deadline_ends_in_the_real_error(
    sandbox: RunningSandbox, waiting: int
) -> None:
    sandbox.control.add_fault("server_error", times=None)
    with pytest.raises(WorkatoServerError, match="3188c2d0") as caught:
        await ends(wait_for(waiting, deadline=time.time() + 0.5, max_failed_polls=10_000))
    assert "TimeoutError" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("impatient")
async def test_an_outage_that_is_over_by_the_deadline_ends_in_a_timeout(
    sandbox: RunningSandbox, waiting: int
) -> None:
    sandbox.control.add_fault("server_error", times=2)
    with pytest.raises(AirflowSensorTimeout, match=rf"connection {waiting} \(no status yet, created 20"):
        await ends(wait_for(waiting, deadline=time.time() + 2))


@pytest.mark.usefixtures("impatient")
async def test_any_number_of_failures_ends_in_a_timeout(sandbox: RunningSandbox, waiting: int) -> None:
    sandbox.control.add_fault("server_error", times=None)
    with pytest.raises(AirflowSensorTimeout):
        await ends(wait_for(waiting, deadline=time.time() + 0.5, max_failed_polls=None))


@on_airflow_33
async def test_a_timeout_calls_a_worker_back_no_earlier_than_a_result(waiting: int, runner: Runner) -> None:
    began = time.time()
    wait = runner.start(wait_for(waiting, since=began, deadline=began, min_seconds=1.5))
    await runner.until(lambda: runner.fired(wait))
    assert time.time() - began >= 1.5


@on_airflow_33
@pytest.mark.usefixtures("impatient")
async def test_a_wait_that_joins_after_a_failed_poll_asks_anew(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, runner: Runner
) -> None:
    monkeypatch.setattr(shared_list, "SOON", 0.1)
    sandbox.control.add_fault("server_error", times=1)

    runner.start(WorkatoConnectionStatusTrigger(poke_interval=3600))
    await runner.until(lambda: latest(KEY, max_age=3600))
    wait = runner.start(wait_for(36, poke_interval=3600, since=time.time(), max_failed_polls=0))
    await runner.until(lambda: runner.fired(wait), deadline=10)
    assert lists(sandbox) == 2


@on_airflow_33
@pytest.mark.usefixtures("impatient")
async def test_a_failed_poll_counts_once_for_a_wait_beside_a_watch(
    sandbox: RunningSandbox, runner: Runner
) -> None:
    sandbox.control.add_fault("server_error", times=1)

    runner.start(WorkatoConnectionStatusTrigger(poke_interval=2))
    await runner.until(lambda: latest(KEY, max_age=2))
    # As after a restart of the triggerer, the wait is older than the failed poll.
    wait = runner.start(wait_for(36, poke_interval=2, since=time.time() - 60, max_failed_polls=1))
    await runner.until(lambda: runner.fired(wait), deadline=10)


async def test_the_deadline_holds_between_two_polls(waiting: int) -> None:
    deadline = time.time() + 0.5
    with pytest.raises(AirflowSensorTimeout, match=rf"connection {waiting} \(no status yet, created 20"):
        await ends(wait_for(waiting, poke_interval=3600, deadline=deadline))
    assert time.time() >= deadline


async def test_the_loop_is_free_while_workato_is_slow(sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("hold")

    async with running(wait_for(36)) as task:
        # A loop that is blocked by the call could not get here before its answer.
        await until(sandbox.control.held)
        assert not task.done()
        await asyncio.to_thread(sandbox.control.release)
        assert (await task)["connections"]


# Lists of others


async def test_a_late_joiner_is_answered_from_the_newest_list(sandbox: RunningSandbox, waiting: int) -> None:
    async with running(wait_for(waiting, poke_interval=3600)):
        await until(lambda: latest(KEY, max_age=3600))
        event = await ends(wait_for(36, poke_interval=3600, accept_newest=True))
        assert [row["id"] for row in event["connections"]] == [36]
        assert lists(sandbox) == 1


@pytest.mark.parametrize(
    "before", [{"authorization_status": "failed"}, {"authorization_status": "success"}, None], ids=str
)
@pytest.mark.parametrize("accept_newest", [True, False])
async def test_an_older_list_proves_no_failure(
    sandbox: RunningSandbox, waiting: int, before: dict[str, Any] | None, accept_newest: bool
) -> None:
    (number,) = sandbox.control.seed([before]) if before else [waiting + 1]

    async with running(wait_for(waiting, poke_interval=1)):
        await until(lambda: latest(KEY, max_age=3600))
        wait = wait_for(
            number,
            poke_interval=1,
            accept_newest=accept_newest,
            since=time.time(),
            # As if a person had been asked again: what counts is the latest question.
            deadline=time.time() + 60,
            timeout=120,
        )
        succeeds = before == {"authorization_status": "success"}
        fails = WorkatoAuthorizationError if before else WorkatoNotFoundError
        with nullcontext() if succeeds else pytest.raises(fails):
            await ends(wait)
        assert lists(sandbox) == (1 if accept_newest and succeeds else 2)


async def test_an_earlier_beginning_counts_a_later_one_does_not(sandbox: RunningSandbox) -> None:
    # The worker's clock is ahead: a list of now must do all the same.
    assert (await ends(wait_for(36, since=time.time() + 3600)))["connections"]
    assert lists(sandbox) == 1


async def test_the_whole_wait_is_what_lasted(
    sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    now = time.time()
    await ends(wait_for(36, since=now, deadline=now + 100, timeout=400))
    await ends(wait_for(36, since=now - 300))
    # Airflow 3 prints it, Airflow 2 logs it, too.
    said = max(capsys.readouterr().out, caplog.text, key=len)
    assert said.count("Authorized after 5 min") == 2


async def test_a_token_that_is_replaced_meanwhile(connect: Connect) -> None:
    row = b'[{"id": 7, "authorization_status": %s}]'
    with listening(token="old", body=row % b"null") as workato:
        connect(host=workato.url, password="old")

        async with running(wait_for(7)) as task:
            await until(lambda: workato.heard)
            connect(host=workato.url, password="new")
            workato.body = row % b'"success"'
            workato.token = "new"
            assert (await task)["connections"]
    assert workato.heard[-1].headers["Authorization"] == "Bearer new"


async def test_filters_narrow_the_list(sandbox: RunningSandbox) -> None:
    await ends(wait_for(36, folder_id="4515", project_id=302, fail_fast=False))
    (request,) = sandbox.control.requests()
    assert request["query"] == "folder_id=4515&project_id=302&include_runtime_connections=true"


# Starting in the triggerer


@on_airflow_33
@pytest.mark.parametrize("ends", [False, True])
async def test_started_by_the_triggerer(sandbox: RunningSandbox, ends: bool) -> None:
    from airflow.triggers.base import TaskSuccessEvent

    from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

    sensor = WorkatoConnectionSensor(
        task_id="wait", connection_id=36, deferrable=True, start_from_trigger=True, end_from_trigger=ends
    )
    assert sensor.start_from_trigger is True
    arguments = sensor.start_trigger_args
    assert arguments is not None
    assert arguments.timeout is not None
    assert arguments.timeout.total_seconds() == sensor.timeout + WorkatoConnectionTrigger.SLACK
    assert arguments.next_method == "execute_complete"

    trigger = WorkatoConnectionTrigger(**arguments.trigger_kwargs or {})
    with supervised() as supervisor:
        event = await only_event(trigger, deferred_instance(as_stored(sensor)))
    assert isinstance(event, TaskSuccessEvent) is ends
    if ends:
        xcoms = supervisor.xcoms()
        result = xcoms.pop("return_value")
    else:
        ti = TaskInstance()
        result = sensor.resume_execution(arguments.next_method, {"event": event.payload}, ti.context)
        xcoms = ti.xcoms
    assert result["id"] == 36
    # No worker had run before, to push the link.
    url = f"{sandbox.url}/connections/36"
    assert xcoms == {"workato_connection_url": url, "_link_WorkatoConnectionLink": url}
