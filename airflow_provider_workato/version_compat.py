"""The only module that knows the differences between the supported Airflow versions.

The other modules import Airflow's names from ``airflow.providers.common.compat.sdk`` or from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow import __version__ as _airflow_version
from airflow.providers.common.compat.sdk import BaseHook, conf

try:  # Airflow 3
    from airflow.sdk.exceptions import TaskDeferralError
except ImportError:  # Airflow 2
    from airflow.exceptions import TaskDeferralError  # type: ignore[no-redef]

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

T = TypeVar("T")

#: New in Airflow 3.3: triggers with an equal ``shared_stream_key()`` share one poll, a trigger's arguments
#: are rendered in the triggerer, and a task has a store that outlives its tries.
AIRFLOW_3_3 = tuple(map(int, _airflow_version.split(".")[:2])) >= (3, 3)
_AIRFLOW_2 = _airflow_version.startswith("2.")

#: The ``next_method`` with which Airflow resumes a task whose trigger failed or timed out.
TRIGGER_FAILED = "__fail__"

_TIMEOUT_REASONS = frozenset({"Trigger timeout", "Trigger/execution timeout"})


def is_trigger_timeout(reason: object) -> bool:
    """Return whether a deferral ended because of Airflow's own timeout.

    :param reason: the ``error`` entry of the task's ``next_kwargs``, an enum member or a string.
    """
    return str(getattr(reason, "value", reason)) in _TIMEOUT_REASONS


def shortest_deferral() -> float:
    """Return the shortest deferral in seconds after which a worker can safely resume a task.

    Airflow 3 learns up to one heartbeat interval late that the task left its worker. If the task is queued
    again by then, Airflow mistakes that for the end of the resumed task and fails it
    (https://github.com/apache/airflow/issues/66374).
    """
    heartbeat: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=0.0)
    return 1.6 * heartbeat


def seconds_since_first_poke(task: Any, context: Mapping[str, Any]) -> float:
    """Return for how many seconds a rescheduled sensor has waited: 0 at its first poke.

    :param task: the sensor.
    """
    ti = context["ti"]
    if _AIRFLOW_2:
        from airflow.sensors.base import _orig_start_date  # type: ignore[import-not-found]

        began = _orig_start_date(
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=ti.map_index,
            try_number=(ti.max_tries or 0) - (task.retries or 0) + 1,
        )
    else:
        began = ti.get_first_reschedule_date(context)
    return 0.0 if began is None else max(0.0, (datetime.now(UTC) - began).total_seconds())


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """Return the store that outlives a task's tries, or ``None`` before Airflow 3.3."""
    return context.get("task_state_store")


def forget_variables(context: Mapping[str, Any]) -> None:
    """Clear the variable that a template used last: on Airflow 2 the context's ``repr()`` shows its value."""
    if _AIRFLOW_2:
        for accessor in context.get("var", {}).values():
            accessor.var = None


async def read_connection(conn_id: str, read: Callable[[Connection], T]) -> T:
    """Look up an Airflow connection in a triggerer and return the result of *read*.

    The look-up uses the event loop's own channel to the triggerer's supervisor. On Airflow 3.0 and 3.1, a
    look-up from another thread would break that channel and stop the triggerer.

    :param conn_id: the id of the Airflow connection.
    :param read: called with the connection, in a thread in which it may be used.
    """
    if hasattr(BaseHook, "aget_connection"):
        return read(await BaseHook.aget_connection(conn_id))
    from asgiref.sync import sync_to_async

    # From such a thread, Airflow 3.0 sends the request over the loop; Airflow 2 reads its database.
    return await sync_to_async(lambda: read(BaseHook.get_connection(conn_id)))()


def asset_stores(trigger: Any) -> list[Any]:
    """Return the state stores of the assets that a trigger watches; empty before Airflow 3.3.

    Assets with identical watchers share one trigger. The combined store that Airflow then provides cannot be
    read or written, only the store of each asset.

    :param trigger: an event trigger in a triggerer.
    """
    store = getattr(trigger, "asset_state_store", None)
    if store is None:
        return []
    each = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
    return each or [store]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """How Airflow passes a task's result to other tasks.

    :param do_xcom_push: whether the result is stored at all.
    :param multiple_outputs: whether each item of a dict is also stored as its own XCom.
    :param mapped_over: whether a downstream task is mapped over the result.
    :param dag_result: whether the result is the result of the DAG run.
    """

    do_xcom_push: bool = True
    multiple_outputs: bool = False
    mapped_over: bool = False
    dag_result: bool = False

    @classmethod
    def of(cls, task: Any, ti: Any) -> Handover:
        """Read a task's settings.

        :param task: the operator, or the triggerer's serialized form of it.
        :param ti: the task instance.
        """
        mapped = bool(getattr(ti, "is_mapped", False))
        in_dag = not hasattr(task, "has_dag") or task.has_dag()
        return cls(
            do_xcom_push=bool(task.do_xcom_push),
            multiple_outputs=bool(task.multiple_outputs),
            mapped_over=not mapped and in_dag and any(True for _ in task.iter_mapped_dependants()),
            dag_result=bool(getattr(task, "returns_dag_result", False)),
        )

    @classmethod
    def named(cls, names: Iterable[str]) -> Handover:
        """Rebuild a handover from the result of :meth:`names`.

        :param names: the names of the fields that are true.
        """
        return cls(**{each.name: each.name in set(names) for each in fields(cls)})

    def names(self) -> list[str]:
        """Return the names of the fields that are true, as a list that every Airflow can serialize."""
        return [each.name for each in fields(self) if getattr(self, each.name)]

    def takes(self, result: object) -> bool:
        """Return whether a worker would store *result*; if not, a worker would fail the task.

        :param result: the task's result.
        """
        if not self.do_xcom_push:
            return not self.mapped_over
        return isinstance(result, Mapping) or not self.multiple_outputs


async def hand_on(ti: Any, result: Any, handover: Handover, *, others: Mapping[str, Any]) -> None:
    """Push a task's XComs from a triggerer, as a worker would (Airflow 3.3 and later).

    The ``xcoms`` of a ``TaskSuccessEvent`` are no substitute: Airflow 3.3 encodes them twice and records no
    length to map over. Calling this function twice leaves the same XComs.

    :param ti: the task instance.
    :param result: the task's result.
    :param handover: how the result is passed on.
    :param others: other XComs by key, pushed in any case.
    """
    from airflow.sdk.execution_time.xcom import XCom

    async def push(key: str, value: Any, **options: Any) -> None:
        await XCom.aset(
            key=key,
            value=value,
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=ti.map_index,
            **options,
        )

    for key, value in others.items():
        await push(key, value)
    if not handover.do_xcom_push:
        return
    if handover.multiple_outputs:
        for key, value in result.items():
            await push(key, value)
    await push(
        "return_value",
        result,
        dag_result=handover.dag_result,
        _mapped_length=len(result) if handover.mapped_over else None,
    )


def has_post_execute(task: Any) -> bool:
    """Return whether *task* has ``post_execute`` code. Only a process that has read the DAG file can tell.

    :param task: the operator, in a DAG file or on a worker.
    """
    from airflow.providers.common.compat.sdk import BaseOperator

    return bool(
        getattr(task, "_post_execute_hook", None) or type(task).post_execute is not BaseOperator.post_execute
    )


def trigger_can_end(task: Any) -> bool:
    """Return whether a trigger can end *task* without a worker and nothing is left out.

    For a task that succeeds, only a worker handles asset events, callbacks, listeners, ``post_execute``,
    ``map_index_template`` and a custom XCom backend.

    :param task: the operator, or the triggerer's serialized form of it, which lacks ``post_execute``.
    """
    if not AIRFLOW_3_3:
        return False
    from airflow.sdk.bases.operator import BaseOperator
    from airflow.sdk.listener import get_listener_manager

    return not (
        task.outlets
        or task.has_on_success_callback
        or task.map_index_template
        or (isinstance(task, BaseOperator) and has_post_execute(task))
        or get_listener_manager().has_listeners
        or conf.get("core", "xcom_backend", fallback="").rpartition(".")[2] not in ("BaseXCom", "")
    )


__all__ = [
    "AIRFLOW_3_3",
    "TRIGGER_FAILED",
    "Handover",
    "TaskDeferralError",
    "asset_stores",
    "forget_variables",
    "hand_on",
    "has_post_execute",
    "is_trigger_timeout",
    "read_connection",
    "seconds_since_first_poke",
    "shortest_deferral",
    "task_state_store",
    "trigger_can_end",
]
