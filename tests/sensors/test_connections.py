"""What the sensor accepts, and what it makes of a trigger that did not end as it should."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    Asset,
    BaseOperator,
    TaskDeferred,
    TaskGroup,
    conf,
    task_group,
)

from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoRateLimitError,
    WorkatoTransportError,
    to_data,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from airflow_provider_workato.version_compat import (
    EXECUTOR_DELAY,
    TaskDeferralError,
    shortest_deferral,
)
from tests.support.airflow import AIRFLOW, on_airflow_2, on_airflow_33
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.tasks import TaskInstance


class Use(BaseOperator):
    """A task that takes a result."""

    def __init__(self, *, value: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value = value

    def execute(self, context: Any) -> None: ...


def sensor(connection_id: Any = 36, **options: Any) -> WorkatoConnectionSensor:
    return WorkatoConnectionSensor(**{"task_id": "wait", "connection_id": connection_id} | options)


def deferral(waiting: WorkatoConnectionSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute(TaskInstance().context)
    return caught.value


def resumed(method: str, arguments: dict[str, Any] | None, **options: Any) -> Any:
    return sensor(deferrable=True, **options).resume_execution(method, arguments, TaskInstance().context)


@pytest.mark.usefixtures("connect")
def test_the_wait_is_handed_over_with_all_it_needs() -> None:
    handed = deferral(
        sensor(
            ["36", 37],
            deferrable=True,
            folder_id=1892,
            project_id=301,
            external_id="e",
            fail_fast=False,
            max_failed_polls=2,
            poke_interval=timedelta(seconds=7),
            timeout=60,
            end_from_trigger=True,
            do_xcom_push=False,
        )
    )
    _, kwargs = handed.trigger.serialize()
    since, deadline = kwargs.pop("since"), kwargs.pop("deadline")
    assert deadline - since == 60
    assert kwargs.pop("timeout") == 60
    assert kwargs == {
        "connection_id": [36, 37],
        "workato_conn_id": "workato_default",
        "folder_id": 1892,
        "project_id": 301,
        "external_id": "e",
        "poke_interval": 7,
        "fail_fast": False,
        "max_failed_polls": 2,
        "accept_newest": True,
        "end_from_trigger": True,
        "do_xcom_push": False,
        "dag_result": False,
        "min_seconds": shortest_deferral(),
        "known_failures": [],
        "execution_deadline": None,
        "execution_timeout": None,
        "remind_at": None,
        "quote_app": True,
        "advice": "WAITED",
    }
    # Airflow's own timeout leaves the trigger time for a look after the deadline.
    assert handed.timeout == timedelta(seconds=60 + handed.trigger.SLACK + shortest_deferral())
    assert handed.trigger.GRACE < handed.trigger.SLACK


@on_airflow_33
@pytest.mark.parametrize("heartbeat", ["1", None, "30"])
@pytest.mark.parametrize("timeout", [4, 4000])
@pytest.mark.usefixtures("connect")
def test_a_wait_lasts_as_long_as_airflow_needs_to_hear_of_it(
    heartbeat: str | None, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler's part of the delay does not shrink with the heartbeat interval."""
    if heartbeat is not None:
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", heartbeat)
    beat = conf.getfloat("workers", "min_heartbeat_interval")
    lasts = deferral(sensor(deferrable=True, timeout=timeout)).trigger.serialize()[1]["min_seconds"]
    assert lasts == 2 * beat + EXECUTOR_DELAY


@on_airflow_2
@pytest.mark.usefixtures("connect")
def test_airflow_2_hears_of_a_deferral_at_once() -> None:
    assert deferral(sensor(deferrable=True)).trigger.serialize()[1]["min_seconds"] == 0


@pytest.mark.usefixtures("connect")
def test_after_another_task_an_older_list_is_no_proof() -> None:
    with DAG("d", schedule=None):
        waiting = sensor(deferrable=True)
        BaseOperator(task_id="before") >> waiting
    assert deferral(waiting).trigger.serialize()[1]["accept_newest"] is False


