"""Creates that wait until a person has authorized the connection."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    BaseNotifier,
    TaskDeferred,
    task,
)

from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoNotFoundError,
    WorkatoServerError,
)
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
)
from airflow_provider_workato.sandbox.client import SandboxControl, wait_until
from tests.support.airflow import AIRFLOW, on_airflow_33
from tests.support.dags import own_workspace, run_dag
from tests.support.deferrals import run_through
from tests.support.hook import Connect, hooked
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance
from tests.support.waits import own_poll, resume_with


@pytest.fixture(autouse=True)
def _no_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deferral be as short as it is."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")


class Store:
    """A task state store, which outlives the tries of a task."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = json.loads(json.dumps(value))


class Task(TaskInstance):
    """A task instance that can pull its own XComs, with the store of Airflow 3.3."""

    store: Store | None = None

    @property
    def context(self) -> Any:
        return {**super().context, "dag": DAG("asking", schedule=None)} | (
            {"task_state_store": self.store} if self.store else {}
        )

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.xcoms.get(key)


@pytest.fixture
def ti() -> Task:
    return Task(task_id="create")


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return what was logged: Airflow 3 prints it, Airflow 2 logs it."""
    caplog.set_level("INFO")
    return lambda: caplog.text if AIRFLOW.major == 2 else capsys.readouterr().out


class Outbox(BaseNotifier):
    """A notifier that keeps what it sends."""

    template_fields = ("text",)
    sent: list[tuple[str, Any]]

    def __init__(self, text: str = "{{ workato.url }}") -> None:
        super().__init__()
        self.text = text
        self.sent = []

    def notify(self, context: Any) -> None:
        self.sent.append((self.text, context["workato"]))


class Subject:
    """A template inside a template."""

    template_fields = ("line",)

    def __init__(self) -> None:
        self.line = "{{ workato.url }}"


def post(context: Any) -> None:
    """Notify, as a function."""


OUTBOX_TEXT = "{{ workato.connection.external_id }}: {{ workato.url }}"
ARGUMENTS: dict[str, Any] = {
    "task_id": "create",
    "parent_id": 36,
    "folder_id": 4515,
    "external_id": "ada@example.com",
    "wait_for_authorization": True,
    "poke_interval": 0.05,
    "timeout": 60,
}

Make = Callable[..., Any]


def make_login(**options: Any) -> WorkatoCreateRuntimeUserConnectionOperator:
    return WorkatoCreateRuntimeUserConnectionOperator(**ARGUMENTS | options)


def make_page(**options: Any) -> WorkatoCreateConnectionOperator:
    """Make a create whose connection has to be authorized in Workato."""
    arguments = {**ARGUMENTS, "name": "Sales", "provider": "salesforce"} | options
    del arguments["parent_id"]
    return WorkatoCreateConnectionOperator(**arguments)


def poke(make: Make, ti: TaskInstance) -> Any:
    return make(deferrable=False).execute(ti.context)


def deferred(make: Make, ti: TaskInstance) -> Any:
    return run_through(make, ti)


def in_runner(make: Make, ti: TaskInstance) -> Any:
    return run_through(make, ti, in_runner=True)


WAYS = [
    pytest.param(poke, id="poke"),
    pytest.param(deferred, id="deferrable"),
    pytest.param(in_runner, id="deferrable, in the runner of Airflow 3.3", marks=on_airflow_33),
]


@contextmanager
def person(act: Callable[[], object]) -> Iterator[None]:
    """Let a person act while the block waits."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert errors == []


