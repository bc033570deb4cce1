"""What a task's log tells of a wait, in each way of waiting."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from packaging.version import Version

from airflow_provider_workato import wait
from airflow_provider_workato.sandbox.client import wait_until
from airflow_provider_workato.sensors import connections
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from airflow_provider_workato.wait import next_reminder
from tests.support import waits
from tests.support.airflow import AIRFLOW, on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.sdk import TaskDeferred
from tests.support.tasks import TaskInstance

POKE = pytest.param(waits.poke, id="poke")
RESCHEDULE = pytest.param(waits.reschedule, id="reschedule")
DEFERRED = pytest.param(waits.deferred, id="deferrable")
ENDED_IN_TRIGGER = pytest.param(waits.ended_in_trigger, id="ended in the trigger", marks=on_airflow_33)

Way = Callable[[waits.MakeSensor, TaskInstance], Any]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return what was logged so far: Airflow 3 prints it, Airflow 2 logs it."""
    printed: list[str] = []
    caplog.set_level("INFO")

    def read() -> str:
        printed.append(capsys.readouterr().out)
        return max("".join(printed), caplog.text, key=lambda text: len(re.findall("onnection", text)))

    return read


def make(wanted: Any, **options: Any) -> waits.MakeSensor:
    def sensor(**mode: Any) -> WorkatoConnectionSensor:
        defaults: dict[str, Any] = {"poke_interval": 0.05, "timeout": 30, "fail_fast": False}
        return WorkatoConnectionSensor(
            task_id="wait", connection_id=wanted, **{**defaults, **options, **mode}
        )

    return sensor


@contextmanager
def meanwhile(sandbox: RunningSandbox, *events: Callable[[], object]) -> Iterator[None]:
    """Let *events* happen one after another, each when two more lists have shown what was before."""

    def run() -> None:
        for event in events:
            least = sandbox.control.counts()["total"] + 2
            wait_until(partial(_called, sandbox, least=least), what="two lists")
            event()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _called(sandbox: RunningSandbox, *, least: int) -> bool:
    return bool(sandbox.control.counts()["total"] >= least)


def denied_then_authorized(sandbox: RunningSandbox, number: int) -> Sequence[Callable[[], object]]:
    return (
        lambda: sandbox.control.fail(number, error="access_denied by the user"),
        lambda: sandbox.control.authorize(number),
    )


@pytest.mark.parametrize("way", [POKE, DEFERRED, ENDED_IN_TRIGGER])
def test_a_wait_tells_how_it_begins_what_changes_and_how_it_ends(
    way: Way,
    sandbox: RunningSandbox,
    make_task_instance: Callable[[], TaskInstance],
    log: Callable[[], str],
) -> None:
    (number,) = sandbox.control.seed([{}])
    with meanwhile(sandbox, *denied_then_authorized(sandbox, number)):
        way(make(number), make_task_instance())
    said = log()
    begins = (
        rf"Waiting for connection {number} \(no status yet\)\. Polling every 0\.05 s until 20\S+ \S+ UTC\."
    )
    assert len(re.findall(begins, said)) == said.count("aiting for connection") == 1
    changes = (
        rf"Connection {number}: no status yet -> failed, after \d+ s\. Reason: access_denied by the user"
    )
    assert len(re.findall(changes, said)) == said.count(" -> ") == 1
    assert len(re.findall(rf"Authorized after \d+ s: connection {number}\.", said)) == 1


def test_a_rescheduled_wait_does_not_tell_of_each_poll(
    sandbox: RunningSandbox, make_task_instance: Callable[[], TaskInstance], log: Callable[[], str]
) -> None:
    (number,) = sandbox.control.seed([{}])
    with meanwhile(sandbox, *denied_then_authorized(sandbox, number)):
        waits.reschedule(make(number), make_task_instance())
    said = log()
    assert sandbox.control.counts()["total"] > 4
    assert said.count("aiting for connection") == said.count(f"Waiting for connection {number} (no ") == 1
    assert f"s: connection {number}." in said