@pytest.mark.usefixtures("connect")
def test_silent_fail_rides_out_any_failure() -> None:
    assert (
        deferral(sensor(deferrable=True, silent_fail=True)).trigger.serialize()[1]["max_failed_polls"] is None
    )


@pytest.mark.usefixtures("connect")
def test_execution_timeout_counts_from_the_start_of_the_try() -> None:
    ti = TaskInstance()
    ti.start_date -= timedelta(seconds=40)
    waiting = sensor(deferrable=True, execution_timeout=timedelta(seconds=60))
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(ti.context)
    _, kwargs = deferred.value.trigger.serialize()
    assert kwargs["execution_deadline"] == ti.start_date.timestamp() + 60
    assert kwargs["deadline"] - kwargs["since"] == waiting.timeout
    given = deferred.value.timeout.total_seconds() - deferred.value.trigger.SLACK - shortest_deferral()
    assert 0 < given <= 20
    # `dag.test()` of Airflow 2 sets none.
    ti.start_date = None  # type: ignore[assignment]
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(ti.context)
    assert deferred.value.trigger.execution_deadline - deferred.value.trigger.since == pytest.approx(
        60, abs=5
    )


@pytest.mark.parametrize("skip", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
def test_the_end_of_execution_timeout_lets_retries_apply(skip: dict[str, Any]) -> None:
    """As on a worker, where Airflow ends the pause between two pokes, soft_fail or not."""
    options = {"execution_timeout": timedelta(seconds=17), **skip}
    event = {"error": to_data(AirflowTaskTimeout("after 17 s")), "connections": []}
    with pytest.raises(AirflowTaskTimeout, match="after 17 s"):
        resumed("execute_complete", {"event": event}, **options)
    # Airflow 2, and a task that started in the triggerer.
    with pytest.raises(AirflowTaskTimeout, match=r"Still waiting for connection 36 .* of 17 s"):
        resumed("__fail__", {"error": "Trigger timeout"}, **options)
    with pytest.raises((AirflowSensorTimeout, AirflowSkipException), match="within the specified timeout"):
        resumed("__fail__", {"error": "Trigger timeout"}, **options, timeout=5)


@pytest.mark.parametrize("skip", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
@pytest.mark.usefixtures("connect")
def test_execution_timeout_may_end_during_a_poke(
    skip: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = sensor(execution_timeout=timedelta(seconds=17), **skip)

    def interrupted(_: Any) -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    monkeypatch.setattr(waiting, "poke", interrupted)
    with pytest.raises(AirflowTaskTimeout, match="after the execution_timeout of 17 s"):
        waiting.execute(TaskInstance().context)


def test_deferrable_by_airflows_default() -> None:
    assert sensor().deferrable is False


# A trigger that ended otherwise


@pytest.mark.parametrize(
    "event",
    [None, {}, "x", {"error": None, "connections": []}, {"error": {"type": "Exception", "details": {}}}],
)
def test_an_event_that_is_none(event: object) -> None:
    with pytest.raises(WorkatoError, match="Clear the task to wait again") as caught:
        resumed("execute_complete", {"event": event})
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger/execution timeout"])
def test_airflows_own_timeout(reason: str) -> None:
    says = "No triggerer ended the wait for connection 36 within the specified timeout of 60 s. Start one"
    with pytest.raises(AirflowSensorTimeout, match=says):
        resumed("__fail__", {"error": reason}, timeout=60)
    with pytest.raises(AirflowSkipException):
        resumed("__fail__", {"error": reason}, soft_fail=True)


@on_airflow_33
def test_airflows_own_timeout_as_it_names_it() -> None:
    from airflow.sdk.bases.operator import TriggerFailureReason

    with pytest.raises(AirflowSensorTimeout):
        resumed("__fail__", {"error": TriggerFailureReason.TRIGGER_TIMEOUT})


@pytest.mark.parametrize(
    "arguments", [None, {}, {"error": "Trigger failure"}, {"error": "x", "traceback": ["a: b"]}]
)
def test_a_trigger_that_was_lost(arguments: dict[str, Any] | None) -> None:
    with pytest.raises(TaskDeferralError):
        resumed("__fail__", arguments)
    with pytest.raises(TaskDeferralError):
        resumed("__fail__", arguments, soft_fail=True)
    with pytest.raises(AirflowSkipException, match="never_fail"):
        resumed("__fail__", arguments, never_fail=True)


@pytest.mark.parametrize(
    "error",
    [
        WorkatoAuthorizationError("m", connection_id=36, authorization_status="failed"),
        WorkatoRateLimitError("m", status=429, operation="list_connections", retry_after=2.5),
        WorkatoTransportError("m", operation="list_connections", request_sent=False),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_wait_that_failed_raises_its_error(error: WorkatoError) -> None:
    with pytest.raises(type(error)) as caught:
        resumed("execute_complete", {"event": {"error": to_data(error), "connections": []}})
    assert (str(caught.value), vars(caught.value)) == (str(error), vars(error))


# Ending in the triggerer


ends_there = partial(sensor, deferrable=True, end_from_trigger=True)


@pytest.mark.usefixtures("connect")
def test_ending_there_is_an_option() -> None:
    for waiting in (sensor(deferrable=True), ends_there()):
        _, kwargs = deferral(waiting).trigger.serialize()
        assert kwargs["end_from_trigger"] is waiting.end_from_trigger
    assert sensor().end_from_trigger is False


class Resumed(WorkatoConnectionSensor):
    def execute_complete(self, context: Any, event: Any = None) -> Any:
        return [super().execute_complete(context, event)]


class Executed(WorkatoConnectionSensor):
    def post_execute(self, context: Any, result: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"multiple_outputs": True}, "multiple_outputs"),
        ({"outlets": [Asset("a")]}, "outlets"),
        ({"on_success_callback": print}, "on_success_callback"),
        ({"map_index_template": "{{ 1 }}"}, "map_index_template"),
        ({"post_execute": print}, "post_execute"),
        ({"outlets": [Asset("a")], "post_execute": print}, "outlets, post_execute"),
    ],
    ids=str,
)
def test_what_needs_a_worker_is_refused_when_the_dag_is_parsed(options: dict[str, Any], needed: str) -> None:
    says = f"Task 'wait' cannot end in the triggerer: {needed} needs a worker. Leave out that or end_from_"
    with pytest.raises(WorkatoConfigurationError, match=says):
        ends_there(**options)
    with (
        DAG("defaults", schedule=None, default_args=options),
        pytest.raises(WorkatoConfigurationError, match=says),
    ):
        ends_there()
    sensor(deferrable=True, **options)


@pytest.mark.parametrize(("cls", "needed"), [(Resumed, "execute_complete"), (Executed, "post_execute")])
def test_a_subclass_that_needs_a_worker_is_refused(cls: type[WorkatoConnectionSensor], needed: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match=f"{needed} needs a worker"):
        cls(task_id="wait", connection_id=36, deferrable=True, end_from_trigger=True)


def test_an_xcom_backend_needs_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", "my.CustomXCom")
    with pytest.raises(WorkatoConfigurationError, match="a custom XCom backend needs a worker"):
        ends_there()


def _expanded(output: Any) -> None:
    Use.partial(task_id="use").expand(value=output)


def _expanded_kwargs(output: Any) -> None:
    Use.partial(task_id="use").expand_kwargs(output)


def _mapped(output: Any) -> None:
    Use.partial(task_id="use").expand(value=output.map(lambda row: row))


def _in_a_group(output: Any) -> None:
    @task_group
    def use(value: Any) -> None:
        with TaskGroup("inner"):
            Use(task_id="a") >> Use(task_id="b", value=value)

    try:
        use.expand(value=output)
    except WorkatoConfigurationError:
        # Airflow leaves a group open if one of its relations is refused.
        TaskGroup("other").__exit__(None, None, None)
        raise


@pytest.mark.parametrize(
    ("consume", "name"),
    [(_expanded, "use"), (_expanded_kwargs, "use"), (_mapped, "use"), (_in_a_group, "use")],
)
def test_a_task_that_is_mapped_over_the_result_is_refused(consume: Callable[[Any], None], name: str) -> None:
    """Only a worker records how many tasks to make; without that, they would never run."""
    with DAG("d", schedule=None):
        consume(sensor([36, 37], deferrable=True).output)
    with (
        DAG("d", schedule=None),
        pytest.raises(WorkatoConfigurationError, match=f"'{name}', which is mapped over its result, needs"),
    ):
        consume(ends_there([36, 37]).output)


def test_other_tasks_around_it_are_not_refused() -> None:
    with DAG("d", schedule=None):
        waiting = ends_there()
        Use(task_id="before") >> waiting >> [Use(task_id="a", value=waiting.output), Use(task_id="b")]
        waiting >> Use.partial(task_id="c", value=waiting.output).expand_kwargs([{}])
        mapped = WorkatoConnectionSensor.partial(task_id="m", deferrable=True, end_from_trigger=True)
        _expanded(mapped.expand(connection_id=[36, 37]).output)


# Starting in the triggerer


@on_airflow_33
@pytest.mark.parametrize(
    "connection_id",
    [
        36,
        "36",
        [36, "{{ params.other }}"],
        "{{ ti.xcom_pull(task_ids='a', map_indexes=-1) }}",
        "{{ params.id }}",
    ],
)
def test_what_may_start_in_the_triggerer(connection_id: Any) -> None:
    waiting = sensor(connection_id, deferrable=True, start_from_trigger=True)
    assert waiting.start_trigger_args is not None
    assert (waiting.start_trigger_args.trigger_kwargs or {})["connection_id"] == connection_id


@on_airflow_33
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: BaseOperator(task_id="a").output, "the output of another task"),
        (lambda: [BaseOperator(task_id="a").output], "the output of another task"),
        (lambda: deque([36]), "a deque"),
        (lambda: "{{ ti.xcom_pull('a') }}", "an xcom_pull without map_indexes"),
        (lambda: "{{ ti.xcom_pull(task_ids='a', key='b') }}", "an xcom_pull without map_indexes"),
    ],
)
def test_what_airflow_cannot_start_in_the_triggerer(make: Callable[[], Any], problem: str) -> None:
    with DAG("d", schedule=None), pytest.raises(WorkatoConfigurationError, match=f"task 'wait' is {problem}"):
        sensor(make(), deferrable=True, start_from_trigger=True)


