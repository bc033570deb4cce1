"""How a task's result reaches other tasks, if the triggerer ends the task (Airflow 3.3 and later)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from airflow_provider_workato.version_compat import AIRFLOW_3_3, has_own_xcom_backend


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
    from airflow_provider_workato.version_compat import BaseOperator

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
        or has_own_xcom_backend()
    )
