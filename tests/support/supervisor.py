"""The triggerer's side of Airflow 3.3, as far as a trigger speaks to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest


@dataclass
class Supervisor:
    """Answers as the triggerer's supervisor does, and keeps what it was told."""

    answers: dict[str, Any] = field(default_factory=dict)
    sent: list[Any] = field(default_factory=list)
    #: The threads that messages came from.
    threads: set[int] = field(default_factory=set)

    async def asend(self, msg: Any) -> Any:
        """Take a message from the loop."""
        self.threads.add(threading.get_ident())
        self.sent.append(msg)
        await asyncio.sleep(0)
        answer = self.answers.get(type(msg).__name__)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send(self, msg: Any) -> Any:
        """Take a message from anywhere; the real one breaks when a thread of ours does this."""
        self.threads.add(threading.get_ident())
        self.sent.append(msg)
        return self.answers.get(type(msg).__name__)

    def xcoms(self) -> dict[str, Any]:
        """Return the XComs that were set, as a task reads them."""
        from airflow.sdk.execution_time.xcom import XCom

        return {
            msg.key: XCom.deserialize_value(SimpleNamespace(value=msg.value))
            for msg in self.sent
            if type(msg).__name__ == "SetXCom"
        }


@contextmanager
def supervised(**answers: Any) -> Iterator[Supervisor]:
    """Put a supervisor in place.

    :param answers: what it answers, by the name of the message; an exception is raised
    """
    from airflow.sdk.execution_time import task_runner

    supervisor = Supervisor(answers=answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        yield supervisor


def as_stored(task: Any) -> Any:
    """Return an operator as a triggerer has it: from the DAG that Airflow stored."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    dag = task.dag if task.has_dag() else DAG("dag", schedule=None)
    task.dag = dag
    return DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task(task.task_id)