@pytest.mark.parametrize("name", ["fail_fast", "deferrable", "end_from_trigger", "start_from_trigger"])
def test_flags_may_be_strings(name: str) -> None:
    assert getattr(sensor(**{name: "false"}), name, False) is False
    with pytest.raises(WorkatoConfigurationError, match=f"{name} must be true or false"):
        sensor(**{name: "perhaps"})


def test_starting_there_is_an_option() -> None:
    assert getattr(sensor(deferrable=True), "start_from_trigger", False) is False


def test_deferrable_is_no_mode() -> None:
    with pytest.raises(WorkatoConfigurationError, match="write deferrable=True and leave mode out"):
        WorkatoConnectionSensor(task_id="wait", connection_id=36, mode="deferrable")


@pytest.mark.parametrize("name", ["start_from_trigger", "end_from_trigger"])
def test_an_option_of_the_triggerer_without_deferring_is_said(name: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match=f"{name} of task 'wait' needs deferrable=True"):
        sensor(**{name: True})


# Mapped ids


class Asked(Sequence[int]):
    """The output of mapped tasks: Airflow is asked for its length, each item, or a slice."""

    def __init__(self, *items: int) -> None:
        self.items = items
        self.questions = 0

    def __len__(self) -> int:
        self.questions += 1
        return len(self.items)

    def __getitem__(self, key: Any) -> Any:
        self.questions += 1
        return list(self.items[key]) if isinstance(key, slice) else self.items[key]


