"""What differs between the supported Airflow versions, in one place.

Everything else in the package imports Airflow's names from ``airflow.providers.common.compat.sdk``
or from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow import __version__ as _airflow_version
from airflow.providers.common.compat.sdk import conf

try:  # Airflow 3
    from airflow.sdk.exceptions import TaskDeferralError
except ImportError:  # Airflow 2
    from airflow.exceptions import TaskDeferralError  # type: ignore[no-redef]

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


def trigger_can_end(task: Any) -> bool:
    """Tell whether nothing is missed if a trigger ends *task* without a worker.

    What only a worker does for a task that succeeds: asset events, callbacks, listeners,
    ``post_execute``, ``map_index_template`` and a custom XCom backend.

    :param task: the operator, on a worker.
    """
    if not AIRFLOW_3_3:
        return False
    from airflow.sdk.bases.operator import BaseOperator
    from airflow.sdk.listener import get_listener_manager

    return not (
        task.outlets
        or task.on_success_callback
        or task.map_index_template
        or getattr(task, "_post_execute_hook", None)
        or type(task).post_execute is not BaseOperator.post_execute
        or get_listener_manager().has_listeners
        or conf.get("core", "xcom_backend", fallback="").rpartition(".")[2] not in ("BaseXCom", "")
    )


__all__ = [
    "AIRFLOW_3_3",
    "TRIGGER_FAILED",
    "TaskDeferralError",
    "forget_variables",
    "is_trigger_timeout",
    "shortest_deferral",
    "task_state_store",
    "trigger_can_end",
]
