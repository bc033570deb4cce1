"""The trigger that waits for connections without a worker.

It reads statuses from the list, since https://docs.workato.com/en/workato-api/connections.html has no call
for a single connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_workato.arguments import connection_ids, drop_none
from airflow_provider_workato.authorization import (
    State,
    Verdict,
    judge,
    pending_text,
    settles,
    state_for_wait,
)
from airflow_provider_workato.client.answers import SAID, WorkatoConnection, single_or_list
from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoError, for_traceback
from airflow_provider_workato.links.connections import WorkatoConnectionLink, link_xcoms
from airflow_provider_workato.progress import Progress
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.shared_list import Follower, PollFailed, Snapshot, follow
from airflow_provider_workato.version_compat import AIRFLOW_3_3, AirflowFailException, XCom

if TYPE_CHECKING:
    from airflow_provider_workato.triggers.rows import ListedConnection

#: The statuses of an event.
SETTLED = "settled"
TIMED_OUT = "timeout"
EXECUTION_TIMED_OUT = "execution_timeout"


class WorkatoConnectionTrigger(ConnectionListTrigger):
    """Wait until connections are authorized, or the wait cannot succeed any more.

    Yields one event: ``{"status": "settled", "connections": [...]}``, which the sensor judges as it would on
    a worker, or ``{"status": "timeout", "pending": "connection 36 (no status yet)"}``, with the status
    ``execution_timeout`` if that was over first. With *end_from_trigger*, a success ends the task directly.

    Triggers with the same Airflow connection and filters share one poll.

    :param connection_id: the connection, or a list of them.
    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists.
    :param folder_id: look in this folder's list only.
    :param project_id: look in this project's list only.
    :param external_id: look only among the connections with this external id.
    :param fail_fast: give up on the first connection that failed or was lost.
    :param known_failures: the marks of failures that happened before the wait and do not end it, from
        :func:`~airflow_provider_workato.authorization.failure_mark`.
    :param max_failed_polls: how many polls in a row may fail; ``None`` for any number of failures that a
        retry could cure, and the default number of others. A rejected API token (401) may fail once.
        Each poll repeats its call for the Airflow connection's retry budget before it fails.
    :param deadline: when to give up, in seconds since the epoch; kept across triggerer restarts. At the
        deadline, the wait looks once more; a wait that starts later looks once.
    :param execution_deadline: when the task's ``execution_timeout`` is over, in seconds since the epoch;
        ``None`` without one. The earlier of the two ends the wait.
    :param since: when the task was deferred, in seconds since the epoch. An older list does not prove a
        failure.
    :param began: when the whole wait began, for the log; ``None`` for *since*. A task that asks a person
        again is deferred again.
    :param accept_newest: accept a list that was fetched up to one *poke_interval* before the wait began as
        proof of success.
    :param end_from_trigger: end the task in the triggerer, without a worker, if all connections are
        authorized (Airflow 3.3 and later).
    :param do_xcom_push: push the connections as the result of a task that ends in the triggerer.
    :param dag_result: the task's result is the DAG run's result, too.
    :param quote_app: whether the log and the event may quote what the app says. False for a task with
        credentials, which the app's message can repeat: only the task can find them there.
    :param min_seconds: the shortest time in seconds before a worker resumes the task.
    """

    #: Without this, a triggerer that serves a queue would not pick up the waits of that queue's tasks.
    supports_triggerer_queue = True

    list_filters: ClassVar[tuple[str, ...]] = ("folder_id", "project_id", "external_id")

    #: For how many seconds after its deadline a wait may still get its last list.
    GRACE = 60.0

    #: Seconds between the deadline and Airflow's own timeout, beside *min_seconds*: more than the grace.
    SLACK = 90.0

    #: The longest timeout in seconds to give to Airflow, which adds it to the date: a year has four digits.
    LONGEST = 100 * 365 * 86_400.0

    #: How many polls in a row may fail by default.
    MAX_FAILED_POLLS = 5

    def __init__(
        self,
        *,
        connection_id: int | str | Sequence[int | str],
        workato_conn_id: str,
        poke_interval: timedelta | float | str = 30.0,
        folder_id: int | str | None = None,
        project_id: int | str | None = None,
        external_id: str | None = None,
        fail_fast: bool = True,
        known_failures: Sequence[str] = (),
        max_failed_polls: int | None = MAX_FAILED_POLLS,
        deadline: float | None = None,
        execution_deadline: float | None = None,
        since: float | None = None,
        began: float | None = None,
        accept_newest: bool = False,
        end_from_trigger: bool = False,
        do_xcom_push: bool = True,
        dag_result: bool = False,
        quote_app: bool = True,
        min_seconds: float = 0.0,
    ) -> None:
        super().__init__(workato_conn_id=workato_conn_id, poke_interval=poke_interval)
        self.connection_id = connection_id
        self.folder_id = folder_id
        self.project_id = project_id
        self.external_id = external_id
        self.fail_fast = fail_fast
        # Thousands of waits share one empty tuple.
        self.known_failures = tuple(known_failures)
        self.max_failed_polls = max_failed_polls
        self.deadline = deadline
        self.execution_deadline = execution_deadline
        self.since = since
        self.began = began
        self.accept_newest = accept_newest
        self.end_from_trigger = end_from_trigger
        self.do_xcom_push = do_xcom_push
        self.dag_result = dag_result
        self.quote_app = quote_app
        self.min_seconds = min_seconds
        self._rows: Sequence[ListedConnection | None] = ()
        self._failure: WorkatoError | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which contain no credentials."""
        return (
            "airflow_provider_workato.triggers.connections.WorkatoConnectionTrigger",
            {
                "connection_id": self.connection_id,
                "workato_conn_id": self.workato_conn_id,
                "poke_interval": self.poke_interval,
                "folder_id": self.folder_id,
                "project_id": self.project_id,
                "external_id": self.external_id,
                "fail_fast": self.fail_fast,
                "known_failures": list(self.known_failures),
                "max_failed_polls": self.max_failed_polls,
                "deadline": self.deadline,
                "since": self.since,
                "began": self.began,
                "accept_newest": self.accept_newest,
                "end_from_trigger": self.end_from_trigger,
                "do_xcom_push": self.do_xcom_push,
                "dag_result": self.dag_result,
                # An earlier release does not know it.
                **({} if self.quote_app else {"quote_app": False}),
                **drop_none(execution_deadline=self.execution_deadline),
                "min_seconds": self.min_seconds,
            },
        )

    def airflow_timeout(self, seconds: float) -> timedelta:
        """Return the timeout to give to Airflow, which ends a wait only if no triggerer does.

        :param seconds: how long the wait may last from now on.
        """
        return timedelta(seconds=min(max(0.0, seconds), self.LONGEST) + self.SLACK + self.min_seconds)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow this wait's connections until they are settled.

        :raises WorkatoError: the last of too many failed polls in a row, or the last poll, after
            the deadline, if it failed.
        """
        if not AIRFLOW_3_3 or self.trigger_id is None:
            # Airflow before 3.3, and `dag.test()`, which gives a trigger no id, pass every event to the task.
            self.end_from_trigger = False
        if self.trigger_id is None:
            # `dag.test()` resumes the task itself.
            self.min_seconds = 0.0
        # From here on, only the monotonic clock counts.
        since, ends = _monotonic(self.since), self._ends()
        try:
            event = await self._outcome(since, ends) or self._timed_out()
        except Exception:
            # A worker resumes the task to raise the error.
            await self._last_long_enough(since)
            raise
        if not isinstance(event, TaskSuccessEvent):
            await self._last_long_enough(since)
        yield event

    async def _outcome(self, since: float, ends: float | None) -> TriggerEvent | None:
        """Return the event once the connections are settled, ``None`` if they are not at the deadline."""
        if ends is None or time.monotonic() < ends:
            event = await self._until(ends, self._settled(since, ends))
            if event is not None or ends is None:
                return event
        # As on a worker, look once more: the person may have logged in since the last list.
        return await self._until(ends + self.GRACE, self._settled(since, ends, is_late=True))

    async def _until(
        self, end: float | None, settled: Coroutine[Any, Any, TriggerEvent | None]
    ) -> TriggerEvent | None:
        try:
            # One timer for the whole wait: a timer for each list would be most of the cost of many waits.
            async with asyncio.timeout(None if end is None else max(0.0, end - time.monotonic())) as limit:
                return await settled
        except TimeoutError:
            if not limit.expired():
                raise
        return None

    def _timed_out(self) -> TriggerEvent:
        if self._failure is not None and self.max_failed_polls is not None:
            # As on a worker, an outage is not a timeout, so that the task's retries apply.
            raise for_traceback(self._failure)
        pending = pending_text(self._pending(), dated=True)
        deadline, execution = self._deadlines()
        early = execution is not None and (deadline is None or execution < deadline)
        return TriggerEvent({"status": EXECUTION_TIMED_OUT if early else TIMED_OUT, "pending": pending})

    def _deadline(self) -> float | None:
        return min((each for each in self._deadlines() if each is not None), default=None)

    def _deadlines(self) -> tuple[float | None, float | None]:
        """Return when the wait's timeout and the task's ``execution_timeout`` are over."""
        after: datetime | None = getattr(self, "timeout_after", None)
        if self.deadline is not None or after is None:
            return self.deadline, self.execution_deadline
        # Only Airflow knows the timeouts of a task that started here, and ends it at the earlier one. Give up
        # before Airflow does, with a message that names the connections.
        aware = after if after.tzinfo else after.replace(tzinfo=UTC)
        task = getattr(self.task_instance, "task", None)
        execution, given = getattr(task, "execution_timeout", None), getattr(task, "start_trigger_args", None)
        if execution is None or given is None or given.timeout is None:
            return aware.timestamp() - self.SLACK, None
        began = aware - min(given.timeout, execution)
        return (began + given.timeout).timestamp() - self.SLACK, (began + execution).timestamp()

    def _ends(self) -> float | None:
        """Return the deadline on the monotonic clock."""
        deadline = self._deadline()
        return None if deadline is None else time.monotonic() + deadline - time.time()

    async def _last_long_enough(self, since: float) -> None:
        await asyncio.sleep(max(0.0, since + self.min_seconds - time.monotonic()))

    async def _settled(
        self, since: float, ends: float | None, *, is_late: bool = False
    ) -> TriggerEvent | None:
        """Follow the connections until they are settled.

        :param since: an older list does not prove a failure.
        :param ends: the deadline.
        :param is_late: look once, at a list from after the deadline; return ``None`` if it settles nothing.
        """
        wanted = connection_ids(self.connection_id)
        progress = Progress(
            # One logger for all triggers: one for each would add a kilobyte to every wait.
            self.logger(),
            began=since if self.began is None else _monotonic(self.began),
            interval=self.poke_interval,
            deadline=self._deadline(),
        )
        key = self.list_key(self.serialize()[1])
        recent = since if ends is None or not is_late else max(since, ends)
        failed = refused = 0
        with follow(key, interval=self.poke_interval, ids=tuple(wanted), since=recent) as follower:
            while True:
                if (item := await follower.next()) is None:
                    progress.waiting(self._pending(), ids=wanted, reminds=True)
                    continue
                if isinstance(item, Snapshot):
                    failed = refused = 0
                    self._failure = None
                    if verdict := self._verdict(item, wanted, progress, since=since):
                        return await self._event(item, wanted, verdict, progress)
                elif item.moment >= recent:
                    # An earlier failure does not count.
                    failed += 1
                    refused += isinstance(item.error, AirflowFailException)
                    if self._too_many(item, failed, refused):
                        # All waits raise this error: give each its own copy, without the others' frames.
                        raise for_traceback(item.error)
                    self._failure = item.error
                    if not is_late:
                        self.log.warning("%s The wait continues with the next poll.", item.error)
                if item.moment < recent:
                    self._request_refresh(follower, ends)
                elif is_late:
                    return None
                # Do not keep the list while waiting for the next one.
                del item

    def _request_refresh(self, follower: Follower, ends: float | None) -> None:
        # A wait that accepts an older list needs no refresh, unless it ends before the next poll.
        if not self.accept_newest or (ends is not None and ends - time.monotonic() < self.poke_interval):
            follower.request_refresh()

    def _too_many(self, item: PollFailed, failed: int, refused: int) -> bool:
        if isinstance(item.error, WorkatoAuthError):
            # A token may be about to be replaced: try twice, not more often.
            return refused > 1 or self.max_failed_polls == 0
        if self.max_failed_polls is None:
            return isinstance(item.error, AirflowFailException) and refused > self.MAX_FAILED_POLLS
        return failed > self.max_failed_polls

    def _verdict(
        self, snapshot: Snapshot, wanted: Sequence[int], progress: Progress, *, since: float
    ) -> Verdict | None:
        """Return how the wait ends, ``None`` if it goes on."""
        rows = [snapshot.rows.get(number) for number in wanted]
        if settles([None if row is None else self._state(row) for row in rows], fail_fast=self.fail_fast):
            # Decode whole rows only now that they are needed.
            found = {row.id: self._shown(row) for row in rows if row is not None}
            verdict = judge(found, wanted, fail_fast=self.fail_fast, known_failures=self.known_failures)
            if snapshot.moment >= since:
                if verdict.error is not None:
                    progress.changed(self._changes(rows))
                return verdict
            recent = snapshot.moment >= since - self.poke_interval
            return verdict if recent and self.accept_newest and verdict.connections is not None else None
        if self._rows:
            progress.changed(self._changes(rows))
            self._rows = rows
        else:
            self._rows = rows
            progress.waiting(self._pending())
        return None

    def _state(self, row: ListedConnection) -> State:
        if self.known_failures and row.state in (State.FAILED, State.LOST):
            return state_for_wait(row.connection(), self.known_failures)
        return row.state

    def _shown(self, row: ListedConnection) -> WorkatoConnection:
        connection = row.connection()
        return connection if self.quote_app else {**connection, **dict.fromkeys(SAID)}

    def _pending(self) -> list[WorkatoConnection]:
        return [
            self._shown(row) for row in self._rows if row is not None and row.state is not State.AUTHORIZED
        ]

    def _changes(
        self, rows: Sequence[ListedConnection | None]
    ) -> Iterator[tuple[WorkatoConnection, WorkatoConnection]]:
        # An unchanged row is the same object as before.
        for before, now in zip(self._rows, rows, strict=False):
            if before is not now and before is not None and now is not None:
                yield self._shown(before), self._shown(now)

    async def _event(
        self, snapshot: Snapshot, wanted: Sequence[int], verdict: Verdict, progress: Progress
    ) -> TriggerEvent:
        if verdict.connections is not None and await self._pushed(verdict.connections, snapshot):
            progress.authorized(wanted)
            return TaskSuccessEvent()
        rows = [self._shown(snapshot.rows[number]) for number in wanted if number in snapshot.rows]
        return TriggerEvent(
            {
                "status": SETTLED,
                "connections": rows,
                "waited": progress.elapsed,
                "listed_at": time.time() - (time.monotonic() - snapshot.moment),
                # A task that waits again keeps them.
                "deadline": self.deadline,
                "execution_deadline": self.execution_deadline,
            }
        )

    async def _pushed(self, connections: Sequence[WorkatoConnection], snapshot: Snapshot) -> bool:
        """Push what a worker would, if the task ends here; return whether it does.

        The ``xcoms`` of a ``TaskSuccessEvent`` are no substitute: Airflow 3.3 encodes them twice.

        :param connections: the result.
        :param snapshot: the list with the connections.
        """
        if not self.end_from_trigger or (ti := self.task_instance) is None:
            return False
        where = {name: getattr(ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
        try:
            if len(connections) == 1 and getattr(ti, "task", None) is not None:
                # A task that started here, which Airflow provides, had no worker to push its link.
                url = snapshot.web_url.format(connections[0]["id"])
                for key, value in link_xcoms(WorkatoConnectionLink(), url).items():
                    await XCom.aset(key=key, value=value, **where)
            if self.do_xcom_push:
                result = single_or_list(self.connection_id, connections)
                await XCom.aset(key="return_value", value=result, dag_result=self.dag_result, **where)
        except Exception:
            self.log.exception("The triggerer cannot push the result; a worker will end the task.")
            return False
        return True


def _monotonic(moment: float | None) -> float:
    """Return a time since the epoch on the monotonic clock, now for ``None``.

    The worker's clock may differ: accept an earlier time, but not one in the future, which would make every
    list too old.
    """
    now = time.time()
    return time.monotonic() - max(0.0, now - (moment or now))