def test_the_ids_of_mapped_tasks_are_asked_for_once(sandbox: RunningSandbox, connect: Connect) -> None:
    ids = sandbox.control.seed(count=20, authorization_status=None)
    asked = Asked(*ids)
    waiting = sensor(asked, poke_interval=0.05, timeout=0.4)
    with pytest.raises(
        AirflowSensorTimeout, match=r"connection \d+ \(no status yet, created .* and 15 more after"
    ):
        waiting.execute(TaskInstance().context)
    assert len(sandbox.control.requests()) > 2
    assert asked.questions == 1


def increased(number: int) -> int:
    """Return a number that no slice of numbers could become."""
    return number + 1


def airflows(kind: str, *arguments: Any) -> Any:
    """Make what Airflow makes of an expression such as ``a.output.concat(b.output)``."""
    module = "airflow.sdk.definitions.xcom_arg" if AIRFLOW.major > 2 else "airflow.models.xcom_arg"
    return getattr(import_module(module), kind)(*arguments)


@pytest.mark.parametrize(
    ("combine", "ids", "questions"),
    [
        pytest.param(lambda a, b: airflows("_ConcatResult", [a, b]), [1, 2, 3, 4], 2, id="concat"),
        pytest.param(lambda a, _: airflows("_MapResult", a, [increased]), [2, 3], 1, id="map"),
        pytest.param(lambda a, b: airflows("_ZipResult", [a, b]), [1, 3, 2, 4], 2, id="zip"),
        pytest.param(
            lambda a, b: airflows("_MapResult", airflows("_ConcatResult", [a, b]), [increased]),
            [2, 3, 4, 5],
            2,
            id="concat, then map",
        ),
        pytest.param(lambda a, b: [a, b], [1, 2, 3, 4], 2, id="a list of them"),
        pytest.param(lambda a, _: (5, [a]), [5, 1, 2], 1, id="nested"),
        pytest.param(lambda *_: deque([1, "2"]), [1, 2], 0, id="deque"),
        pytest.param(lambda *_: {"7"}, [7], 0, id="set"),
        pytest.param(lambda *_: {7: "a"}.keys(), [7], 0, id="keys"),
        pytest.param(lambda *_: range(1, 3), [1, 2], 0, id="range"),
    ],
)
def test_ids_in_whatever_can_be_iterated_over(
    combine: Callable[[Asked, Asked], Any], ids: list[int], questions: int
) -> None:
    one, other = Asked(1, 2), Asked(3, 4)
    waiting = sensor(combine(one, other))
    assert waiting._wanted == waiting._wanted == ids
    assert one.questions + other.questions == questions


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: {"id": 36}, "such as 36, not a dict. It is a whole connection: pass its id"),
        (lambda: [b"36"], "not bytes"),
        (
            lambda: deque([BaseOperator(task_id="a").output]),
            "inside something in which Airflow does not look",
        ),
        (lambda: "create.output", r"Where .* use the template {{ ti.xcom_pull\(task_ids='create'\) }}"),
        (lambda: ["group.create.output"], r"\(task_ids='group.create'\)"),
    ],
    ids=["dict", "bytes", "unresolved", "text", "text in a list"],
)
@pytest.mark.usefixtures("connect")
def test_what_holds_no_ids(make: Callable[[], Any], says: str, sandbox: RunningSandbox) -> None:
    with DAG("d", schedule=None), pytest.raises(WorkatoConfigurationError, match=says):
        sensor(make()).execute(TaskInstance().context)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("empty", [[], (), Asked(), deque()], ids=["list", "tuple", "mapped", "deque"])
def test_an_empty_list_of_ids_is_called_that(empty: Any) -> None:
    with pytest.raises(WorkatoConfigurationError, match="connection_id is an empty list"):
        sensor(empty).execute(TaskInstance().context)


@on_airflow_2
def test_airflow_2_starts_on_a_worker() -> None:
    assert sensor(deferrable=True, start_from_trigger=True).start_from_trigger is False