def test_a_rescheduled_wait_knows_when_it_began(
    sandbox: RunningSandbox,
    make_task_instance: Callable[[], TaskInstance],
    monkeypatch: pytest.MonkeyPatch,
    log: Callable[[], str],
) -> None:
    monkeypatch.setattr(wait, "FIRST_REMINDER", 0.3)
    monkeypatch.setattr(connections, "SCHEDULER_DELAY", 0.0)
    (number,) = sandbox.control.seed([{}])
    with pytest.raises(AirflowSensorTimeout):
        waits.reschedule(make(number, timeout=2.5, poke_interval=0.3), make_task_instance())
    said = log()
    assert said.count(f"Waiting for connection {number} (no status yet)") == 1
    # After 0.3, 0.6, 1.2 and 2.4 seconds at most, although there are eight polls.
    reminders = re.findall(rf"Still waiting after \d s for connection {number} \(no status yet\)", said)
    assert 1 <= len(reminders) <= 4
    # All of them give the same deadline.
    assert len(set(re.findall(r"until 20\S+ (\S+) UTC", said))) <= 2


@pytest.mark.parametrize(
    ("delay", "backoff"),
    [
        (8.0, {}),
        (50.0, {}),
        (8.0, {"exponential_backoff": True}),
        (8.0, {"exponential_backoff": True, "max_wait": 600}),
    ],
)
def test_a_rescheduled_wait_loses_no_reminder(delay: float, backoff: dict[str, Any]) -> None:
    """The scheduler is late each time, and backoff makes the intervals longer than *poke_interval*."""
    sensor = make(1, poke_interval=30, **backoff)(mode="reschedule")
    polls, gap = [0.0], 30.0
    while polls[-1] < 86_400:
        polls.append(polls[-1] + gap + delay)
        if backoff:
            gap = min(2 * gap, backoff.get("max_wait", 86_400))
    reminding = [now for now in polls[1:] if now >= next_reminder(now - sensor._longest_gap(now))]
    due = 0.0
    while (due := next_reminder(due)) < 86_400:
        first = next(now for now in polls if now >= due)
        assert first in reminding, f"the reminder after {due:g} s"
    assert backoff or len(reminding) < len(polls) / 4, "most polls say nothing"


@pytest.mark.parametrize("way", [POKE, DEFERRED, ENDED_IN_TRIGGER])
def test_a_long_wait_reminds_now_and_then(
    way: Way,
    sandbox: RunningSandbox,
    make_task_instance: Callable[[], TaskInstance],
    monkeypatch: pytest.MonkeyPatch,
    log: Callable[[], str],
) -> None:
    monkeypatch.setattr(wait, "FIRST_REMINDER", 0.3)
    (number,) = sandbox.control.seed([{}])
    with pytest.raises(AirflowSensorTimeout):
        way(make(number, timeout=6), make_task_instance())
    said = log()
    # After 0.3, 0.6, 1.2, 2.4 and 4.8 seconds at most; a reminder for each list would make a hundred.
    reminders = re.findall(rf"Still waiting after \d s for connection {number} \(no status yet\)", said)
    assert 2 <= len(reminders) <= 5


@pytest.mark.parametrize("way", [DEFERRED, ENDED_IN_TRIGGER])
def test_a_deferral_tells_what_it_takes(
    way: Way, sandbox: RunningSandbox, make_task_instance: Callable[[], TaskInstance], log: Callable[[], str]
) -> None:
    way(make(36), make_task_instance())
    said = log()
    assert (
        said.count("Deferring to the triggerer, to wait for connection 36. Polling every 0.05 s until") == 1
    )
    assert "If no `airflow triggerer` is running, the task stays deferred." in said
    # What is authorized already has no other beginning.
    assert "Waiting for" not in said
    assert re.search(r"Authorized after \d+ s: connection 36\.", said)


