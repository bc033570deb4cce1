"""The trigger that waits for connections without a worker.

It reads statuses from the list, since https://docs.workato.com/en/workato-api/connections.html has no call
for a single connection.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_workato.arguments import connection_ids
from airflow_provider_workato.authorization import Advice
from airflow_provider_workato.client.answers import SAID, WorkatoConnection, single_or_list
from airflow_provider_workato.exceptions import WorkatoError, to_data
from airflow_provider_workato.links.connections import WorkatoConnectionLink, link_xcoms
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.shared_list import Follower, Snapshot, follow
from airflow_provider_workato.version_compat import AIRFLOW_3_3, XCom
from airflow_provider_workato.wait import Wait

#: The connections, and a connection's address in a browser.
Authorized = tuple[list[WorkatoConnection], str]


class WorkatoConnectionTrigger(ConnectionListTrigger):
    """Wait until connections are authorized, or the wait cannot succeed any more.

    Yields one event: ``{"connections": [...]}`` once all are authorized, or ``{"error": {...}}``, which the
    task raises, with the connection that failed or was lost; or at *remind_at* ``{"pending": [...]}``. With
    *end_from_trigger*, a success ends the task directly.

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
    :param timeout: the seconds that the whole wait may last; ``None`` to count it from *since*. A task that
        asks a person again is deferred again.
    :param execution_deadline: when the task's ``execution_timeout`` is over, in seconds since the epoch;
        ``None`` without one. The earlier of the two ends the wait.
    :param execution_timeout: the task's ``execution_timeout`` in seconds.
    :param remind_at: when to resume the task so that it can remind people, in seconds since the epoch.
    :param since: when the task was deferred, in seconds since the epoch. An older list does not prove a
        failure.
    :param accept_newest: accept a list that was fetched up to one *poke_interval* before the wait began as
        proof of success.
    :param end_from_trigger: end the task in the triggerer, without a worker, if all connections are
        authorized (Airflow 3.3 and later).
    :param do_xcom_push: push the connections as the result of a task that ends in the triggerer.
    :param dag_result: the task's result is the DAG run's result, too.
    :param quote_app: whether the log and the event may quote what the app says. False for a task with
        credentials, which the app's message can repeat: only the task can find them there.
    :param advice: what the error for a connection that failed or was lost advises, a name of
        :class:`~airflow_provider_workato.authorization.Advice`.
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
        max_failed_polls: int | None = Wait.MAX_FAILED_POLLS,
        deadline: float | None = None,
        timeout: float | None = None,
        execution_deadline: float | None = None,
        execution_timeout: float | None = None,
        remind_at: float | None = None,
        since: float | None = None,
        accept_newest: bool = False,
        end_from_trigger: bool = False,
        do_xcom_push: bool = True,
        dag_result: bool = False,
        quote_app: bool = True,
        advice: str = Advice.WAITED.name,
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
        self.timeout = timeout
        self.execution_deadline = execution_deadline
        self.execution_timeout = execution_timeout
        self.remind_at = remind_at
        self.since = since
        self.accept_newest = accept_newest
        self.end_from_trigger = end_from_trigger
        self.do_xcom_push = do_xcom_push
        self.dag_result = dag_result
        self.quote_app = quote_app
        self.advice = advice
        self.min_seconds = min_seconds

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
                "timeout": self.timeout,
                "execution_deadline": self.execution_deadline,
                "execution_timeout": self.execution_timeout,
                "remind_at": self.remind_at,
                "since": self.since,
                "accept_newest": self.accept_newest,
                "end_from_trigger": self.end_from_trigger,
                "do_xcom_push": self.do_xcom_push,
                "dag_result": self.dag_result,
                "quote_app": self.quote_app,
                "advice": self.advice,
                "min_seconds": self.min_seconds,
            },
        )

    def airflow_timeout(self, seconds: float) -> timedelta:
        """Return the timeout to give to Airflow, which ends a wait only if no triggerer does.

        :param seconds: how long the wait may last from now on.
        """
        return timedelta(seconds=min(max(0.0, seconds), self.LONGEST) + self.SLACK + self.min_seconds)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow this wait's connections until all are authorized or the wait has failed."""
        if not AIRFLOW_3_3 or self.trigger_id is None:
            # Airflow before 3.3, and `dag.test()`, which gives a trigger no id, pass every event to the task.
            self.end_from_trigger = False
        if self.trigger_id is None:
            # `dag.test()` resumes the task itself.
            self.min_seconds = 0.0
        # From here on, only the monotonic clock counts.
        since = _monotonic(self.since)
        wait: Wait | None = None
        try:
            wait = self._wait(since)
            if authorized := await self._authorized(wait):
                if await self._pushed(*authorized):
                    yield TaskSuccessEvent()
                    return
                event = TriggerEvent({"connections": authorized[0]})
            elif self._reminds(wait):
                event = self._event(wait, pending=wait.pending())
            else:
                event = self._failed(wait.timed_out(), wait)
        except WorkatoError as error:
            event = self._failed(error, wait)
        except Exception:
            # Airflow resumes the task, too.
            await self._last_long_enough(since)
            raise
        await self._last_long_enough(since)
        yield event

    async def _last_long_enough(self, since: float) -> None:
        await asyncio.sleep(max(0.0, since + self.min_seconds - time.monotonic()))

    def _wait(self, since: float) -> Wait:
        deadline, execution_deadline = self._deadlines()
        deferred_at = self.since or time.time()
        timeout, execution_timeout = (
            given if given is not None or end is None else end - deferred_at
            for given, end in ((self.timeout, deadline), (self.execution_timeout, execution_deadline))
        )
        return Wait(
            connection_ids(self.connection_id),
            # One logger for all triggers: one for each would add a kilobyte to every wait.
            log=self.logger(),
            interval=self.poke_interval,
            began=since if deadline is None or timeout is None else _monotonic(deadline - timeout),
            since=since,
            deadline=deadline,
            timeout=timeout,
            execution_deadline=execution_deadline,
            execution_timeout=execution_timeout,
            fail_fast=self.fail_fast,
            known_failures=self.known_failures,
            accept_newest=self.accept_newest,
            max_failed_polls=self.max_failed_polls,
            advice=Advice[self.advice],
            shown=None if self.quote_app else _unquoted,
        )

    def _failed(self, error: BaseException, wait: Wait | None) -> TriggerEvent:
        """Return the event of a wait that failed."""
        number = getattr(error, "connection_id", None)
        seen = wait.seen() if wait and number is not None else []
        return self._event(
            wait, error=to_data(error), connections=[row for row in seen if row["id"] == number]
        )

    def _event(self, wait: Wait | None, **told: Any) -> TriggerEvent:
        """Return an event with what the task needs to go on waiting."""
        now = time.time() - time.monotonic()
        return TriggerEvent(
            {
                **told,
                "listed_at": now + wait.listed_at if wait and wait.listed_at > -math.inf else None,
                "deadline": self.deadline,
                "execution_deadline": self.execution_deadline,
            }
        )

    async def _authorized(self, wait: Wait) -> Authorized | None:
        """Return the connections once all are authorized, ``None`` if they are not when the wait ends."""
        if self._reminds(wait):
            at = time.monotonic() + (self.remind_at or 0.0) - time.time()
            return await self._until(at, self._followed(wait, at))
        ends = None if wait.ends is None else time.monotonic() + wait.ends - time.time()
        if ends is None or time.monotonic() < ends:
            authorized = await self._until(ends, self._followed(wait, ends))
            if authorized is not None or ends is None:
                return authorized
        # As on a worker, look once more: the person may have logged in since the last list.
        return await self._until(ends + self.GRACE, self._followed(wait, ends, is_late=True))

    def _reminds(self, wait: Wait) -> bool:
        """Tell whether people are to be reminded before the wait ends."""
        return self.remind_at is not None and (wait.ends is None or self.remind_at < wait.ends)

    async def _until(
        self, end: float | None, followed: Coroutine[Any, Any, Authorized | None]
    ) -> Authorized | None:
        try:
            # One timer for the whole wait: a timer for each list would be most of the cost of many waits.
            async with asyncio.timeout(None if end is None else max(0.0, end - time.monotonic())) as limit:
                return await followed
        except TimeoutError:
            if not limit.expired():
                raise
        return None

    def _deadlines(self) -> tuple[float | None, float | None]:
        """Return when the wait's timeout and the task's ``execution_timeout`` are over."""
        after: datetime | None = getattr(self, "timeout_after", None)
        if self.deadline is not None or after is None:
            return self.deadline, self.execution_deadline
        # Only Airflow knows when a task began that started here, and ends it at the earlier of its timeouts.
        # Give up before Airflow does, with a message that names the connections.
        ends = (after if after.tzinfo else after.replace(tzinfo=UTC)).timestamp()
        if self.timeout is None:
            return ends - self.SLACK, None
        lasts = self.airflow_timeout(self.timeout).total_seconds()
        if self.execution_timeout is None:
            return ends - lasts + self.timeout, None
        began = ends - min(lasts, self.execution_timeout)
        return began + self.timeout, began + self.execution_timeout

    async def _followed(self, wait: Wait, ends: float | None, *, is_late: bool = False) -> Authorized | None:
        """Give the wait what it gets of the shared list, until all connections are authorized.

        :param ends: the deadline.
        :param is_late: look once, at a list from after the deadline; return ``None`` if it ends nothing.
        """
        recent = wait.since if ends is None or not is_late else max(wait.since, ends)
        key = self.list_key(self.serialize()[1])
        with follow(key, interval=self.poke_interval, ids=tuple(wait.ids), since=recent) as follower:
            while True:
                if (item := await follower.next()) is None:
                    wait.remind()
                    continue
                if isinstance(item, Snapshot):
                    if connections := wait.see(item.rows, item.moment):
                        return connections, item.web_url
                elif item.moment >= recent:
                    # An earlier failure does not count.
                    wait.see_failure(item.error)
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

    async def _pushed(self, connections: Sequence[WorkatoConnection], web_url: str) -> bool:
        """Push what a worker would, if the task ends here; return whether it does.

        The ``xcoms`` of a ``TaskSuccessEvent`` are no substitute: Airflow 3.3 encodes them twice.

        :param connections: the result.
        :param web_url: a connection's address in a browser, with ``{}`` for its id.
        """
        if not self.end_from_trigger or (ti := self.task_instance) is None:
            return False
        where = {name: getattr(ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
        try:
            if len(connections) == 1 and getattr(ti, "task", None) is not None:
                # A task that started here, which Airflow provides, had no worker to push its link.
                url = web_url.format(connections[0]["id"])
                for key, value in link_xcoms(WorkatoConnectionLink(), url).items():
                    await XCom.aset(key=key, value=value, **where)
            if self.do_xcom_push:
                result = single_or_list(self.connection_id, connections)
                await XCom.aset(key="return_value", value=result, dag_result=self.dag_result, **where)
        except Exception:
            self.log.exception("The triggerer cannot push the result; a worker will end the task.")
            return False
        return True


def _unquoted(connection: WorkatoConnection) -> WorkatoConnection:
    return {**connection, **dict.fromkeys(SAID)}


def _monotonic(moment: float | None) -> float:
    """Return a time since the epoch on the monotonic clock, now for ``None``.

    The worker's clock may differ: accept an earlier time, but not one in the future, which would make every
    list too old.
    """
    now = time.time()
    return time.monotonic() - max(0.0, now - (moment or now))
