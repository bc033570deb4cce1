"""Waiting until connections are authorized: what the sensor and the operators that wait have in common."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_workato.arguments import connection_ids
from airflow_provider_workato.authorization import Advice, ids_text
from airflow_provider_workato.exceptions import WorkatoAuthError, WorkatoError, from_data
from airflow_provider_workato.operators.base import WorkatoOperator
from airflow_provider_workato.version_compat import (
    TRIGGER_FAILED,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    is_trigger_timeout,
    shortest_deferral,
    triggerer_queue,
)
from airflow_provider_workato.wait import DecodedRow, Wait, next_reminder, schedule_text

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger


class AuthorizationWait(WorkatoOperator):
    """A task that waits until connections are authorized, on its worker or in the triggerer.

    A subclass sets the attributes below, says what it waits for (:meth:`_waits_for`) and what it returns
    (:meth:`_result`), and calls :meth:`wait` from ``execute``. Airflow resumes a deferred wait in
    :meth:`execute_complete`.

    :param fail_fast: fail if a connection failed or was lost.
    :param max_failed_polls: how many polls in a row may fail while deferred.
    :param poke_interval: seconds between two list calls.
    :param timeout: seconds until the wait fails.
    """

    poke_interval: float
    timeout: float
    fail_fast: bool = True
    max_failed_polls: int | None
    #: The marks of failures that happened before the wait and do not end it.
    known_failures: Sequence[str] = ()
    #: What the error for a connection that failed or was lost advises.
    _advice: Advice = Advice.WAITED

    # Only sensors have these options.
    soft_fail: bool = False
    never_fail: bool = False
    silent_fail: bool = False

    #: When Airflow's ``execution_timeout`` is over, in seconds since the epoch; ``None`` without one.
    _execution_deadline: float | None = None
    _ids: tuple[object, list[int]] | None = None
    _wait: Wait | None = None

    def _waits_for(self) -> Any:
        """Return the connection's id, or a sequence of ids, as the user or an upstream task gave them."""
        raise NotImplementedError

    def _list_filters(self) -> dict[str, Any]:
        """Return the filters that narrow the list."""
        return {}

    def _quotes_app(self) -> bool:
        """Return whether the triggerer may quote what the app says: it does not know the task's secrets."""
        return True

    def _shown(self, connection: WorkatoConnection) -> WorkatoConnection:
        """Return what the log, the errors and the result may show of a connection.

        :param connection: a connection of the list.
        """
        return connection

    def _result(self, connections: Sequence[WorkatoConnection]) -> Any:
        """Return the task's result.

        :param connections: the connections that it waited for, all authorized.
        """
        raise NotImplementedError

    def wait(
        self, *, deadline: float | None = None, remind_at: float | None = None
    ) -> Sequence[WorkatoConnection] | None:
        """Wait on the worker; return the connections once all are authorized.

        :param deadline: when its timeout is over, in seconds since the epoch; ``None`` for one from now on.
        :param remind_at: when to return ``None`` so that the task can remind people.
        """
        wait = self._begin(None if deadline is None else deadline - self.timeout)
        try:
            while (connections := self._look()) is None:
                if wait.elapsed > self.timeout:
                    raise wait.timed_out(by_execution=False)
                if remind_at is not None and time.time() >= remind_at:
                    return None
                time.sleep(self.poke_interval)
        except AirflowTaskTimeout:
            # Airflow's message names no connection.
            raise wait.timed_out(by_execution=True) from None
        return connections

    def defer_wait(
        self,
        *,
        deadline: float | None = None,
        accept_newest: bool | None = None,
        remind_at: float | None = None,
    ) -> NoReturn:
        """Wait in the triggerer. Airflow resumes the task in :meth:`execute_complete`.

        :param deadline: when its timeout is over, in seconds since the epoch; ``None`` for one from now on.
        :param accept_newest: accept a list from before the wait as proof of success; ``None`` for a task
            without upstream tasks.
        :param remind_at: when to resume the task so that it can remind people, in seconds since the epoch.
        """
        now = time.time()
        deadline = now + self.timeout if deadline is None else deadline
        connection_id = self._waits_for()
        trigger = self._trigger(
            deadline=deadline,
            execution_deadline=self._execution_deadline,
            remind_at=remind_at,
            since=now,
            # An upstream task may just have changed the connection.
            accept_newest=not self.upstream_task_ids if accept_newest is None else accept_newest,
            min_seconds=shortest_deferral(),
            connection_id=connection_id if isinstance(connection_id, (int, str)) else self._wanted,
        )
        self.log.info(
            "Deferring to the triggerer, to wait for %s. %s If no `%s` is running, the task stays deferred.",
            ids_text(self._wanted),
            schedule_text(self.poke_interval, self._ends(deadline)),
            self._triggerer_command,
        )
        # Do not list from here: one call for each of thousands of tasks would use up the quota, too.
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            timeout=trigger.airflow_timeout(self._ends(deadline) - now),
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:  # noqa: ARG002
        """End the task with the trigger's outcome.

        :param event: the trigger's event.
        """
        told = event if isinstance(event, Mapping) else {}
        if "error" not in told and isinstance(connections := told.get("connections"), list):
            return self._result(connections)
        raise from_data(told.get("error")) or WorkatoError(
            "The trigger's event is missing or unexpected. Clear the task to wait again."
        )

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume a deferred wait. Errors end the task as they do on a worker.

        :param next_method: the method to resume with.
        :param next_kwargs: its arguments.
        """
        arguments = next_kwargs or {}
        try:
            if next_method == TRIGGER_FAILED:
                self._raise_what_ended_the_trigger(arguments.get("error"), arguments.get("traceback"))
            return getattr(self, next_method)(context, **arguments)
        except Exception as error:
            self._skip_after(error)
            raise

    def _raise_what_ended_the_trigger(self, reason: object, traceback: Sequence[str] | None) -> NoReturn:
        if is_trigger_timeout(reason):
            limit = self._execution_seconds
            if limit is not None and limit < self.timeout:
                # Airflow 2, and a task that started in the triggerer: Airflow counts it, too.
                raise self._begin().timed_out(by_execution=True)
            # A triggerer that runs ends the wait before Airflow does.
            raise AirflowSensorTimeout(
                f"No triggerer ended the wait for {ids_text(self._wanted)} within the specified timeout of "
                f"{self.timeout:g} s. Start one with `{self._triggerer_command}`, and clear this task."
            )
        if traceback:
            self.log.error("Trigger failed:\n%s", "\n".join(traceback))
        raise TaskDeferralError(str(getattr(reason, "value", reason)))

    @property
    def _triggerer_command(self) -> str:
        """The command that starts a triggerer for this wait."""
        queue = triggerer_queue(self)
        return "airflow triggerer" if queue is None else f"airflow triggerer --queues {shlex.quote(queue)}"

    @property
    def _execution_seconds(self) -> float | None:
        return None if self.execution_timeout is None else self.execution_timeout.total_seconds()

    def _limit_execution(self, context: Context) -> None:
        """Let ``execution_timeout`` end the wait, also while deferred: Airflow 3 applies it to each process.

        It counts from the start of the try, as on a worker.
        """
        if self._execution_seconds is not None:
            # `dag.test()` of Airflow 2 sets none.
            started: datetime | None = context["ti"].start_date
            began = time.time() if started is None else started.timestamp()
            self._execution_deadline = began + self._execution_seconds

    def _ends(self, deadline: float) -> float:
        """Return when the wait fails, in seconds since the epoch.

        :param deadline: when its own timeout is over.
        """
        return deadline if self._execution_deadline is None else min(deadline, self._execution_deadline)

    def _skip_after(self, error: BaseException | None) -> None:
        """Skip the task if an option says so. Airflow logs the message only, so it quotes the error.

        :param error: what would fail the task otherwise.
        """
        if option := self._option_that_skips(error):
            raise AirflowSkipException(f"Skipping, since {option} is set: {error}") from error

    def _option_that_skips(self, error: BaseException | None) -> str | None:
        """Return the option for which mode ``poke`` would skip the task instead of failing it."""
        if self.soft_fail and isinstance(error, (AirflowFailException, AirflowSensorTimeout)):
            return "soft_fail"
        # In mode poke, a timeout fails the task even with never_fail.
        fails_anyway = not isinstance(error, Exception) or isinstance(error, AirflowSensorTimeout)
        return "never_fail" if self.never_fail and not fails_anyway else None

    @property
    def _wanted(self) -> list[int]:
        # The output of mapped tasks is fetched from Airflow: once per process, not at each poke.
        value = self._waits_for()
        if self._ids is None or self._ids[0] is not value:
            self._ids = value, connection_ids(value)
        return self._ids[1]

    def _look(self) -> Sequence[WorkatoConnection] | None:
        """List the connections once; return those waited for if all are authorized."""
        wait = self._wait or self._begin()
        return wait.see(*self._rows())

    def _rows(self) -> tuple[dict[int, DecodedRow], float]:
        """Return the rows of a new list that it waits for, and when the list was requested."""
        listed_at, wanted = time.monotonic(), set(self._wanted)
        return {row["id"]: DecodedRow(row) for row in self._listed() if row["id"] in wanted}, listed_at

    def _listed(self) -> list[WorkatoConnection]:
        try:
            return self._list()
        except WorkatoAuthError:
            # During a long wait, the token can be replaced.
            if not self.reread_connection():
                raise
        return self._list()

    def _list(self) -> list[WorkatoConnection]:
        return self.hook.list_connections(include_runtime_connections=True, **self._list_filters())

    def _begin(self, began: float | None = None, *, polled: float | None = None) -> Wait:
        """Begin a wait that an earlier process may have begun.

        :param began: when the wait began, in seconds since the epoch; ``None`` for now.
        :param polled: after how many seconds an earlier process polled last; ``None`` to tell what the wait
            waits for before the next reminder.
        """
        now = time.time()
        began = now if began is None else began
        self._wait = Wait(
            self._wanted,
            log=self.log,
            interval=self.poke_interval,
            began=time.monotonic() - max(0.0, now - began),
            deadline=began + self.timeout,
            timeout=self.timeout,
            execution_deadline=self._execution_deadline,
            execution_timeout=self._execution_seconds,
            fail_fast=self.fail_fast,
            known_failures=self.known_failures,
            advice=self._advice,
            shown=self._shown,
            tell_after=0.0 if polled is None else next_reminder(polled),
        )
        return self._wait

    def _trigger(self, **kwargs: Any) -> WorkatoConnectionTrigger:
        from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger

        return WorkatoConnectionTrigger(
            workato_conn_id=self.workato_conn_id,
            poke_interval=self.poke_interval,
            **self._list_filters(),
            fail_fast=self.fail_fast,
            known_failures=self.known_failures,
            max_failed_polls=None if self.silent_fail else self.max_failed_polls,
            timeout=self.timeout,
            execution_timeout=self._execution_seconds,
            advice=self._advice.name,
            quote_app=self._quotes_app(),
            **kwargs,
        )
