"""What differs between the supported Airflow versions, in one place.

Everything else in the package imports Airflow's names from ``airflow.providers.common.compat.sdk``
or from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
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

#: Airflow 3.3: one poll serves all triggers whose ``shared_stream_key()`` is equal, a trigger's
#: arguments are rendered in the triggerer, and a task has a store that outlives its tries.
AIRFLOW_3_3 = tuple(map(int, _airflow_version.split(".")[:2])) >= (3, 3)
_AIRFLOW_2 = _airflow_version.startswith("2.")

#: The ``next_method`` by which Airflow tells a task that its trigger failed or timed out.
TRIGGER_FAILED = "__fail__"

_TIMEOUT_REASONS = frozenset({"Trigger timeout", "Trigger/execution timeout"})


def is_trigger_timeout(reason: object) -> bool:
    """Tell whether a deferral ended by Airflow's own timeout.

    :param reason: the ``error`` entry of the task's ``next_kwargs``, an enum or a text.
    """
    return str(getattr(reason, "value", reason)) in _TIMEOUT_REASONS


def shortest_deferral() -> float:
    """Return for how many seconds a task has to be deferred at least if a worker is to resume it.

    Airflow 3 hears up to a heartbeat interval late that the task left its worker. If the task is
    queued again by then, Airflow takes that for the end of its second half, and fails it
    (https://github.com/apache/airflow/issues/66374).
    """
    heartbeat: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=0.0)
    return 1.6 * heartbeat


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """Return the store that outlives a task's tries, ``None`` before Airflow 3.3.

    :param context: the task's execution context.
    """
    return context.get("task_state_store")


def forget_variables(context: Mapping[str, Any]) -> None:
    """Let Airflow 2 forget the variable that a template used last, which the context's ``repr()`` shows.

    :param context: the task's execution context.
    """
    if _AIRFLOW_2:
        for accessor in context.get("var", {}).values():
            accessor.var = None


async def read_connection(conn_id: str, read: Callable[[Connection], T]) -> T:
    """Look an Airflow connection up in a triggerer and return what *read* makes of it.

    The look-up talks to the triggerer's supervisor over the channel that the event loop uses. A thread
    of ours that did so would break that channel on Airflow 3.0 and 3.1, and with it the triggerer.

    :param conn_id: the Airflow connection.
    :param read: called where the connection may be used.
    """
    if hasattr(BaseHook, "aget_connection"):
        return read(await BaseHook.aget_connection(conn_id))
    from asgiref.sync import sync_to_async

    # Airflow 3.0 sends what such a thread asks for over the loop; Airflow 2 reads its database.
    return await sync_to_async(lambda: read(BaseHook.get_connection(conn_id)))()


def asset_stores(trigger: Any) -> list[Any]:
    """Return the state stores of the assets that a trigger watches, none before Airflow 3.3.

    Assets with identical watchers share one trigger, and the store that Airflow gives it then refuses
    to be used as a whole.

    :param trigger: an event trigger in a triggerer.
    """
    store = getattr(trigger, "asset_state_store", None)
    if store is None:
        return []
    each = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
    return each or [store]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """How Airflow hands on what a task returns.

    :param do_xcom_push: whether it is kept at all.
    :param multiple_outputs: whether each item of a dict is an XCom of its own, too.
    :param mapped_over: whether a task downstream is mapped over it.
    :param dag_result: whether it is the result of the DAG run.
    """

    do_xcom_push: bool = True
    multiple_outputs: bool = False
    mapped_over: bool = False
    dag_result: bool = False

    @classmethod
    def of(cls, task: Any, ti: Any) -> Handover:
        """Read it from a task.

        :param task: the operator, on a worker or as the triggerer knows it.
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
        """Rebuild it from what :meth:`names` gave.

        :param names: what holds.
        """
        return cls(**{each.name: each.name in set(names) for each in fields(cls)})

    def names(self) -> list[str]:
        """Return what holds, in a form that a trigger can keep on every Airflow version."""
        return [each.name for each in fields(self) if getattr(self, each.name)]

    def takes(self, result: object) -> bool:
        """Tell whether a worker would hand *result* on; else it fails the task.

        :param result: what the task returns.
        """
        if not self.do_xcom_push:
            return not self.mapped_over
        return isinstance(result, Mapping) or not self.multiple_outputs


async def hand_on(ti: Any, result: Any, handover: Handover, *, links: Mapping[str, str]) -> None:
    """Leave a task's XComs from a triggerer, as a worker would have (Airflow 3.3 and later).

    Those of a ``TaskSuccessEvent`` would not do: Airflow 3.3 encodes them twice and records no length
    to map over. Doing this twice leaves the same XComs.

    :param ti: the task instance.
    :param result: what the task returns.
    :param handover: how.
    :param links: further XComs, which do not depend on that.
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

    for key, url in links.items():
        await push(key, url)
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
    """Tell whether a worker runs code after *task*, which no other process can know of.

    :param task: the operator, in a DAG file or on a worker.
    """
    from airflow.providers.common.compat.sdk import BaseOperator

    return bool(
        getattr(task, "_post_execute_hook", None) or type(task).post_execute is not BaseOperator.post_execute
    )


def trigger_can_end(task: Any) -> bool:
    """Tell whether nothing is missed if a trigger ends *task* without a worker.

    What only a worker does for a task that succeeds: asset events, callbacks, listeners,
    ``post_execute``, ``map_index_template`` and a custom XCom backend.

    :param task: the operator, on a worker, or as the triggerer knows it. That knows no ``post_execute``.
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
    "shortest_deferral",
    "task_state_store",
    "trigger_can_end",
]
