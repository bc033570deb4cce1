"""Concurrent, late and interrupted creates make one connection."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.calls import Call
from airflow_provider_workato.client.rate_limiter import RateLimiter
from airflow_provider_workato.exceptions import WorkatoExistsError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning import create_once, locks, search
from airflow_provider_workato.provisioning.identity import Identity
from airflow_provider_workato.sandbox.client import wait_until
from tests.provisioning.test_create_once import ADA, JIRA, Memory, calls, made
from tests.support import creates
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox

BY_NAME: dict[str, Any] = {"name": "A", "provider": "jira", "folder_id": 1892}
fork = multiprocessing.get_context("fork")


class FileRecord:
    """A record in a file, which outlives a killed process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return record

    def write(self, record: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(record))


@contextmanager
def processes(work: Callable[[], object], *, count: int = 1) -> Iterator[list[Any]]:
    """Run *work* in separate processes, and end them."""

    def run() -> None:
        try:
            work()
        finally:
            os._exit(0)

    started = [fork.Process(target=run) for _ in range(count)]
    for process in started:
        process.start()
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.join()


def all_end(started: list[Any]) -> None:
    wait_until(lambda: not any(p.is_alive() for p in started), deadline=60, what="the end of the processes")


def ensure(**arguments: Any) -> Any:
    with WorkatoConnectionsHook() as hook:
        return creates.ensure(hook, **arguments)


# Two at once


@pytest.mark.parametrize("identity", [JIRA, BY_NAME, ADA], ids=["external id", "name", "runtime user"])
def test_concurrent_processes_create_one_connection(
    connect: Connect, sandbox: RunningSandbox, tmp_path: Path, identity: dict[str, Any]
) -> None:
    # Without a lock, all would search before the first creates.
    sandbox.control.add_fault("delay", operation="list_connections", times=None, seconds=0.5)

    def work() -> None:
        number = ensure(**identity)["id"]
        (tmp_path / str(os.getpid())).write_text(str(number))

    with processes(work, count=4) as started:
        all_end(started)
    (row,) = made(sandbox)
    assert [file.read_text() for file in tmp_path.iterdir()] == [str(row["id"])] * 4


