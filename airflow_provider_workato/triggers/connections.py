"""The trigger that waits for connections without a worker.

https://docs.workato.com/en/workato-api/connections.html has no call for one connection: a status is
read from the list.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_workato.arguments import connection_ids
from airflow_provider_workato.authorization import State, Verdict, judge, pending_text, settles
from airflow_provider_workato.client.answers import WorkatoConnection, single_or_list
from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoError, for_traceback
from airflow_provider_workato.links.connections import CONNECTION_URL_KEY, WorkatoConnectionLink
from airflow_provider_workato.triggers.base import ConnectionListTrigger
from airflow_provider_workato.triggers.registry import REGISTRY
from airflow_provider_workato.triggers.snapshots import ListKey, PollFailed, Snapshot
from airflow_provider_workato.version_compat import AIRFLOW_3_3, Handover, hand_on, trigger_can_end

if TYPE_CHECKING:
    from airflow_provider_workato.triggers.rows import ListedConnection

#: What an event says.
SETTLED = "settled"
TIMED_OUT = "timeout"


class WorkatoConnectionTrigger(ConnectionListTrigger):
    """Wait until connections are authorized, or until waiting longer is of no use.

    Yields one event: ``{"status": "settled", "connections": [...]}`` with the rows waited for, from
    which the sensor decides as it would on a worker, or ``{"status": "timeout", "pending": "connection
    36 (no status yet)"}``. With *end_task* a success ends the task directly.

    Triggers with the same Airflow connection, filters and interval share one poll.

    :param connection_id: the connection, or a list of them.
    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists.
    :param folder_id: look in this folder's list only.
    :param project_id: look in this project's list only.
    :param external_id: look only among the connections with this external id.
    :param fail_fast: give up on the first connection that failed or was lost.
    :param max_failed_polls: how many polls in a row may fail; ``None`` for any number of those that a
        retry could cure, and the default number of others. A rejected API token (401) may fail once.
        Each poll repeats its call for the Airflow connection's retry budget before it fails.
    :param deadline: when to give up, in seconds since the epoch; kept across triggerer restarts. A wait
        that starts too late looks once all the same.
    :param since: when the wait began, in seconds since the epoch. An older list is no proof
        of a failure.
    :param accept_newest: let a list that was fetched up to one *poke_interval* before the wait began
        prove a success.
    :param end_task: end the task here if all are authorized, without a worker. ``None`` for a task that
        started here: if nothing is missed by it.
    :param handover: how the task's result is handed on if it ends here: the names that
        :class:`~airflow_provider_workato.version_compat.Handover` gives. ``None`` for a task that
        started here.
    :param min_seconds: how long the wait lasts at least if a worker resumes the task.
    """

    #: Without this, a triggerer that serves a queue would never pick up the wait of a task of that queue.
    supports_triggerer_queue = True

    list_filters: ClassVar[tuple[str, ...]] = ("folder_id", "project_id", "external_id")

    #: For how many seconds after its deadline a wait that saw no list yet may still look for one: its
    #: timeout may be very short, or no triggerer may have run.
    GRACE = 60.0

    #: How many seconds Airflow's own timeout comes after the deadline: more than the grace and *min_seconds*.
    SLACK = 90.0

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
        max_failed_polls: int | None = MAX_FAILED_POLLS,
        deadline: float | None = None,
        since: float | None = None,
        accept_newest: bool = False,
        end_task: bool | None = False,
        handover: Sequence[str] | None = None,
        min_seconds: float = 0.0,
    ) -> None:
        super().__init__(workato_conn_id=workato_conn_id, poke_interval=poke_interval)
        self.connection_id = connection_id
        self.folder_id = folder_id
        self.project_id = project_id
        self.external_id = external_id
        self.fail_fast = fail_fast
        self.max_failed_polls = max_failed_polls
        self.deadline = deadline
        self.since = since
        self.accept_newest = accept_newest
        self.end_task = end_task
        self.handover = None if handover is None else list(handover)
        self.min_seconds = min_seconds
        self._pending: list[ListedConnection] = []
        self._failure: WorkatoError | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which hold no secret."""
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
                "max_failed_polls": self.max_failed_polls,
                "deadline": self.deadline,
                "since": self.since,
                "accept_newest": self.accept_newest,
                "end_task": self.end_task,
                "handover": self.handover,
                "min_seconds": self.min_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Pick this wait's connections from each list until they are settled.

        :raises WorkatoError: the last of too many failed polls in a row, or the last poll before the
            deadline if it failed.
        """
        if not AIRFLOW_3_3 or self.trigger_id is None:
            # `dag.test()`, which numbers no trigger, and Airflow before 3.3 hand every event to the task.
            self.end_task = False
            if AIRFLOW_3_3:
                # `dag.test()` resumes the task itself.
                self.min_seconds = 0.0
        # An earlier moment of the worker's clock counts; a later one would make us deaf. From here on the
        # clock is one that nobody sets.
        began = time.monotonic() - max(0.0, time.time() - (self.since or time.time()))
        try:
            # One timer for the whole wait: one for each list is most of what a thousand waits would cost.
            async with asyncio.timeout(self._seconds_left(grace=self.GRACE)) as limit:
                event = await self._settled(began, limit)
        except TimeoutError:
            if not limit.expired():
                raise
            await self._last_long_enough(began)
            if self._failure is not None and self.max_failed_polls is not None:
                # As on a worker: an outage is no timeout, and the task's retries apply.
                raise for_traceback(self._failure) from None
            pending = pending_text([row.connection() for row in self._pending])
            event = TriggerEvent({"status": TIMED_OUT, "pending": pending})
        except Exception:
            # A worker resumes the task for an error too, to raise it there.
            await self._last_long_enough(began)
            raise
        else:
            if not isinstance(event, TaskSuccessEvent):
                await self._last_long_enough(began)
        yield event

    def _seconds_left(self, *, grace: float = 0.0) -> float | None:
        deadline = self.deadline
        if deadline is None:
            # Only Airflow knows the end of a wait that started here. Its own timeout could not say what of.
            after: datetime | None = getattr(self, "timeout_after", None)
            if after is None:
                return None
            aware = after if after.tzinfo else after.replace(tzinfo=UTC)
            deadline = aware.timestamp() - self.SLACK
        return max(0.0, deadline + grace - time.time())

    async def _last_long_enough(self, began: float) -> None:
        await asyncio.sleep(max(0.0, began + self.min_seconds - time.monotonic()))

    async def _settled(self, began: float, limit: asyncio.Timeout) -> TriggerEvent:
        wanted = connection_ids(self.connection_id)
        key = self.list_key(self.serialize()[1])
        item = REGISTRY.latest(key, max_age=self.poke_interval)
        looked = False
        failed = refused = 0
        with REGISTRY.subscribe_to_rows(
            key, self.poke_interval, ids=tuple(wanted), since=began
        ) as subscription:
            while True:
                if item is None:
                    item = await subscription.next()
                ours = item.moment >= began
                if isinstance(item, Snapshot):
                    failed = refused = 0
                    self._failure = None
                    if verdict := self._verdict(item, wanted, began):
                        return await self._event(item, wanted, verdict)
                elif ours:
                    # An older failure says nothing about this wait.
                    failed += 1
                    refused += isinstance(item.error, AirflowFailException)
                    if self._too_many(item, failed, refused):
                        # All waits raise this error: each its own, without the frames of others.
                        raise for_traceback(item.error)
                    self.log.warning("%s The next poll may make up for it.", item.error)
                    self._failure = item.error
                if not ours:
                    self._request_refresh(key)
                elif not looked:
                    looked = True
                    self._end_grace(limit)
                # Not kept while waiting: each list would outlive the next ones.
                item = None

    def _request_refresh(self, key: ListKey) -> None:
        left = self._seconds_left()
        # A wait that takes older lists can do without a newer one, unless it ends before the next.
        if not self.accept_newest or (left is not None and left < self.poke_interval):
            REGISTRY.request_refresh(key, self.poke_interval)

    def _end_grace(self, limit: asyncio.Timeout) -> None:
        left = self._seconds_left()
        if left is not None:
            limit.reschedule(asyncio.get_running_loop().time() + left)

    def _too_many(self, item: PollFailed, failed: int, refused: int) -> bool:
        if isinstance(item.error, WorkatoAuthError):
            # A token that is being replaced deserves a second look, not more.
            return refused > 1 or self.max_failed_polls == 0
        if self.max_failed_polls is None:
            return isinstance(item.error, AirflowFailException) and refused > self.MAX_FAILED_POLLS
        return failed > self.max_failed_polls

    def _verdict(self, snapshot: Snapshot, wanted: Sequence[int], began: float) -> Verdict | None:
        """Return how the wait ends, ``None`` if it goes on."""
        rows = [snapshot.rows.get(number) for number in wanted]
        if settles([None if row is None else row.state for row in rows], fail_fast=self.fail_fast):
            # Only now are whole rows worth decoding.
            found = {row.id: row.connection() for row in rows if row is not None}
            verdict = judge(found, wanted, fail_fast=self.fail_fast)
            if snapshot.moment >= began:
                return verdict
            recent = snapshot.moment >= began - self.poke_interval
            return verdict if recent and self.accept_newest and verdict.connections is not None else None
        pending = [row for row in rows if row is not None and row.state is not State.AUTHORIZED]
        if pending != self._pending:
            self._pending = pending
            if any(row.unknown_status for row in pending):
                named = pending_text([row.connection() for row in pending])
                self.log.warning("Waiting on, whatever this status means: %s.", named)
        return None

    async def _event(self, snapshot: Snapshot, wanted: Sequence[int], verdict: Verdict) -> TriggerEvent:
        if verdict.connections is not None and await self._handed_on(snapshot, wanted, verdict.connections):
            self.log.info("Authorized: %s.", ", ".join(map(str, wanted)))
            return TaskSuccessEvent()
        rows = [snapshot.rows[number].connection() for number in wanted if number in snapshot.rows]
        return TriggerEvent({"status": SETTLED, "connections": rows})

    async def _handed_on(
        self, snapshot: Snapshot, wanted: Sequence[int], connections: Sequence[WorkatoConnection]
    ) -> bool:
        """Leave the task's result as a worker would, if the task may end here."""
        if self.end_task is False or (ti := self.task_instance) is None:
            return False
        # Airflow gives the operator along with a task that started here.
        task = getattr(ti, "task", None)
        try:
            if self.handover is not None:
                handover = Handover.named(self.handover)
            elif task is not None and (self.end_task or trigger_can_end(task)):
                handover = Handover.of(task, ti)
            else:
                return False
            result = single_or_list(self.connection_id, connections)
            if not handover.takes(result):
                return False
            links = {}
            if len(wanted) == 1:
                # A task that started here has no worker that would leave its link.
                url = snapshot.web_url.format(wanted[0])
                links = {CONNECTION_URL_KEY: url, WorkatoConnectionLink().xcom_key: url}
            await hand_on(ti, result, handover, links=links)
        except Exception:
            self.log.exception("The result cannot be handed on from the triggerer; a worker ends the task.")
            return False
        return True
