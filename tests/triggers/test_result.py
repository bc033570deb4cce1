"""A wait that ends in the triggerer leaves what a worker would."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.airflow import on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.supervisor import as_stored, supervised
from tests.support.tasks import TaskInstance, deferred_instance
from tests.support.triggerer import only_event

pytestmark = on_airflow_33


@pytest.fixture(autouse=True)
def two_authorized(sandbox: RunningSandbox, connect: Connect) -> list[int]:
    return sandbox.control.seed(count=2, authorization_status="success")


class Use(BaseOperator):
    """A task that takes a result."""

    def __init__(self, *, value: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value = value

    def execute(self, context: Any) -> None: ...


def ended(sensor: Any, *, map_index: int = -1) -> tuple[bool, list[Any]]:
    """Defer *sensor*, end it in the triggerer, and return whether it ended there and what it set."""
    from airflow.sdk.exceptions import TaskDeferred
    from airflow.triggers.base import TaskSuccessEvent

    if sensor.start_trigger_args:
        from airflow_provider_workato.triggers.connections import WorkatoConnectionTrigger

        trigger: Any = WorkatoConnectionTrigger(**sensor.start_trigger_args.trigger_kwargs)
        ti = deferred_instance(as_stored(sensor))
    else:
        with pytest.raises(TaskDeferred) as caught:
            sensor.execute(TaskInstance().context)
        trigger, ti = caught.value.trigger, deferred_instance(map_index=map_index)
    trigger.min_seconds = 0

    with supervised() as supervisor:
        event = asyncio.run(only_event(trigger, ti))
    there = isinstance(event, TaskSuccessEvent)
    # Airflow would encode these a second time.
    assert not there or event.xcoms is None
    return there, [message for message in supervisor.sent if type(message).__name__ == "SetXCom"]


STARTS = pytest.mark.parametrize("start", [False, True], ids=["deferred", "started there"])


def wait(start: bool, connection_id: Any, **options: Any) -> WorkatoConnectionSensor:
    return WorkatoConnectionSensor(
        **{
            "task_id": "wait",
            "connection_id": connection_id,
            "deferrable": True,
            "start_from_trigger": start,
            "end_from_trigger": True,
            "poke_interval": 0.1,
            **options,
        }
    )


@STARTS
def test_a_result_is_what_it_is_on_a_worker(start: bool, two_authorized: list[int]) -> None:
    one, many = two_authorized[0], two_authorized
    there, sent = ended(wait(start, one))
    xcoms = {message.key: message for message in sent}
    assert there
    # A wait that a worker deferred has its link already: thousands that end at once should not push it again.
    links = ["workato_connection_url", "_link_WorkatoConnectionLink"] if start else []
    assert list(xcoms) == [*links, "return_value"]
    assert isinstance(xcoms["return_value"].value, dict)
    assert xcoms["return_value"].value["id"] == one
    there, sent = ended(wait(start, many))
    assert there
    assert [row["id"] for row in sent[-1].value] == many


@STARTS
def test_nothing_is_pushed_if_nothing_is_wanted(start: bool, two_authorized: list[int]) -> None:
    assert ended(wait(start, two_authorized, do_xcom_push=False)) == (True, [])


def test_a_mapped_wait_knows_its_index(two_authorized: list[int]) -> None:
    there, sent = ended(wait(False, two_authorized[0]), map_index=3)
    assert there
    assert {message.map_index for message in sent} == {3}


def test_a_supervisor_that_refuses_leaves_it_to_a_worker(two_authorized: list[int]) -> None:
    from airflow.sdk.exceptions import TaskDeferred
    from airflow.triggers.base import TaskSuccessEvent

    with pytest.raises(TaskDeferred) as caught:
        wait(False, two_authorized).execute(TaskInstance().context)
    trigger: Any = caught.value.trigger
    trigger.min_seconds = 0

    with supervised(SetXCom=RuntimeError("no")):
        event = asyncio.run(only_event(trigger, deferred_instance()))
    assert not isinstance(event, TaskSuccessEvent)
    assert [row["id"] for row in event.payload["connections"]] == two_authorized


@pytest.mark.usefixtures("airflow_db")
def test_airflow_stores_it_as_it_stores_a_workers(two_authorized: list[int]) -> None:
    """What the trigger sends goes through the supervisor's handler, the execution API and the database."""
    from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.request_handlers import handle_set_xcom
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.utils.session import create_session

    from tests.support.dags import run_dag

    there, sent = ended(wait(False, two_authorized))
    assert there
    run = DAG("result", schedule=None)
    Use(task_id="wait", dag=run)
    (ti,) = run_dag(run).instances.values()
    client = TriggerRunnerSupervisor.make_client(object())  # type: ignore[arg-type]
    # Twice: a triggerer may die between this and the event.
    for message in [*sent, *sent]:
        handle_set_xcom(client, message.model_copy(update={"dag_id": "result", "run_id": ti.run_id}))
    with create_session() as session:
        stored: Any = session.query(XComModel).filter_by(dag_id="result", run_id=ti.run_id).one()
        value = XCom.deserialize_value(stored)
        assert [row["id"] for row in value] == two_authorized
        assert isinstance(value[0], dict)
