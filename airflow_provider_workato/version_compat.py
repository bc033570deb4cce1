"""The only module that knows the differences between the supported Airflow versions.

The other modules import Airflow's names from here, or from a place that all versions share. Airflow's own
package for that, common-compat, has some of them only in releases that Airflow's constraints exclude.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow import __version__ as _airflow_version

_VERSION = tuple(map(int, _airflow_version.split(".")[:2]))

#: New in Airflow 3.3: a trigger's arguments are rendered in the triggerer, and a task has a store that
#: outlives its tries.
AIRFLOW_3_3 = _VERSION >= (3, 3)
_AIRFLOW_2 = _VERSION < (3, 0)

if TYPE_CHECKING or not _AIRFLOW_2:
    from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, PokeReturnValue

    # `airflow.sdk` of Airflow 3.0.0 looks for it in another module, which does not exist.
    from airflow.sdk.bases.notifier import BaseNotifier
    from airflow.sdk.execution_time.xcom import XCom

    try:
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 3.0.0
        from airflow.sdk.execution_time.secrets_masker import mask_secret  # type: ignore[no-redef]
else:
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.models.xcom import XCom
    from airflow.notifications.basenotifier import BaseNotifier
    from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
    from airflow.utils.log.secrets_masker import mask_secret

if TYPE_CHECKING or _VERSION >= (3, 1):
    from airflow.sdk import BaseHook
    from airflow.sdk.definitions.context import render_template_to_string
else:
    from airflow.hooks.base import BaseHook
    from airflow.utils.helpers import render_template_to_string

if TYPE_CHECKING or _VERSION >= (3, 2):
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
    )
else:
    from airflow.configuration import conf
    from airflow.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
    )

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from airflow.sdk.types import TaskInstanceKey
    from airflow.triggers.base import BaseEventTrigger

T = TypeVar("T")

#: The ``next_method`` with which Airflow resumes a task whose trigger failed or timed out.
TRIGGER_FAILED = "__fail__"

#: The part of the delay in seconds that does not shrink with the heartbeat interval. On a busy machine with
#: Airflow 3.1.8, the whole delay was up to 6.4 s at an interval of 1 s (180 tasks), and up to 14.8 s at the
#: default of 5 s (60 tasks), hence the two intervals in :func:`shortest_deferral`. Of 60 short waits at the
#: default, 45 failed without it and none with it.
EXECUTOR_DELAY = 7.0

#: Where Airflow's masker is.
_MASKER = (
    "airflow.utils.log.secrets_masker"
    if _AIRFLOW_2
    else "airflow.sdk._shared.secrets_masker.secrets_masker"
    if _VERSION >= (3, 1)
    else "airflow.sdk.execution_time.secrets_masker"
)

_TIMEOUT_REASONS = frozenset({"Trigger timeout", "Trigger/execution timeout"})


def __getattr__(name: str) -> Any:
    if name == "BaseEventTrigger":
        # Only a triggerer needs it, and a DAG file would pay for what it imports.
        from airflow.triggers import base

        return getattr(base, name, base.BaseTrigger)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_trigger_timeout(reason: object) -> bool:
    """Return whether a deferral ended because of Airflow's own timeout.

    :param reason: the ``error`` entry of the task's ``next_kwargs``, an enum member or a string.
    """
    return str(getattr(reason, "value", reason)) in _TIMEOUT_REASONS


def xcom_of(ti_key: TaskInstanceKey, *, key: str) -> Any:
    """Return an XCom of a task instance, ``None`` if there is none.

    :param ti_key: the task instance.
    :param key: the XCom's key.
    """
    # If there is no such XCom, Airflow 3 logs an error in get_value, but not in get_all.
    if ti_key.map_index < 0 and hasattr(XCom, "get_all"):
        found = XCom.get_all(key=key, dag_id=ti_key.dag_id, task_id=ti_key.task_id, run_id=ti_key.run_id)
        return found[0] if found else None
    return XCom.get_value(ti_key=ti_key, key=key)


def has_own_xcom_backend() -> bool:
    """Return whether Airflow is configured with an XCom backend other than its own."""
    return conf.get("core", "xcom_backend", fallback="").rpartition(".")[2] not in ("BaseXCom", "")


def push_past_backend(ti: Any, *, key: str, value: Any, for_tasks: bool = False) -> None:
    """Push an XCom into Airflow's database, past a custom backend, as Airflow itself does with links.

    Airflow's page opens what the database holds, which is an object's path if a backend stored the value. And
    such a backend keeps the objects of values that were replaced.

    :param ti: the task instance.
    :param key: the XCom's key.
    :param value: the value.
    :param for_tasks: whether tasks pull it. Only the backend of objects is known to pass on what it did not
        store; one that encrypts, for example, could not read it.
    """
    stores_objects = any(cls.__name__ == "XComObjectStorageBackend" for cls in XCom.__mro__)
    if not has_own_xcom_backend() or (for_tasks and not stores_objects):
        ti.xcom_push(key=key, value=value)
        return
    where = {name: getattr(ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
    if _AIRFLOW_2:
        from airflow.models.xcom import BaseXCom

        BaseXCom.set(key=key, value=value, **where)
    else:
        XCom._set_xcom_in_db(key=key, value=value, **where)  # noqa: SLF001 - Airflow's task runner calls it


def state_in_run(ti: Any, *, task_id: str, map_index: int) -> Any:
    """Return the state of another task instance of the same DAG run.

    :param ti: the running task instance.
    :param task_id: the other one's task.
    :param map_index: its map index.
    """
    if _AIRFLOW_2:
        other = ti.get_dagrun().get_task_instance(task_id, map_index=map_index)
        return other.state if other else None
    states = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=[task_id], map_index=map_index, run_ids=[ti.run_id]
    )
    return next(iter(states.get(ti.run_id, {}).values()), None)


def comes_from_mapped(task: Any) -> bool:
    """Return whether an operator was made from a mapped one, so that an upstream task can give its arguments.

    :param task: the operator, also within its constructor.
    """
    # Airflow has no public name for it. 2.11 to 3.3 use this one.
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


def upstream_arguments(task: Any, given: Collection[str], context: Mapping[str, Any]) -> frozenset[str]:
    """Return the arguments of a task made from a mapped one that an upstream task gave.

    :param task: the operator.
    :param given: the names of the arguments with which Airflow made it.
    :param context: its context.
    """
    mapped = task.dag.task_dict[task.task_id]
    rows = mapped.expand_input.value
    if isinstance(rows, Mapping):
        # The lists and dicts of `expand` stand in the DAG file.
        return frozenset(name for name, value in rows.items() if not isinstance(value, (Mapping, Sequence)))
    row = rows[context["ti"].map_index] if isinstance(rows, Sequence) else rows
    if isinstance(row, Mapping):
        return frozenset()
    return frozenset(given).difference(mapped.partial_kwargs)


def shortest_deferral() -> float:
    """Return the shortest deferral in seconds after which a worker can safely resume a task.

    Airflow 3 learns late that the task left its worker: the worker tells the executor about one heartbeat
    interval later, the scheduler asks the executor once per loop, and a busy machine delays both. If the task
    is queued again by then, Airflow mistakes that for the end of the resumed task and fails it
    (https://github.com/apache/airflow/issues/66374).
    """
    heartbeat: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=0.0)
    # Tests set the interval to 0: a real worker would not sleep at all.
    return 0.0 if _AIRFLOW_2 or not heartbeat else 2 * heartbeat + EXECUTOR_DELAY


def triggerer_queue(task: Any) -> str | None:
    """Return the queue that a triggerer must serve to run a task's wait; ``None`` for one without queues.

    :param task: the task that waits.
    """
    if _VERSION < (3, 2) or not conf.getboolean("triggerer", "queues_enabled", fallback=False):
        return None
    # Airflow gives the trigger of a task that starts there no queue. A mapped task starts on a worker.
    starts_there = task.start_from_trigger and not comes_from_mapped(task)
    return None if starts_there else str(task.queue)


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


def _variable() -> Any:
    """Return Airflow's class for variables. Not on import: few tasks need it."""
    if _AIRFLOW_2:
        from airflow.models import Variable

        return Variable
    from airflow.sdk import Variable as TaskVariable

    return TaskVariable


def read_variable(key: str) -> str | None:
    """Return an Airflow variable, ``None`` if there is none.

    :param key: its key.
    """
    found: str | None = _variable().get(key, **{"default_var" if _AIRFLOW_2 else "default": None})
    return found


def write_variable(key: str, value: str, *, description: str) -> None:
    """Create or replace an Airflow variable.

    :param key: its key.
    :param value: its value.
    :param description: what a person who finds it wants to know.
    """
    _variable().set(key, value, description=description)


def forget_argument(task: Any, name: str) -> None:
    """Replace an argument by the attribute of its name where Airflow keeps a task's arguments.

    Listeners that record a task's attributes find it there.

    :param task: the operator.
    :param name: the argument.
    """
    kept = vars(task).get("_BaseOperator__init_kwargs", {})
    if name in kept:
        # A copy: the tasks of a DAG's runs share the original.
        vars(task)["_BaseOperator__init_kwargs"] = {**kept, name: getattr(task, name)}


def mask_secrets(texts: Sequence[str]) -> None:
    """Mask strings in the task's log.

    For each string that it does not know, Airflow compiles the pattern of all of them anew. So it is told
    about all but one beforehand.

    :param texts: the strings.
    """
    with suppress(ImportError, AttributeError):
        module = import_module(_MASKER)
        masker = module._secrets_masker()  # noqa: SLF001 - Airflow has no other
        # Airflow 2 uses re2.
        escape = getattr(module, "re2", re).escape
        skipped = getattr(module, "SECRETS_TO_SKIP_MASKING", ())
        texts = [
            text for text in texts if escape(text) not in masker.patterns and text.lower() not in skipped
        ]
        masker.patterns.update(map(escape, texts[:-1]))
    if texts:
        mask_secret(list(texts))


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

    look_up = _look_up_without_supervisor if triggerer_can_hang() else BaseHook.get_connection
    # From such a thread, Airflow 3.0 sends the request over the loop; Airflow 2 reads its database.
    return await sync_to_async(lambda: read(look_up(conn_id)))()


def triggerer_can_hang() -> bool:
    """Return whether this is a triggerer that can hang for ever when it reads a stored Airflow connection.

    On Airflow 3.0.0 to 3.0.2, the thread that looks it up and the event loop read the same pipe.
    """
    if _VERSION != (3, 0):
        return False
    from airflow.sdk.execution_time import task_runner

    # A later triggerer has a class of its own for it, and so has `dag.test()`.
    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)).__name__ == "CommsDecoder"