def test_concurrent_threads_create_one_connection(connect: Connect, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("delay", operation="list_connections", times=None, seconds=0.5)
    threads = [threading.Thread(target=ensure, kwargs=JIRA) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made(sandbox)) == 1


def test_concurrent_duplicates_create_one_connection_each(
    connect: Connect, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.control.add_fault("reset_before_answer", operation="create_connection", times=3, performed=True)

    def work() -> None:
        (tmp_path / str(ensure(**JIRA, if_exists="duplicate")["id"])).touch()

    with processes(work, count=3) as started:
        all_end(started)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(str(row["id"]) for row in made(sandbox))
    assert len(made(sandbox)) == 3


def test_creates_of_other_connections_do_not_wait(connect: Connect, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("hold", operation="create_connection", performed=False)
    with processes(lambda: ensure(**JIRA)):
        sandbox.control.wait_held()
        assert ensure(**JIRA | {"external_id": "a-2"})["external_id"] == "a-2"


def test_the_wait_for_another_process_has_a_limit(
    connect: Connect, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    from airflow_provider_workato.exceptions import WorkatoBusyError

    connect(read_timeout=30)
    sandbox.control.add_fault("hold", operation="create_connection", performed=False)
    with processes(lambda: ensure(**JIRA)):
        sandbox.control.wait_held()
        connect(retry_budget=0.5, server_timeout=0, read_timeout=0.5)
        with caplog.at_level("INFO"), pytest.raises(WorkatoBusyError, match="for more than 1 s") as caught:
            ensure(**JIRA)
    assert "Another process or thread on this machine is creating this connection" in caplog.text
    assert not isinstance(caught.value, AirflowFailException), "a retry may cure it"
    assert calls(sandbox) == {"list_connections": 1, "create_connection": 1}


def test_a_killed_process_releases_its_lock_and_leaves_a_record_of_its_create(
    connect: Connect, sandbox: RunningSandbox
) -> None:
    connect(server_timeout=20, read_timeout=30, retry_budget=30)
    sandbox.control.add_fault("slow_server", operation="create_connection", performed=False)
    with processes(lambda: ensure(**JIRA)) as (process,):
        sandbox.control.wait_held()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        looked = calls(sandbox)["list_connections"]

        def carry_out() -> None:
            wait_until(
                lambda: calls(sandbox)["list_connections"] > looked, deadline=20, what="the next one's look"
            )
            sandbox.control.release()

        late = threading.Thread(target=carry_out)
        late.start()
        # Another task, which cannot read the record of the killed one.
        connection = ensure(**JIRA)
        late.join()
    assert [row["id"] for row in made(sandbox)] == [connection["id"]]
    assert calls(sandbox)["create_connection"] == 1


def test_an_answered_create_leaves_no_file(connect: Connect, sandbox: RunningSandbox) -> None:
    folder = Path(tempfile.gettempdir(), f"airflow-provider-workato-{os.getuid()}")
    before = set(folder.glob("create-*"))
    ensure(**JIRA)
    ensure(**JIRA)
    assert set(folder.glob("create-*")) == before


def test_without_a_folder_for_temporary_files_there_is_no_lock(
    connect: Connect,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:

    monkeypatch.setattr(locks, "_warned", False)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with caplog.at_level("WARNING"):
        assert ensure(**JIRA)["id"] == ensure(**JIRA)["id"]
    assert caplog.text.count("Creating connections without a lock") == 1


@pytest.mark.parametrize(
    ("times", "oldest"),
    [
        (["2026-01-02T00:00:00Z", "2026-01-01T23:00:00-08:00"], 7),
        (["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"], 8),
        ([None, None], 7),
        (["soon", "2026-01-01T00:00:00"], 7),
    ],
)
def test_the_error_names_the_oldest(times: list[str | None], oldest: int) -> None:
    rows = [{"id": 7 + number, "created_at": time} for number, time in enumerate(times)]
    identity = Identity(provider="jira", external_id="a-1")
    with pytest.raises(
        WorkatoExistsError, match=rf"2 connections match .*: 7, 8\. {oldest} is the oldest"
    ) as caught:
        create_once.only_match(rows, identity)
    assert caught.value.connection_ids == [7, 8]
    assert "delete the others" in str(caught.value)


# A wait of our own before the create


def test_the_create_is_recorded_when_the_request_leaves(connect: Connect, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("rate_limited_seconds", operation="create_connection", seconds=1)
    record = Memory()
    before = time.time()
    ensure(**JIRA, record=record)
    sent = [each["sent_at"] for each in record.written if "sent_at" in each]
    assert len(sent) == 2, "one for each request"
    assert sent[0] < before + 1 <= sent[1]


def test_a_late_row_is_found_though_the_create_had_to_wait(connect: Connect, sandbox: RunningSandbox) -> None:
    connect(server_timeout=2, read_timeout=0.5, retry_budget=30)
    sandbox.control.add_fault("rate_limited_seconds", operation="create_connection", seconds=2)
    sandbox.control.add_fault("slow_server", operation="create_connection", performed=False)

    def carry_out_late() -> None:
        sandbox.control.wait_held()
        looked = calls(sandbox)["list_connections"]
        # The create timed out, and the search for it began.
        wait_until(lambda: calls(sandbox)["list_connections"] > looked, deadline=20, what="the look")
        sandbox.control.release()

    late = threading.Thread(target=carry_out_late)
    late.start()
    connection = ensure(**JIRA)
    late.join()
    assert [row["id"] for row in made(sandbox)] == [connection["id"]]


@pytest.mark.parametrize(
    ("if_exists", "taken"), [("reuse", True), ("update", True), ("fail", None), ("duplicate", False)]
)
def test_a_connection_that_appeared_during_the_wait_is_used(
    connect: Connect,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    if_exists: Any,
    taken: bool | None,
) -> None:
    monkeypatch.setattr(search, "FRESH", 0.5)
    sandbox.control.add_fault("rate_limited_seconds", operation="create_connection", seconds=2)
    theirs: list[int] = []

    def somebody_else() -> None:
        wait_until(lambda: calls(sandbox).get("create_connection"), deadline=20, what="the refused create")
        theirs.extend(sandbox.control.seed([JIRA | {"authorization_status": "success"}]))

    other = threading.Thread(target=somebody_else)
    other.start()
    record = Memory()
    try:
        if taken is None:
            with pytest.raises(WorkatoExistsError):
                ensure(**JIRA, if_exists=if_exists, record=record)
        else:
            connection = ensure(**JIRA, if_exists=if_exists, record=record)
            assert ([connection["id"]] == theirs) is taken
    finally:
        other.join()
    assert calls(sandbox)["create_connection"] == (2 if taken is False else 1)
    assert len(made(sandbox)) == (2 if taken is False else 1)
    if taken is not False:
        assert "sent_at" not in record.written[-1], "a later try must not take it for its own"


def test_a_failed_search_sends_nothing(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_workato.exceptions import WorkatoPermissionError

    monkeypatch.setattr(search, "FRESH", 0.0)
    sandbox.control.add_fault("forbidden", operation="list_connections", skip=1)
    with pytest.raises(WorkatoPermissionError, match="list_connections"):
        ensure(**JIRA)
    assert calls(sandbox) == {"list_connections": 2}


def test_a_long_queue_causes_only_one_more_search(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 0.0)
    ensure(**JIRA)
    assert calls(sandbox) == {"list_connections": 2, "create_connection": 1}


def test_a_process_killed_while_it_waits_for_the_rate_limit_leaves_no_record(
    connect: Connect, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    # One call in a minute and a half: the first create takes the turn.
    connect(calls_per_second=0.011)
    ensure(**JIRA)
    record = FileRecord(tmp_path / "record")
    with processes(lambda: ensure(**JIRA | {"external_id": "a-2"}, record=record)):
        wait_until(lambda: calls(sandbox)["list_connections"] == 2, deadline=20, what="the look")
        # It has searched. If it wrote a record before the rate limiter let it, it would do so now.
        time.sleep(0.5)
    assert record.read() == {}
    assert calls(sandbox)["create_connection"] == 1


def test_many_creates_at_once_keep_to_the_quota(connect: Connect, sandbox: RunningSandbox) -> None:
    # More than two seconds' worth of calls: on a busy machine they arrive closer together than they left.
    sandbox.control.set_quota(list_per_minute=60, calls_per_second=9)
    connect(calls_per_second=4, list_calls_per_minute=6_000)
    numbers = range(12)
    threads = [
        threading.Thread(target=ensure, kwargs=JIRA | {"external_id": f"n-{number}"}) for number in numbers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made(sandbox)) == len(numbers)
    assert calls(sandbox) == {"list_connections": 12, "create_connection": 12}
    assert sandbox.control.counts()["too_many_requests"] == 0


class SlowRecord(Memory):
    """A record whose writes outlast a turn, as Airflow's API server can when it is busy."""

    def write(self, record: dict[str, Any]) -> None:
        time.sleep(1.1)
        super().write(record)


def test_creates_are_sent_even_if_their_records_take_longer_than_a_period(
    connect: Connect, sandbox: RunningSandbox
) -> None:
    sandbox.control.set_quota(list_per_minute=60, calls_per_second=3)
    connect(calls_per_second=2, list_calls_per_minute=6_000)
    records = [SlowRecord() for _ in range(4)]
    threads = [
        threading.Thread(
            target=ensure, daemon=True, kwargs=JIRA | {"external_id": f"n-{n}", "record": record}
        )
        for n, record in enumerate(records)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: not any(thread.is_alive() for thread in threads), deadline=20, what="the creates")
    assert len(made(sandbox)) == len(records)
    assert [sum("sent_at" in each for each in record.written) for record in records] == [1] * 4
    assert sandbox.control.counts()["too_many_requests"] == 0


class Pausing(Memory):
    """A record during whose writes the workspace's quota is used up for a while.

    :param limiter: says when the create may start.
    :param seconds: how long each time.
    """

    def __init__(self, limiter: RateLimiter, *, seconds: float) -> None:
        super().__init__()
        self.moments: list[float] = []
        self._limiter = limiter
        self._seconds = seconds

    def write(self, record: dict[str, Any]) -> None:
        super().write(record)
        if "sent_at" in record:
            self.moments.append(time.monotonic())
            self._limiter.pause(self._seconds)


@pytest.mark.parametrize(("stale", "writes"), [(5.0, 1), (0.1, 3)])
def test_the_record_of_a_create_that_has_to_wait_again(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, stale: float, writes: int
) -> None:
    """It is written when the create may leave, and again if it leaves much later; but not for ever."""
    monkeypatch.setattr(create_once, "_STALE", stale)
    # A quota of its own, which no other test has used.
    connect(calls_per_second=601)
    with WorkatoConnectionsHook() as hook:
        limiter = hook.transport.limiter(Call(endpoint=endpoints.CREATE))
        began = time.monotonic()
        limiter.pause(0.5)
        record = Pausing(limiter, seconds=0.4)
        creates.ensure(hook, **JIRA, record=record)
    assert record.moments[0] - began >= 0.5
    assert len(record.moments) == writes
    (sent,) = (each for each in sandbox.control.requests() if each["operation"] == "create_connection")
    assert sent["at"] - record.moments[-1] >= 0.4, "it kept to the quota all the same"


def test_only_as_many_processes_search_as_can_create_soon(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "MAX_SEARCHING", 2)
    sandbox.control.add_fault("hold", operation="list_connections", times=2)
    threads = [
        threading.Thread(target=ensure, kwargs=JIRA | {"external_id": f"n-{number}"}) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    assert len(sandbox.control.wait_held(count=2)) == 2
    assert calls(sandbox)["list_connections"] == 2, "the others wait for a place"
    sandbox.control.release()
    for thread in threads:
        thread.join()
    assert len(made(sandbox)) == 4
