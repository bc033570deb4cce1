"""What a task remembers between its tries."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.provisioning.task_state import TaskState
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance


class Store:
    """A task state store."""

    def __init__(self, *, broken: bool = False) -> None:
        self.kept: dict[str, Any] = {}
        self.broken = broken

    def get(self, key: str) -> Any:
        if self.broken:
            raise RuntimeError("no store today")
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        if self.broken:
            raise RuntimeError("no store today")
        self.kept[key] = value


def test_the_record_writes_to_the_store() -> None:
    store = Store()
    context: Any = {"task_state_store": store}
    assert TaskState(context).read() == {}
    TaskState(context).write({"id": 7})
    assert TaskState(context).read() == {"id": 7}
    store.kept[TaskState.KEY] = "somebody else's"
    assert TaskState(context).read() == {}


@pytest.mark.parametrize("context", [{}, {"task_state_store": Store(broken=True)}])
def test_without_a_store_the_record_is_empty(context: Any, caplog: pytest.LogCaptureFixture) -> None:
    record = TaskState(context)
    record.write({"id": 7})
    assert record.read() == {}
    assert ("task state store" in caplog.text) is bool(context)


def test_another_try_of_a_task_reuses_its_connection(connect: Connect, sandbox: RunningSandbox) -> None:
    ti, store = TaskInstance(), Store()
    numbers = set()
    for _ in range(2):
        context: Any = ti.context | {"task_state_store": store}
        create = WorkatoCreateConnectionOperator(
            task_id="create", name="A", provider="jira", if_exists="duplicate"
        )
        numbers.add(create.execute(context))
    assert len(numbers) == 1, "a cleared task does not make another duplicate"