def told(outbox: Outbox, number: int = 1) -> Any:
    """Wait for a notification and return what its templates were given."""
    return wait_until(
        lambda: outbox.sent[number - 1][1] if len(outbox.sent) >= number else None,
        what=f"notification {number}",
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_next_task_receives_the_id_once_the_person_has_logged_in(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox, control = Outbox("{{ workato.connection.external_id }}: {{ workato.url }}"), sandbox.control

    def log_in() -> None:
        url = told(outbox)["url"]
        # The URL is published before anybody is told.
        assert ti.xcoms["workato_oauth_url"] == ti.xcoms["workato_connection"]["url"] == url
        if AIRFLOW.major > 2:
            assert ti.xcoms["_link_WorkatoOAuthLink"] == url
            assert ti.xcoms["_link_WorkatoConnectionLink"].startswith(f"{sandbox.url}/connections/")
        control.click_authorize(url)

    with person(log_in):
        result = way(lambda **mode: make_login(notifiers=outbox, **mode), ti)

    (row,) = [row for row in control.connections() if row["is_runtime_user"]]
    assert result == row["id"] == ti.xcoms["return_value"]
    assert ti.xcoms["workato_connection"]["authorization_status"] == "success"
    assert ti.xcoms["workato_outcome"]["did"] == "created"
    ((text, about),) = outbox.sent
    assert text == f"ada@example.com: {about['url']}"
    assert about["connection"]["id"] == row["id"]
    assert timedelta(0) < about["expires_at"] - datetime.now(UTC) < timedelta(seconds=60)
    assert about["reason"] is None


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_without_a_login_url_is_authorized_in_workato(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox, control = Outbox(), sandbox.control

    def authorize() -> None:
        about = told(outbox)
        assert about["url"] == f"{sandbox.url}/connections/{about['connection']['id']}"
        control.authorize(about["connection"]["id"])

    with person(authorize):
        result = way(lambda **mode: make_page(notifiers=[outbox], **mode), ti)
    assert control.connection(result)["authorization_status"] == "success"
    assert ti.xcoms["workato_connection"]["authorization_status"] == "success"
    assert "workato_oauth_url" not in ti.xcoms


@pytest.mark.parametrize("make", [make_login, make_page])
@pytest.mark.parametrize("way", WAYS)
def test_a_person_is_reminded(
    way: Callable[[Make, TaskInstance], Any], make: Make, sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox()

    def log_in() -> None:
        first, second, third = (told(outbox, number) for number in (1, 2, 3))
        assert [each["is_reminder"] for each in (first, second, third)] == [False, True, True]
        assert third["url"] == second["url"] == first["url"]
        assert third["expires_at"] - first["expires_at"] < timedelta(seconds=1)
        sandbox.control.authorize(third["connection"]["id"])

    with person(log_in):
        result = way(lambda **mode: make(notifiers=outbox, remind_every=timedelta(seconds=0.2), **mode), ti)
    assert result == ti.xcoms["return_value"]
    # A reminder creates nothing, and asks Workato for no new URL.
    operations = [request["operation"] for request in sandbox.control.requests()]
    assert sum(operation != "list_connections" for operation in operations) == 1


@pytest.mark.parametrize("way", WAYS)
def test_reminders_do_not_move_the_deadline(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox()
    with pytest.raises(AirflowSensorTimeout, match=r"after the specified timeout of 1 s\."):
        way(lambda **mode: make_page(notifiers=outbox, remind_every=0.3, **mode | {"timeout": 1}), ti)
    assert 2 <= len(outbox.sent) <= 4


@pytest.mark.parametrize(
    ("make", "count", "button", "given"),
    [
        (make_login, 1, "Authorize", " and was given to 1 notifier."),
        (make_login, 0, "Authorize", "."),
        (make_page, 2, "Open in Workato", " and was given to 2 notifiers."),
    ],
)
def test_the_log_tells_where_the_url_is(
    make: Make,
    count: int,
    button: str,
    given: str,
    sandbox: RunningSandbox,
    connect: Connect,
    ti: Task,
    log: Callable[[], str],
) -> None:
    with pytest.raises(TaskDeferred):
        make(deferrable=True, notifiers=[Outbox()] * count).execute(ti.context)
    assert f": the URL is behind the button {button!r} on this task's page (tab Details){given}" in log()


@pytest.mark.parametrize("way", WAYS)
def test_after_a_deny_the_task_fails(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox()
    with (
        person(lambda: sandbox.control.click_deny(told(outbox)["url"])),
        pytest.raises(WorkatoAuthorizationError, match=r"denied access\. Clear this task to ask again"),
    ):
        way(lambda **mode: make_login(notifiers=outbox, **mode), ti)
    assert len(outbox.sent) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_person_who_denied_is_asked_again_with_a_new_url(
    way: Callable[[Make, TaskInstance], Any],
    sandbox: RunningSandbox,
    connect: Connect,
    ti: Task,
    log: Callable[[], str],
) -> None:
    outbox, control = Outbox(), sandbox.control

    def think_again() -> None:
        for number in (1, 2):
            control.click_deny(told(outbox, number)["url"])
        about = told(outbox, 3)
        # The link on the task's page is the new one, too.
        assert ti.xcoms["workato_oauth_url"] == about["url"]
        # The old denial alone does not make the task ask a fourth time.
        looked(control)
        control.click_authorize(about["url"])

    with person(think_again):
        result = way(lambda **mode: make_login(notifiers=outbox, ask_again=True, **mode), ti)
    assert result == ti.xcoms["return_value"]
    assert len({text for text, _ in outbox.sent}) == 3
    assert [about["reason"] for _, about in outbox.sent] == [None, *["The user denied access"] * 2]
    assert log().count("'failed': The user denied access. Asking again.") == 2
    assert len({about["expires_at"] for _, about in outbox.sent}) == 1
    assert len([row for row in control.connections() if row["is_runtime_user"]]) == 1


def test_a_template_inside_a_notifiers_template_gets_the_new_url_too(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    subject: Any = Subject()
    outbox: Any = Outbox(subject)

    def think_again() -> None:
        sandbox.control.click_deny(told(outbox)["url"])
        sandbox.control.click_authorize(told(outbox, 2)["url"])

    with person(think_again):
        poke(lambda **mode: make_login(notifiers=outbox, ask_again=True, **mode), ti)
    assert [subject.line for subject, _ in outbox.sent] == [about["url"] for _, about in outbox.sent]


def test_a_template_field_that_cannot_be_copied_is_used_as_it_is(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox: Any = Outbox()
    outbox.text = [threading.Lock()]
    with pytest.raises(TaskDeferred):
        make_login(notifiers=outbox, deferrable=True).execute(ti.context)
    assert len(outbox.sent) == 1


def test_a_deny_does_not_restart_the_clock(sandbox: RunningSandbox, connect: Connect, ti: Task) -> None:
    outbox = Outbox()
    options = {
        "notifiers": outbox,
        "ask_again": True,
        "deferrable": True,
        "execution_timeout": timedelta(minutes=5),
    }
    with pytest.raises(TaskDeferred) as first:
        make_login(**options).execute(ti.context)
    sandbox.control.click_deny(outbox.sent[0][1]["url"])
    fired = asyncio.run(own_poll(first.value.trigger))
    # Before Airflow 3.3, it is the start of the process.
    ti.start_date += timedelta(minutes=1)
    with pytest.raises(TaskDeferred) as second:
        make_login(**options).resume_execution(*resume_with(fired, first.value.method_name), ti.context)
    before, now = first.value.trigger, second.value.trigger
    assert (now.timeout, now.deadline, now.execution_deadline) == (
        before.timeout,
        before.deadline,
        before.execution_deadline,
    )
    # What came before the latest question proves nothing.
    assert now.since > before.since


class TestResume:
    """A worker resumes a task some time after the triggerer saw a login fail."""

    @pytest.fixture
    def outbox(self) -> Outbox:
        return Outbox()

    def denied(self, outbox: Outbox, ti: Task, control: SandboxControl, **options: Any) -> Callable[[], Any]:
        """Wait until the triggerer has seen a Deny; return what resumes the task."""
        options |= {"notifiers": outbox, "ask_again": True, "deferrable": True}
        with pytest.raises(TaskDeferred) as deferral:
            make_login(**options).execute(ti.context)
        control.click_deny(outbox.sent[0][1]["url"])
        fired = asyncio.run(own_poll(deferral.value.trigger))
        method, arguments = resume_with(fired, deferral.value.method_name)
        listed_at = arguments["event"]["listed_at"]
        wait_until(lambda: time.time() > listed_at + ARGUMENTS["poke_interval"], what="an interval")
        return lambda: make_login(**options).resume_execution(method, arguments, ti.context)

    def test_a_person_who_has_logged_in_since_is_not_asked(
        self, outbox: Outbox, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        resume = self.denied(outbox, ti, sandbox.control)
        number = outbox.sent[0][1]["connection"]["id"]
        sandbox.control.authorize(number)
        assert resume() == number
        assert ti.xcoms["workato_connection"]["authorization_status"] == "success"
        assert len(outbox.sent) == 1

    @pytest.mark.parametrize("change", ["none", "disconnected", "outage", "forbidden"])
    def test_a_person_who_has_not_is_asked(
        self, change: str, outbox: Outbox, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        connect(retry_budget=0)
        ti.store = Store()
        resume = self.denied(outbox, ti, sandbox.control)
        if change == "disconnected":
            with hooked(connect) as hook:
                hook.disconnect_connection(outbox.sent[0][1]["connection"]["id"])
        elif change == "outage":
            sandbox.control.add_fault("server_error", operation="list_connections")
        elif change == "forbidden":
            sandbox.control.add_fault("forbidden", operation="list_connections")
        with pytest.raises(TaskDeferred):
            resume()
        assert [about["reason"] for _, about in outbox.sent] == [None, "The user denied access"]

    def test_the_next_login_leads_where_the_first_did(
        self, outbox: Outbox, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        resume = self.denied(outbox, ti, sandbox.control, redirect_url="https://acme.example/thanks")
        with pytest.raises(TaskDeferred):
            resume()
        assert sandbox.control.click_authorize(outbox.sent[1][1]["url"]) == 303

    def test_a_connection_that_was_deleted_meanwhile(
        self, outbox: Outbox, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        resume = self.denied(outbox, ti, sandbox.control)
        sandbox.control.delete(outbox.sent[0][1]["connection"]["id"])
        with pytest.raises(WorkatoNotFoundError):
            resume()
        assert len(outbox.sent) == 1

    def test_nobody_is_asked_after_the_deadline(
        self, outbox: Outbox, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        resume = self.denied(outbox, ti, sandbox.control, timeout=2)
        wait_until(lambda: datetime.now(UTC) > outbox.sent[0][1]["expires_at"], what="the deadline")
        with pytest.raises(AirflowSensorTimeout, match=r"connection \d+ \(failed, last attempt"):
            resume()
        assert len(outbox.sent) == 1


def looked(control: SandboxControl) -> None:
    """Wait until the list has been read again."""
    before = control.counts()["by_operation"].get("list_connections", 0)
    wait_until(
        lambda: control.counts()["by_operation"].get("list_connections", 0) > before + 1, what="two looks"
    )


@pytest.mark.parametrize("state", ["lost", "failed"])
@pytest.mark.parametrize("way", WAYS)
def test_a_lost_or_failed_connection_is_authorized_again(
    way: Callable[[Make, TaskInstance], Any],
    state: str,
    sandbox: RunningSandbox,
    connect: Connect,
    ti: Task,
) -> None:
    outbox, control = Outbox(), sandbox.control
    (number,) = control.seed(
        [
            {
                "is_runtime_user": True,
                "provider": "salesforce",
                "parent_id": 36,
                "external_id": "ada@example.com",
                "authorization_status": "success",
            }
        ]
    )
    if state == "lost":
        control.lose(number, reason="token expired")
    else:
        control.fail(number, error="token expired")

    def log_in() -> None:
        about = told(outbox)
        assert about["reason"] == "token expired"
        looked(control)
        control.click_authorize(about["url"])

    with person(log_in):
        assert way(lambda **mode: make_login(notifiers=outbox, **mode), ti) == number
    assert len(outbox.sent) == 1
    assert ti.xcoms["workato_outcome"]["did"] == "reused"


SHELL: dict[str, Any] = {"input": {"client": "acme-corp"}, "shell_connection": True}
REFUSAL = "The org acme-corp does not allow this user to log in"


@pytest.mark.parametrize("way", WAYS)
def test_an_earlier_error_that_quotes_the_input_does_not_end_the_wait(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox, control = Outbox(), sandbox.control
    number = make_page(wait_for_authorization=False, **SHELL).execute(ti.context)
    control.fail(number, error=REFUSAL)

    def authorize() -> None:
        assert told(outbox)["reason"] == "The org *** does not allow this user to log in"
        looked(control)
        control.authorize(number)

    with person(authorize):
        assert way(lambda **mode: make_page(notifiers=outbox, **SHELL, **mode), ti) == number
    assert len(outbox.sent) == 1


@pytest.mark.parametrize("way", WAYS)
def test_nobody_is_shown_the_input_that_an_app_quotes_while_the_task_waits(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox, control = Outbox(), sandbox.control

    def fail_twice() -> None:
        number = told(outbox)["connection"]["id"]
        control.fail(number, error=REFUSAL)
        told(outbox, 2)
        control.lose(number, reason=REFUSAL)
        told(outbox, 3)
        control.delete(number)

    with person(fail_twice), pytest.raises(WorkatoNotFoundError):
        way(lambda **mode: make_page(notifiers=outbox, ask_again=True, **SHELL, **mode), ti)
    assert len(outbox.sent) == 3
    assert "acme-corp" not in repr((outbox.sent, ti.xcoms))


@pytest.mark.parametrize("way", WAYS)
def test_the_error_of_a_failed_wait_does_not_quote_the_input(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox, control = Outbox(), sandbox.control
    with (
        person(lambda: control.fail(told(outbox)["connection"]["id"], error=REFUSAL)),
        pytest.raises(WorkatoAuthorizationError, match=r"The org \*\*\* does not allow") as raised,
    ):
        way(lambda **mode: make_page(notifiers=outbox, **SHELL, **mode), ti)
    assert "acme-corp" not in repr((raised.value, vars(raised.value)))


#: The second word is longer than what a task without the credentials shows of a message.
PASSPHRASE = f"river = stone{'y' * 400} k<9Fh>QzWolf"


@pytest.mark.parametrize("way", WAYS)
def test_no_part_of_a_secret_is_left(
    way: Callable[[Make, TaskInstance], Any],
    sandbox: RunningSandbox,
    connect: Connect,
    ti: Task,
    log: Callable[[], str],
) -> None:
    outbox, control = Outbox(), sandbox.control
    options = {"input": {"passphrase": PASSPHRASE}, "shell_connection": True, "notifiers": outbox}
    with (
        person(lambda: control.fail(told(outbox)["connection"]["id"], error=f"{PASSPHRASE} is wrong")),
        pytest.raises(WorkatoAuthorizationError, match=r": \*\*\* is wrong\.") as raised,
    ):
        way(lambda **mode: make_page(**options, **mode), ti)
    shown = repr((raised.value, ti.xcoms)) + log()
    assert [part for part in ("river", "stone", "yyy", "QzWolf") if part in shown] == []


def test_another_workspace_is_not_a_replaced_token(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    """Its connections have other ids."""
    outbox, control = Outbox(), sandbox.control

    def move() -> None:
        told(outbox)
        connect(host="http://127.0.0.1:9", password="new")
        control.set_tokens("new")

    with person(move), pytest.raises(WorkatoAuthError):
        make_page(notifiers=outbox).execute(ti.context)


@pytest.mark.parametrize("make", [make_login, make_page])
def test_a_wait_on_a_worker_reads_a_replaced_token(
    make: Make, sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox, control = Outbox(), sandbox.control

    def rotate() -> None:
        number = told(outbox)["connection"]["id"]
        connect(password="new")
        control.set_tokens("new")
        control.authorize(number)

    with person(rotate):
        number = make(notifiers=outbox).execute(ti.context)
    assert control.connection(number)["authorization_status"] == "success"


@pytest.mark.parametrize("make", [make_login, make_page])
def test_an_authorized_connection_is_returned_at_once(
    make: Make, sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    number = make(wait_for_authorization=False).execute(ti.context)
    sandbox.control.authorize(number)
    sandbox.control.clear_requests()
    outbox = Outbox()
    assert make(notifiers=outbox, deferrable=True).execute(ti.context) == number
    assert outbox.sent == []
    assert [row["operation"] for row in sandbox.control.requests()] == ["list_connections"]


@pytest.mark.parametrize("make", [make_login, make_page])
def test_without_the_option_nothing_waits(
    make: Make, sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox()
    number = make(wait_for_authorization="no", notifiers=outbox, deferrable=True).execute(ti.context)
    assert sandbox.control.connection(number)["authorization_status"] is None
    assert outbox.sent == []


@pytest.mark.parametrize("way", WAYS)
def test_nobody_logs_in(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    with pytest.raises(AirflowSensorTimeout, match=r"connection \d+ \(no status yet"):
        way(lambda **mode: make_login(timeout=0.5, **mode), ti)


def test_the_message_names_the_connection_if_no_triggerer_ran(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    with pytest.raises(TaskDeferred):
        make_login(deferrable=True).execute(ti.context)
    (row,) = [row for row in sandbox.control.connections() if row["is_runtime_user"]]
    with pytest.raises(AirflowSensorTimeout, match=f"connection {row['id']}"):
        make_login().resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)


def test_a_wait_whose_xcoms_were_deleted_says_so(ti: Task) -> None:
    with pytest.raises(WorkatoError, match=r"XCom 'workato_connection' is missing.* Clear the task"):
        make_login().resume_execution("execute_complete", {"event": {}}, ti.context)


@pytest.mark.parametrize("way", WAYS)
def test_the_connection_is_deleted_meanwhile(
    way: Callable[[Make, TaskInstance], Any], sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox()
    with (
        person(lambda: sandbox.control.delete(told(outbox)["connection"]["id"])),
        pytest.raises(WorkatoNotFoundError),
    ):
        way(lambda **mode: make_login(notifiers=outbox, ask_again=True, **mode), ti)


class BrokenNotifier(BaseNotifier):
    """A notifier that fails until it is repaired."""

    def __init__(self) -> None:
        super().__init__()
        self.error: OSError | None = OSError("the mail server refused the message")
        # A list, which the copy that is called shares.
        self.calls: list[str] = []

    def notify(self, context: Any) -> None:
        self.calls.append(context["workato"]["url"])
        if self.error is not None:
            raise self.error


class AsyncNotifier(BaseNotifier):
    # The mistake that the test is about.
    async def notify(self, context: Any) -> None:  # type: ignore[override]
        raise AssertionError("nobody awaits this")


async def notify_later(context: Any) -> None:
    raise AssertionError("nobody awaits this")


def test_after_a_notifier_that_failed_the_next_try_goes_on_with_it(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    ti.store = Store()
    first, broken, last = Outbox(), BrokenNotifier(), Outbox()
    with pytest.raises(OSError, match="refused the message"):
        make_login(notifiers=[first, broken, last], deferrable=True).execute(ti.context)
    assert last.sent == []
    broken.error = None
    with pytest.raises(TaskDeferred):
        make_login(notifiers=[first, broken, last], deferrable=True).execute(ti.context)
    assert (len(first.sent), len(broken.calls), len(last.sent)) == (1, 2, 1)
    assert last.sent[0][1]["url"] == first.sent[0][1]["url"]
    assert sandbox.control.requests(operation="get_oauth_url") == []


def test_after_a_change_of_the_notifiers_all_are_called(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    ti.store = Store()
    first, second = Outbox(), Outbox()
    with pytest.raises(OSError, match="refused the message"):
        make_login(notifiers=[first, BrokenNotifier()], deferrable=True).execute(ti.context)
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            make_login(notifiers=[second], deferrable=True).execute(ti.context)
    assert (len(first.sent), len(second.sent)) == (1, 1)
    assert second.sent[0][1]["url"] == first.sent[0][1]["url"]


@pytest.mark.parametrize("notifier", [AsyncNotifier(), notify_later])
def test_an_asynchronous_notifier_is_refused(
    notifier: Any, sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    ti.store = Store()
    with pytest.raises(WorkatoConfigurationError, match="asynchronous"):
        make_login(notifiers=notifier, deferrable=True).execute(ti.context)
    assert ti.store.kept["workato_asked"]["notified"] == 0


class TestRetry:
    def test_a_retry_creates_nothing_and_notifies_no_one(
        self, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        ti.store = Store()
        outbox = Outbox()
        for try_number in (1, 2):
            ti.try_number = try_number
            ti.xcoms.clear()
            with pytest.raises(TaskDeferred):
                make_login(notifiers=outbox, deferrable=True).execute(ti.context)
            # Airflow clears the XComs before a try.
            assert ti.xcoms["workato_oauth_url"] == outbox.sent[0][1]["url"]
        assert len(outbox.sent) == 1
        assert len([row for row in sandbox.control.connections() if row["is_runtime_user"]]) == 1
        assert sandbox.control.requests(operation="get_oauth_url") == []

    def test_before_airflow_33_a_retry_asks_again(
        self, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        outbox = Outbox()
        for _ in range(2):
            with pytest.raises(TaskDeferred):
                make_login(notifiers=outbox, deferrable=True).execute(ti.context)
        assert len(outbox.sent) == 2
        assert len([row for row in sandbox.control.connections() if row["is_runtime_user"]]) == 1

    def test_a_cleared_task_asks_again(self, sandbox: RunningSandbox, connect: Connect, ti: Task) -> None:
        ti.store = Store()
        outbox = Outbox()
        for max_tries in (0, 1):
            ti.max_tries = max_tries
            with pytest.raises(TaskDeferred):
                make_login(notifiers=outbox, deferrable=True).execute(ti.context)
        assert len({about["url"] for _, about in outbox.sent}) == 2

    def test_a_retry_after_a_deny_needs_a_new_url(
        self, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        ti.store = Store()
        outbox = Outbox()
        with pytest.raises(TaskDeferred):
            make_login(notifiers=outbox, deferrable=True).execute(ti.context)
        sandbox.control.click_deny(outbox.sent[0][1]["url"])
        with pytest.raises(TaskDeferred):
            make_login(notifiers=outbox, deferrable=True).execute(ti.context)
        assert len({about["url"] for _, about in outbox.sent}) == 2

    def test_a_task_that_dies_before_it_defers_asks_on_the_next_try(
        self, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        ti.store = Store()
        outbox = Outbox()

        def dies(context: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_login(notifiers=dies, deferrable=True).execute(ti.context)
        with pytest.raises(TaskDeferred):
            make_login(notifiers=outbox, deferrable=True).execute(ti.context)
        assert len(outbox.sent) == 1
        assert len([row for row in sandbox.control.connections() if row["is_runtime_user"]]) == 1

    def test_a_wait_that_an_outage_ended_goes_on_with_the_same_url(
        self, sandbox: RunningSandbox, connect: Connect, ti: Task
    ) -> None:
        connect(retry_budget=0)
        ti.store = Store()
        outbox = Outbox()
        options = {"notifiers": outbox, "max_failed_polls": 0}
        sandbox.control.add_fault("server_error", operation="list_connections", times=None, skip=1)
        with pytest.raises(WorkatoServerError):
            run_through(lambda **mode: make_login(**options, **mode), ti)
        sandbox.control.clear_faults()
        ti.try_number = 2
        sandbox.control.click_authorize(outbox.sent[0][1]["url"])
        run_through(lambda **mode: make_login(**options, **mode), ti)
        assert len(outbox.sent) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wait_for_authorization": "perhaps"}, "wait_for_authorization must be true or false"),
        ({"poke_interval": 0}, "poke_interval must be a number of seconds"),
        ({"timeout": -1}, "timeout must be a number of seconds"),
        ({"ask_again": "perhaps"}, "ask_again must be true or false"),
        ({"deferrable": "perhaps"}, "deferrable must be true or false"),
        ({"notifiers": "ops@example.com"}, "notifiers must be an Airflow notifier, .* not str"),
        ({"notifiers": [print, None]}, "notifiers must be an Airflow notifier, .* not NoneType"),
        ({"notifiers": 5}, "notifiers must be an Airflow notifier, .* not int"),
        ({"notifiers": {Outbox}}, "notifiers must be an Airflow notifier, .* not the class Outbox; call it"),
        ({"notifiers": Outbox}, "notifiers must be an Airflow notifier, .* not the class Outbox; call it"),
        ({"notifiers": task(post)}, "notifiers must be an Airflow notifier, .* not a @task function"),
        ({"max_failed_polls": "five"}, "max_failed_polls must be a whole number"),
        ({"max_failed_polls": -1}, "max_failed_polls must be a whole number"),
    ],
)
@pytest.mark.parametrize("make", [make_login, make_page])
def test_bad_options_are_refused_when_the_dag_is_parsed(
    make: Make, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(WorkatoConfigurationError, match=message):
        make(**options)


@pytest.mark.parametrize("make", [make_login, make_page])
def test_a_template_that_is_no_flag_is_refused_before_a_request_leaves(
    make: Make, sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    operator = make(wait_for_authorization="{{ params.wait }}")
    operator.wait_for_authorization = "perhaps"
    with pytest.raises(WorkatoConfigurationError, match="wait_for_authorization"):
        operator.execute(ti.context)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("make", [make_login, make_page])
def test_flags_may_be_strings(make: Make) -> None:
    operator = make(ask_again="false", deferrable="no")
    assert (operator.ask_again, operator.deferrable) == (False, False)


def test_default_args_of_the_dag_apply() -> None:
    with DAG("defaults", schedule=None, default_args={"timeout": 5, "deferrable": True, "ask_again": True}):
        for operator in (make_login(task_id="login"), make_page(task_id="page")):
            assert (operator.deferrable, operator.ask_again) == (True, True)


@pytest.mark.parametrize(
    "option",
    [
        {"ask_again": True},
        {"notifiers": Outbox()},
        {"deferrable": True},
        {"poke_interval": 5},
        {"timeout": 60},
        {"max_failed_polls": 3},
    ],
    ids=lambda option: next(iter(option)),
)
def test_an_option_of_a_wait_that_was_not_asked_for(option: dict[str, Any]) -> None:
    def make(**options: Any) -> WorkatoCreateConnectionOperator:
        return WorkatoCreateConnectionOperator(
            **{"task_id": "create", "name": "Sales", "provider": "jira"} | options
        )

    (name,) = option
    with pytest.raises(WorkatoConfigurationError, match=f"^{name} of task 'create' would have no effect"):
        make(**option)
    # A switch, a template, and what a DAG sets for all of its tasks.
    make(**option, wait_for_authorization=False)
    make(**option, wait_for_authorization="{{ params.wait }}")
    make(timeout=None, notifiers=[], deferrable=False)
    with DAG("defaults", schedule=None, default_args=option):
        make()
        mapped = WorkatoCreateConnectionOperator.partial(task_id="mapped", provider="jira").expand(name=["a"])
    assert mapped.unmap({"name": "a"}).task_id == "mapped"
    with DAG("waits", schedule=None, default_args={"wait_for_authorization": True}):
        make(**option)


def test_airflows_default_deferrable_is_not_an_option_of_a_wait() -> None:
    """Airflow's setting becomes the default of the argument when the module is imported."""
    code = (
        "from airflow_provider_workato.operators import connections\n"
        "create = connections.WorkatoCreateConnectionOperator(task_id='c', name='Sales', provider='jira')\n"
        "assert create.deferrable"
    )
    environment = os.environ | {"AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_nobody_is_asked_again_after_execution_timeout(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox("{{ workato.expires_at.timestamp() }}")
    options = {"notifiers": outbox, "ask_again": True, "execution_timeout": timedelta(minutes=5)}
    with pytest.raises(TaskDeferred) as deferred:
        make_login(timeout=3600, deferrable=True, **options).execute(ti.context)
    ends = deferred.value.trigger.execution_deadline
    assert ends == ti.start_date.timestamp() + 300
    assert float(outbox.sent[0][0]) == pytest.approx(ends)
    sandbox.control.click_deny(outbox.sent[0][1]["url"])
    fired = asyncio.run(own_poll(deferred.value.trigger))
    fired.payload["execution_deadline"] = time.time() - 1
    resumed = make_login(timeout=3600, deferrable=True, **options)
    with pytest.raises(AirflowTaskTimeout, match=r"connection \d+ \(failed, .* execution_timeout of 300 s"):
        resumed.resume_execution(*resume_with(fired, deferred.value.method_name), ti.context)
    assert len(outbox.sent) == 1


def test_a_wait_may_last_longer_than_the_calendar(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    outbox = Outbox("{{ workato.expires_at.year }}")
    with pytest.raises(TaskDeferred) as deferral:
        make_login(deferrable=True, notifiers=outbox, timeout=1e12).execute(ti.context)
    assert [text for text, _ in outbox.sent] == ["9999"]
    # Airflow calculates its own timeout in the same way.
    assert datetime.now(UTC) + deferral.value.timeout > datetime(2100, 1, 1, tzinfo=UTC)


def test_a_list_from_before_a_loss_proves_nothing(
    sandbox: RunningSandbox, connect: Connect, ti: Task
) -> None:
    with pytest.raises(TaskDeferred) as deferral:
        make_login(deferrable=True).execute(ti.context)
    assert deferral.value.trigger.accept_newest is False


def test_mapped_tasks_ask_and_fail_for_themselves(airflow_db: None) -> None:
    with own_workspace() as process:

        def answer(context: Any) -> None:
            about = context["workato"]
            denies = about["connection"]["external_id"] == "grace"
            (process.control.click_deny if denies else process.control.click_authorize)(about["url"])

        with DAG("mapped_logins", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
            WorkatoCreateRuntimeUserConnectionOperator.partial(
                **{name: value for name, value in ARGUMENTS.items() if name != "external_id"},
                notifiers=answer,
                deferrable=True,
                map_index_template="{{ task.external_id }}",
            ).expand(external_id=["ada", "grace", "joan"])
        run = run_dag(dag)
        rows = {row["id"]: row for row in process.control.connections()}
    assert run.states == {"create[0]": "success", "create[1]": "failed", "create[2]": "success"}
    users = [rows[run.xcom("create", map_index=index)]["external_id"] for index in range(3)]
    assert users == ["ada", "grace", "joan"]
    assert [ti.rendered_map_index for _, ti in sorted(run.instances.items())] == users


def stored_form(dag: DAG) -> Any:
    """Return what Airflow stores of a DAG."""
    from airflow.serialization import serialized_objects

    module: Any = serialized_objects
    return (getattr(module, "DagSerialization", None) or module.SerializedDAG).to_dict(dag)


def test_a_mapped_task_with_a_notifier_is_stored_alike_each_time() -> None:
    """Airflow 3 would make a new version of the DAG whenever it parses the file."""

    def stored() -> Any:
        with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
            options = {**ARGUMENTS, "notifiers": Outbox()}
            del options["external_id"]
            WorkatoCreateRuntimeUserConnectionOperator.partial(**options).expand(external_id=["a", "b"])
        return stored_form(dag)["dag"]["tasks"]

    assert stored() == stored()