@pytest.mark.skipif(Version("3.2") > AIRFLOW, reason=f"on Airflow {AIRFLOW}, triggerers serve no queues")
def test_a_deferral_names_the_queue_that_a_triggerer_must_serve(
    sandbox: RunningSandbox,
    make_task_instance: Callable[[], TaskInstance],
    monkeypatch: pytest.MonkeyPatch,
    log: Callable[[], str],
) -> None:
    import structlog
    from airflow.sdk.execution_time.task_runner import _defer_task

    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    sensor = make(36, queue="a queue")(deferrable=True)
    ti = make_task_instance()
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(ti.context)
    assert "If no `airflow triggerer --queues 'a queue'` is running, the task stays deferred." in log()
    with pytest.raises(AirflowSensorTimeout, match="Start one with `airflow triggerer --queues 'a queue'`"):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)
    # Airflow itself agrees.
    instance: Any = SimpleNamespace(dag_id="dag", task_id="wait", run_id="run", task=sensor)
    message: Any = _defer_task(caught.value, instance, structlog.get_logger())[0]
    assert message.queue == "a queue"


@on_airflow_33
def test_a_wait_that_starts_in_the_triggerer_has_no_queue(
    make_task_instance: Callable[[], TaskInstance], monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    sensor = make(36, queue="a queue", start_from_trigger=True)(deferrable=True)
    with pytest.raises(AirflowSensorTimeout, match="Start one with `airflow triggerer`, and clear"):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, make_task_instance().context)


@pytest.mark.parametrize("way", [POKE, RESCHEDULE, DEFERRED, ENDED_IN_TRIGGER])
def test_a_timeout_names_the_status_and_the_last_attempt(
    way: Way, sandbox: RunningSandbox, make_task_instance: Callable[[], TaskInstance]
) -> None:
    (number,) = sandbox.control.seed([{}])
    sandbox.control.fail(number, error="no")
    (row,) = (row for row in sandbox.control.connections() if row["id"] == number)
    attempted = row["authorized_at"]
    with pytest.raises(AirflowSensorTimeout) as caught:
        way(make(number, timeout=0.5), make_task_instance())
    (moment,) = re.findall(
        rf"waiting for connection {number} \(failed, last attempt (.*) UTC\)", str(caught.value)
    )
    assert moment == f"{datetime.fromisoformat(attempted).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("way", [POKE, DEFERRED])
def test_many_connections_are_not_all_named(
    way: Way, sandbox: RunningSandbox, make_task_instance: Callable[[], TaskInstance], log: Callable[[], str]
) -> None:
    ids = sandbox.control.seed(count=192, authorization_status=None)
    with meanwhile(
        sandbox,
        lambda: sandbox.control.authorize_all(ids[1:]),
        lambda: sandbox.control.authorize(ids[0]),
    ):
        way(make(ids), make_task_instance())
    said = log()
    assert f"connection {ids[4]} (no status yet) and 187 more. Polling" in said
    assert said.count(": no status yet -> authorized, after ") == 5
    assert "The status of 186 more connections changed, too." in said
    assert f": connections {', '.join(map(str, ids[:5]))} and 187 more." in said
    assert max(map(len, said.splitlines())) < 700


@pytest.mark.parametrize("way", [POKE, DEFERRED])
def test_a_status_that_is_not_known_is_a_warning(
    way: Way, sandbox: RunningSandbox, make_task_instance: Callable[[], TaskInstance], log: Callable[[], str]
) -> None:
    (number,) = sandbox.control.seed(count=1, authorization_status="pending")
    with meanwhile(sandbox, lambda: sandbox.control.authorize(number)):
        way(make(number), make_task_instance())
    (line,) = [line for line in log().splitlines() if "unknown status 'pending'" in line and "->" not in line]
    assert "warning" in line.lower()
