"""The sensor that waits until connections are authorized."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_workato.arguments import drop_none, is_output, to_flag, to_optional_count
from airflow_provider_workato.client.answers import single_or_list
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.links.connections import (
    WorkatoConnectionLink,
    WorkatoOAuthLink,
    push_connection_url,
    push_login_url,
)
from airflow_provider_workato.operators.base import remembers_arguments
from airflow_provider_workato.operators.waiting import AuthorizationWait
from airflow_provider_workato.version_compat import (
    AIRFLOW_3_3,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
    has_own_xcom_backend,
    seconds_since_first_poke,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.operators.base import IdArgument, StringArgument
    from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger

#: How many seconds late the scheduler may start a rescheduled task without a reminder being lost.
SCHEDULER_DELAY = 60.0


@remembers_arguments
class WorkatoConnectionSensor(AuthorizationWait, BaseSensorOperator):
    """Wait until connections are authorized.

    Succeeds when ``authorization_status`` is ``success`` and the connection was not lost since. Fails at once
    if the status is ``failed`` or ``exception``, or if the connection was lost or deleted. Returns the
    connection, or a list of connections if a list was given. What narrows the list does not come from
    ``default_args``.

    The task's log tells how the wait begins, each change of a status, and how it ends. The task's page gets
    the button of the login that an upstream task fetched for the connection.

    The modes ``poke`` and ``reschedule`` and *deferrable* come to the same decision about a connection.
    Workato allows 60 list calls a minute. All deferred waits of a triggerer share one list call per
    *poke_interval*; in the other modes each task makes its own.

    :param connection_id: the connection, or several: a list, also of lists such as the outputs of two mapped
        tasks, or what ``concat()``, ``map()`` and ``zip()`` make of them (templated).
    :param folder_id: list only this folder, to narrow a large workspace (templated).
    :param project_id: list only this project (templated).
    :param external_id: list only the connections with this external id (templated). It narrows the list and
        does not say what to wait for: *connection_id* is needed, too.
    :param fail_fast: fail if a connection failed or was lost. Set it to ``False`` to keep waiting for a
        person to log in again.
    :param deferrable: wait in the triggerer, without a worker. ``exponential_backoff`` does not apply there.
    :param max_failed_polls: how many polls in a row may fail while deferred, for any reason; ``None`` for any
        number that a retry could cure. A rejected API token (401) ends the wait at the second failed poll.
    :param end_from_trigger: once all connections are authorized, end in the triggerer, without a worker
        (Airflow 3.3 and later; before, the task ends on a worker). Refused with what needs a worker:
        ``multiple_outputs``, ``outlets``, ``on_success_callback``, ``post_execute``, ``map_index_template``,
        a task that is mapped over the result, and a custom XCom backend. Needs *deferrable*.
    :param start_from_trigger: start in the triggerer, without a worker (Airflow 3.3 and later; otherwise and
        in mapped tasks the task starts on a worker). Ids must be literals or Jinja; needs *deferrable*.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :param poke_interval: seconds between two list calls.
    :param post_execute: a function that Airflow calls after a success, as for every task.
    :raises WorkatoAuthorizationError: if a connection failed or was lost.
    :raises WorkatoNotFoundError: if a connection was deleted, or the token cannot see it.
    :raises WorkatoError: if a poll failed. While deferred, if too many in a row failed, or the last one,
        after *timeout*.
    :raises AirflowSensorTimeout: after *timeout*; names the connections, their last status, and when each was
        lost, failed or, if it did neither, created.
    :raises AirflowTaskTimeout: after ``execution_timeout``, which counts from the start of the try, in mode
        ``reschedule`` from the start of each poll. The task's retries apply.
    """

    template_fields: Sequence[str] = (
        *AuthorizationWait.template_fields,
        "connection_id",
        "folder_id",
        "project_id",
        "external_id",
    )
    _never_default: ClassVar[frozenset[str]] = frozenset({"folder_id", "project_id", "external_id"})
    _object_fields: ClassVar[frozenset[str]] = frozenset({"connection_id"})
    operator_extra_links = (WorkatoConnectionLink(), WorkatoOAuthLink())
    end_from_trigger: bool = False

    def __init__(
        self,
        *,
        connection_id: IdArgument | Sequence[IdArgument],
        folder_id: IdArgument | None = None,
        project_id: IdArgument | None = None,
        external_id: StringArgument | None = None,
        fail_fast: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        max_failed_polls: int | None = 5,
        end_from_trigger: bool = False,
        start_from_trigger: bool = False,
        workato_conn_id: str = WorkatoConnectionsHook.default_conn_name,
        poke_interval: timedelta | float = 30,
        post_execute: Callable[..., None] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("mode") == "deferrable":
            raise WorkatoConfigurationError(
                "mode='deferrable' does not exist. To wait in the triggerer, write deferrable=True and leave "
                "mode out."
            )
        super().__init__(
            workato_conn_id=workato_conn_id, poke_interval=poke_interval, post_execute=post_execute, **kwargs
        )
        self.connection_id: Any = connection_id
        self.folder_id: Any = folder_id
        self.project_id: Any = project_id
        self.external_id: Any = external_id
        self.fail_fast = to_flag(fail_fast, what="fail_fast")
        self.deferrable = to_flag(deferrable, what="deferrable")
        self.max_failed_polls = to_optional_count(max_failed_polls, what="max_failed_polls")
        self.end_from_trigger = to_flag(end_from_trigger, what="end_from_trigger")
        starts = to_flag(start_from_trigger, what="start_from_trigger")
        for name, given in (("start_from_trigger", starts), ("end_from_trigger", self.end_from_trigger)):
            if given and not self.deferrable:
                raise WorkatoConfigurationError(
                    f"{name} of task {self.task_id!r} needs deferrable=True. Set it, or leave {name} out."
                )
        if self.end_from_trigger:
            self._refuse_worker(post_execute)
        if starts and AIRFLOW_3_3:
            self._start_from_trigger()

    def execute(self, context: Context) -> Any:
        """Wait on the worker, or defer to the triggerer."""
        self._push_links(context)
        if self.deferrable or not self.reschedule:
            # In mode reschedule, it limits each poke.
            self._limit_execution(context)
        if self.deferrable:
            self.defer_wait()
        waited = seconds_since_first_poke(self, context) if self.reschedule else 0.0
        # Each poll of mode reschedule is a process of its own. Only the first one tells of the wait; a later
        # one reminds if a reminder became due since the previous one.
        polled = waited - self._longest_gap(waited) if waited else None
        wait = self._begin(time.time() - waited, polled=polled)
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            raise wait.timed_out(by_execution=False) from None
        except AirflowTaskTimeout:
            raise wait.timed_out(by_execution=True) from None
        except AirflowSkipException as skip:
            if isinstance(skip.__cause__, AirflowTaskTimeout) and not self.reschedule:
                # Airflow skips the task if that happens during a poke, and fails it between two.
                raise wait.timed_out(by_execution=True) from None
            # Airflow's message names no connection. A timeout that skips the task has no cause.
            late = skip.__cause__ is None and wait.elapsed > self.timeout
            self._skip_after(wait.timed_out(by_execution=False) if late else skip.__cause__)
            raise

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """End the task with the trigger's outcome.

        :param event: the trigger's event.
        """
        if self.start_from_trigger:
            # No worker has run before.
            self._push_links(context)
        return super().execute_complete(context, event)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """List the connections once."""
        connections = self._look()
        return PokeReturnValue(
            is_done=connections is not None,
            xcom_value=None if connections is None else self._result(connections),
        )

    def _push_links(self, context: Context) -> None:
        wanted = self._wanted
        if len(wanted) == 1:
            push_connection_url(context, self.hook.settings, wanted[0])
            push_login_url(context, self, self.hook.settings, wanted[0])

    def _longest_gap(self, waited: float) -> float:
        """Return how many seconds ago the previous poll of mode ``reschedule`` was, at most.

        Airflow does not tell, so a reminder may come twice, but none is lost.
        """
        gap = self.poke_interval
        if self.exponential_backoff:
            gap = self.max_wait.total_seconds() if self.max_wait else waited
        return gap + SCHEDULER_DELAY

    def _waits_for(self) -> Any:
        return self.connection_id

    def _list_filters(self) -> dict[str, Any]:
        return drop_none(**self._fields())

    def _result(
        self, connections: Sequence[WorkatoConnection]
    ) -> WorkatoConnection | list[WorkatoConnection]:
        return single_or_list(self.connection_id, connections)

    def update_relative(self, other: Any, *arguments: Any, **options: Any) -> None:
        """Refuse a task that is mapped over the result if this one ends in the triggerer.

        :param other: the task that becomes a relative.
        """
        super().update_relative(other, *arguments, **options)
        for node in (other, *other.iter_mapped_task_groups()) if self.end_from_trigger else ():
            # Only a worker records how many tasks to make.
            if any(each is self for each in getattr(node, "iter_mapped_dependencies", tuple)()):
                self._refuse(f"{node.node_id!r}, which is mapped over its result,")

    def _refuse_worker(self, post_execute: object) -> None:
        """Refuse what only a worker handles when a task succeeds."""
        cls = type(self)
        needs = {
            "multiple_outputs": self.multiple_outputs,
            "outlets": self.outlets,
            "on_success_callback": self.on_success_callback,
            "map_index_template": self.map_index_template,
            "post_execute": post_execute or cls.post_execute is not BaseSensorOperator.post_execute,
            "execute_complete": cls.execute_complete is not WorkatoConnectionSensor.execute_complete,
            "a custom XCom backend": has_own_xcom_backend(),
        }
        if needed := ", ".join(name for name, value in needs.items() if value):
            self._refuse(needed)

    def _refuse(self, needed: str) -> NoReturn:
        raise WorkatoConfigurationError(
            f"Task {self.task_id!r} cannot end in the triggerer: {needed} needs a worker. Leave out that or "
            "end_from_trigger."
        )

    def _trigger(self, **kwargs: Any) -> WorkatoConnectionTrigger:
        return super()._trigger(
            end_from_trigger=self.end_from_trigger,
            do_xcom_push=bool(self.do_xcom_push),
            dag_result=bool(getattr(self, "returns_dag_result", False)),
            **kwargs,
        )

    def _start_from_trigger(self) -> None:
        from airflow.triggers.base import StartTriggerArgs

        for name in self.template_fields:
            for value in _flat(getattr(self, name)):
                problem = _not_for_triggerer(value)
                if problem:
                    raise WorkatoConfigurationError(
                        f"{name} of task {self.task_id!r} is {problem}, which Airflow cannot give to a "
                        "task that starts in the triggerer. Use a literal or other Jinja, or leave "
                        "start_from_trigger out."
                    )
        trigger = self._trigger(connection_id=self.connection_id)
        classpath, arguments = trigger.serialize()
        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=classpath,
            trigger_kwargs=arguments,
            next_method="execute_complete",
            next_kwargs=None,
            timeout=trigger.airflow_timeout(self.timeout),
        )


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _not_for_triggerer(value: Any) -> str | None:
    if value is not None and not isinstance(value, (int, str)):
        # Airflow stores the arguments as JSON.
        return "the output of another task" if is_output(value) else f"a {type(value).__name__}"
    if isinstance(value, str) and re.search(r"xcom_pull\((?![^)]*map_indexes)", value):
        return "an xcom_pull without map_indexes"
    return None