def _look_up_without_supervisor(conn_id: str) -> Connection:
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    for backend in ensure_secrets_backend_loaded():
        if connection := backend.get_connection(conn_id=conn_id):
            return connection  # type: ignore[no-any-return]
    raise AirflowNotFoundException(f"No secrets backend has the connection {conn_id!r}.")


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


async def asset_state(store: Any, method: Literal["get", "set", "delete"], *arguments: Any) -> Any:
    """Call a method of an asset's state store without blocking the triggerer's event loop.

    :param store: one of :func:`asset_stores`.
    :param method: the method.
    :param arguments: its arguments: a key and, for ``set``, a value.
    """
    if hasattr(store, f"a{method}"):
        return await getattr(store, f"a{method}")(*arguments)
    # Airflow 3.3.0 and 3.3.1 have no coroutines for it. Unlike on Airflow 3.0 and 3.1, which have no such
    # store, another thread may use the loop's channel to the triggerer's supervisor.
    return await asyncio.to_thread(getattr(store, method), *arguments)


__all__ = [
    "AIRFLOW_3_3",
    "TRIGGER_FAILED",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseEventTrigger",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "PokeReturnValue",
    "TaskDeferralError",
    "XCom",
    "asset_state",
    "asset_stores",
    "conf",
    "forget_argument",
    "forget_variables",
    "has_own_xcom_backend",
    "is_trigger_timeout",
    "mask_secret",
    "mask_secrets",
    "push_past_backend",
    "read_connection",
    "render_template_to_string",
    "seconds_since_first_poke",
    "shortest_deferral",
    "state_in_run",
    "task_state_store",
    "triggerer_can_hang",
    "triggerer_queue",
    "upstream_arguments",
]
