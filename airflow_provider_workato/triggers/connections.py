"""The trigger that waits for connections without a worker.

https://docs.workato.com/en/workato-api/connections.html has no call for one connection: a status is
read from the list.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, TypeVar

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_workato.authorization import Verdict, judge
from airflow_provider_workato.links.connections import CONNECTION_URL_KEY, WorkatoConnectionLink
from airflow_provider_workato.models import connection_ids, result_of
from airflow_provider_workato.triggers.base import ConnectionListTrigger, list_key
from airflow_provider_workato.triggers.snapshots import PollFailed, Snapshot, SnapshotSource
from airflow_provider_workato.version_compat import AIRFLOW_3_3

T = TypeVar("T")

#: What an event says.
SETTLED = "settled"
TIMED_OUT = "timeout"


class WorkatoConnectionTrigger(ConnectionListTrigger):
    """Wait until connections are authorized, or until waiting longer is of no use.

    Yields one event: ``{"status": "settled", "connections": [...]}`` with the rows waited for, from
    which the sensor decides as it would on a worker, or ``{"status": "timeout"}``. With *end_task* a
    success ends the task directly.

    Triggers with the same Airflow connection, filters and interval share one poll.

    :param connection_id: the connection, or a list of them.
    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists.
    :param folder_id: look in this folder's list only.
    :param project_id: look in this project's list only.
    :param external_id: look only among the connections with this external id.
    :param fail_fast: give up on the first connection that failed or was lost.
    :param max_failed_polls: how many polls may fail in a row, ``None`` for any number. Each
        poll repeats its call for the Airflow connection's retry budget before it fails.
    :param deadline: when to give up, in seconds since the epoch; kept across triggerer restarts.
    :param since: when the wait began, in seconds since the epoch. An older list is no proof
        of a failure.
    :param accept_newest: let a list that was fetched before the wait began prove a success.
    :param end_task: end the task here if all are authorized, without a worker.
    :param min_seconds: how long the wait lasts at least if a worker resumes the task.
    """

    #: Without this, a triggerer that serves a queue would never pick up the wait of a task of that queue.
    supports_triggerer_queue = True

    def __init__(
        self,
        *,
        connection_id: int | str | Sequence[int | str],
        workato_conn_id: str,
        poke_interval: float = 30.0,
        folder_id: int | str | None = None,
        project_id: int | str | None = None,
        external_id: str | None = None,
        fail_fast: bool = True,
        max_failed_polls: int | None = 5,
        deadline: float | None = None,
        since: float | None = None,
        accept_newest: bool = False,
        end_task: bool = False,
        min_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            workato_conn_id=workato_conn_id,
            poke_interval=poke_interval,
            folder_id=folder_id,
            project_id=project_id,
            external_id=external_id,
        )
        self.connection_id = connection_id
        self.fail_fast = fail_fast
        self.max_failed_polls = max_failed_polls
        self.deadline = deadline
        self.since = since
        self.accept_newest = accept_newest
        self.end_task = end_task
        self.min_seconds = min_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which hold no secret."""
        return (
            "airflow_provider_workato.triggers.connections.WorkatoConnectionTrigger",
            {
                **self.list_arguments(),
                "connection_id": self.connection_id,
                "fail_fast": self.fail_fast,
                "max_failed_polls": self.max_failed_polls,
                "deadline": self.deadline,
                "since": self.since,
                "accept_newest": self.accept_newest,
                "end_task": self.end_task,
                "min_seconds": self.min_seconds,
            },
        )

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Any]
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Pick this wait's connections from each list until they are settled.

        :param shared_stream: the lists.
        :raises WorkatoError: the last of too many failed polls in a row.
        """
        # An earlier moment of the worker's clock counts; a later one would make us deaf.
        since = min(self.since or time.time(), time.time())
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        event: TriggerEvent | None
        try:
            # One timer for the whole wait: one for each list is most of what a thousand waits would cost.
            async with asyncio.timeout(left) as limit:
                event = await self._settled(shared_stream, since)
        except TimeoutError:
            if not limit.expired():
                raise
            event = TriggerEvent({"status": TIMED_OUT})
        except Exception:
            # A worker resumes the task for an error too, to raise it there.
            await self._last_long_enough(since)
            raise
        else:
            if event is None:
                return
            if not isinstance(event, TaskSuccessEvent):
                await self._last_long_enough(since)
        yield event

    async def _last_long_enough(self, since: float) -> None:
        await asyncio.sleep(max(0.0, since + self.min_seconds - time.time()))

    async def _settled(self, shared_stream: AsyncIterator[Any], since: float) -> TriggerEvent | None:
        wanted = connection_ids(self.connection_id)
        key = list_key(self.list_arguments())
        newest = SnapshotSource.newest(key)
        failed = 0
        async for item in _after(newest, shared_stream):
            if isinstance(item, PollFailed):
                failed += 1
                if self.max_failed_polls is not None and failed > self.max_failed_polls:
                    # Every wait of the group raises it, each with a traceback of its own.
                    raise copy.copy(item.error).with_traceback(item.error.__traceback__)
                self.log.warning("%s The next poll may make up for it.", item.error)
                continue
            failed = 0
            verdict = self._judge(item, wanted, since)
            if verdict.settled:
                return self._event(item, wanted, verdict)
            if item.moment < since and not self.accept_newest:
                SnapshotSource.ask(key)
        return None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait with a poll of its own, where Airflow does not share one."""
        # `dag.test()` and Airflow before 3.3 hand every event to the task.
        self.end_task = False
        if AIRFLOW_3_3:
            # Only `dag.test()` comes here, and resumes the task itself.
            self.min_seconds = 0.0
        async for event in super().run():
            yield event

    def _judge(self, snapshot: Snapshot, wanted: Sequence[int], since: float) -> Verdict:
        verdict = judge(snapshot.rows, wanted, fail_fast=self.fail_fast)
        if snapshot.moment >= since or (self.accept_newest and verdict.connections is not None):
            return verdict
        return Verdict()

    def _event(self, snapshot: Snapshot, wanted: Sequence[int], verdict: Verdict) -> TriggerEvent:
        if verdict.connections is None or not self.end_task:
            rows = [snapshot.rows[number] for number in wanted if number in snapshot.rows]
            return TriggerEvent({"status": SETTLED, "connections": rows})
        self.log.info("Authorized: %s.", ", ".join(map(str, wanted)))
        xcoms: dict[str, Any] = {"return_value": result_of(self.connection_id, verdict.connections)}
        if len(wanted) == 1:
            # A task that started here has no worker that would leave its link.
            url = snapshot.web_url.format(wanted[0])
            xcoms |= {CONNECTION_URL_KEY: url, WorkatoConnectionLink().xcom_key: url}
        return TaskSuccessEvent(xcoms=xcoms)


async def _after(first: T | None, stream: AsyncIterator[T]) -> AsyncIterator[T]:
    if first is not None:
        yield first
    async for item in stream:
        yield item
