"""A stand-in for the triggerer's supervisor in Airflow 3.3."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest


@dataclass
class Supervisor:
    """Answers messages as the triggerer's supervisor does, and records them."""

    answers: dict[str, Any] = field(default_factory=dict)
    #: The asset state store: JSON by the names of asset and key.
    asset_states: dict[tuple[str, str], str] = field(default_factory=dict)
    sent: list[Any] = field(default_factory=list)
    #: The ids of the threads that sent messages.
    threads: set[int] = field(default_factory=set)

    async def asend(self, msg: Any) -> Any:
        """Receive a message from the event loop."""
        self.threads.add(threading.get_ident())
        self.sent.append(msg)
        await asyncio.sleep(0)
        return self._answer(msg)

    def send(self, msg: Any) -> Any:
        """Receive a message from any thread. The real channel breaks if the provider's threads use it."""
        self.threads.add(threading.get_ident())
        self.sent.append(msg)
        return self._answer(msg)

    def _answer(self, msg: Any) -> Any:
        kind = type(msg).__name__
        answer = self.answers.get(kind)
        if isinstance(answer, Exception):
            raise answer
        if answer is None and kind.endswith("AssetStateStoreByName"):
            return self._asset_state(kind, msg)
        return answer

    def _asset_state(self, kind: str, msg: Any) -> Any:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import AssetStateStoreResult, ErrorResponse, OKResponse

        stored = (msg.name, msg.key)
        if kind.startswith("Get"):
            if stored in self.asset_states:
                return AssetStateStoreResult(value=json.loads(self.asset_states[stored]))
            return ErrorResponse(error=ErrorType.ASSET_STORE_NOT_FOUND)
        if kind.startswith("Set"):
            self.asset_states[stored] = json.dumps(msg.value)
        else:
            self.asset_states.pop(stored, None)
        return OKResponse(ok=True)

    def xcoms(self) -> dict[str, Any]:
        """Return the XComs that were set, deserialized as a task reads them."""
        from airflow.sdk.execution_time.xcom import XCom

        return {
            msg.key: XCom.deserialize_value(SimpleNamespace(value=msg.value))
            for msg in self.sent
            if type(msg).__name__ == "SetXCom"
        }


@contextmanager
def supervised(**answers: Any) -> Iterator[Supervisor]:
    """Install a supervisor while the block runs.

    :param answers: its answers by the name of the message's class; an exception is raised.
    """
    from airflow.sdk.execution_time import task_runner

    supervisor = Supervisor(answers=answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        yield supervisor


def as_stored(task: Any) -> Any:
    """Return an operator as a triggerer has it, deserialized from the stored DAG."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    dag = task.dag if task.has_dag() else DAG("dag", schedule=None)
    task.dag = dag
    return DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task(task.task_id)
