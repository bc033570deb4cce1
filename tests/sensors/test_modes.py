"""One table of waits, each in every way of waiting: same result, same error, same skip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator
from airflow_provider_workato.sandbox.client import SandboxControl, wait_until
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support import waits
from tests.support.airflow import AIRFLOW, on_airflow_33
from tests.support.dags import own_workspace, run_dag
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox
from tests.support.sdk import DAG, task
from tests.support.tasks import TaskInstance


@pytest.fixture(autouse=True)
def _no_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a wait be as short as it is: nobody hears late of a deferral where no executor is in between."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

NULL: dict[str, Any] = {"authorization_status": None}
SUCCESS: dict[str, Any] = {"authorization_status": "success"}
FAILED: dict[str, Any] = {"authorization_status": "failed", "authorization_error": "bad password"}
LOST: dict[str, Any] = {
    **SUCCESS,
    "authorized_at": "2026-01-01T00:00:00Z",
    "connection_lost_at": "2026-01-02T00:00:00Z",
    "connection_lost_reason": "token expired",
}
AUTHORIZED_AGAIN = {**LOST, "authorized_at": "2026-01-03T00:00:00Z"}

REFUSED, GONE, NO_ID, NO_TOKEN, TIMED_OUT = (
    "WorkatoAuthorizationError",
    "WorkatoNotFoundError",
    "WorkatoConfigurationError",
    "WorkatoAuthError",
    "AirflowSensorTimeout",
)

#: A task can be skipped instead of failing.
SKIPPED_AFTER = "skipped after "

#: What happens to the seeded connections while somebody waits, each after at least one more look.
Event = Callable[[SandboxControl, Sequence[int]], object]


def authorized(which: int = 0) -> Event:
    return lambda control, ids: control.authorize(ids[which])


def failed(which: int = 0) -> Event:
    return lambda control, ids: control.fail(ids[which], error="bad password")


def lost(which: int = 0) -> Event:
    return lambda control, ids: control.lose(ids[which], reason="token expired")


def looked_at(control: SandboxControl, ids: Sequence[int]) -> None:
    """Nothing happens but another look."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A wait: what is there, what happens meanwhile, and how it has to end."""

    name: str
    given: Sequence[dict[str, Any]] = (NULL,)
    then: Sequence[Event] = ()
    options: dict[str, Any] = field(default_factory=dict)
    #: What to wait for, made from the ids of what is given.
    wanted: Callable[[list[int]], Any] = lambda ids: ids[0]
    fault: str = ""
    #: The positions of the connections it returns: one, or a list of them.
    returns: int | list[int] | None = None
    raises: str = ""
    says: str = ""
    looks: bool = True


def both(ids: list[int]) -> list[int]:
    return ids[:2]


CASES = [
    # It is authorized.
    Case(name="authorized", given=[SUCCESS], returns=0),
    Case(name="authorized later", then=[looked_at, authorized()], returns=0),
    Case(name="unknown status", given=[{"authorization_status": "pending"}], then=[authorized()], returns=0),
    Case(name="lost, authorized again", given=[AUTHORIZED_AGAIN], returns=0),
    Case(name="id as a template gives it", given=[SUCCESS], wanted=lambda ids: str(ids[0]), returns=0),
    Case(name="runtime user", given=[{**NULL, "is_runtime_user": True}], then=[authorized()], returns=0),
    Case(name="two", given=[SUCCESS, NULL], wanted=both, then=[authorized(1)], returns=[0, 1]),
    Case(name="in the order asked", given=[SUCCESS] * 2, wanted=lambda ids: ids[::-1], returns=[1, 0]),
    Case(name="a list of one", given=[SUCCESS], wanted=lambda ids: [ids[0]], returns=[0]),
    Case(name="a list of texts", given=[SUCCESS], wanted=lambda ids: [str(ids[0])], returns=[0]),
    Case(
        name="in the folder", given=[{**SUCCESS, "folder_id": 1892}], options={"folder_id": "1892"}, returns=0
    ),
    Case(
        name="by external id",
        given=[{**SUCCESS, "external_id": "e"}],
        options={"external_id": "e"},
        returns=0,
    ),
    # It is not, and waiting is of no use.
    Case(name="failed", given=[FAILED], raises=REFUSED, says="'failed': bad password"),
    Case(name="failed later", then=[failed()], raises=REFUSED, says="'failed': bad password"),
    Case(
        name="exception",
        given=[{"authorization_status": "exception"}],
        raises=REFUSED,
        says="'exception': no reason given",
    ),
    Case(name="lost", given=[LOST], raises=REFUSED, says="was lost at …: token expired"),
    Case(name="lost later", then=[lost()], raises=REFUSED, says="token expired"),
    Case(name="one of two fails", given=[SUCCESS, NULL], wanted=both, then=[failed(1)], raises=REFUSED),
    Case(
        name="an error of several lines",
        given=[{**FAILED, "authorization_error": "a\nb: c\n"}],
        raises=REFUSED,
        says="'failed': a b: c. Correct",
    ),
    Case(name="gone", wanted=lambda _: 404, raises=GONE, says="not visible to this token"),
    Case(name="one of two is gone", wanted=lambda ids: [ids[0], 404], raises=GONE, says="404 is not"),
    Case(name="in another folder", given=[SUCCESS], options={"folder_id": 1892}, raises=GONE),
    Case(name="no such token", fault="unauthorized", raises=NO_TOKEN, says="Connections: List"),
    Case(name="no access", fault="forbidden", raises="WorkatoPermissionError", says="Grant its API client"),
    # It is a person's turn again.
    Case(
        name="failed, with patience",
        given=[FAILED],
        options={"fail_fast": False},
        then=[authorized()],
        returns=0,
    ),
    Case(
        name="lost, with patience", given=[LOST], options={"fail_fast": False}, then=[authorized()], returns=0
    ),
    Case(name="gone, with patience", wanted=lambda _: 404, options={"fail_fast": False}, raises=GONE),
    # Time is up.
    Case(name="timeout", options={"timeout": 0.5}, raises=TIMED_OUT, says="specified timeout of 0.5"),
    Case(
        name="timeout with soft_fail",
        options={"timeout": 0.5, "soft_fail": True},
        raises=SKIPPED_AFTER + TIMED_OUT,
        says="Skipping, since soft_fail is set: Still waiting for connection",
    ),
    Case(name="timeout with never_fail", options={"timeout": 0.5, "never_fail": True}, raises=TIMED_OUT),
    Case(
        name="timeout with patience",
        given=[FAILED],
        options={"timeout": 0.5, "fail_fast": False},
        raises=TIMED_OUT,
    ),
    # A failure is not to fail the task.
    Case(
        name="soft_fail",
        given=[FAILED],
        options={"soft_fail": True},
        raises=SKIPPED_AFTER + REFUSED,
        says="'failed': bad password",
    ),
    Case(
        name="never_fail",
        given=[FAILED],
        options={"never_fail": True},
        raises=SKIPPED_AFTER + REFUSED,
        says="'failed': bad password",
    ),
    Case(
        name="soft_fail, gone",
        wanted=lambda _: 404,
        options={"soft_fail": True},
        raises=SKIPPED_AFTER + GONE,
        says="Skipping, since soft_fail is set: Connection 404 is not",
    ),
    Case(
        name="soft_fail, no such token",
        fault="unauthorized",
        options={"soft_fail": True},
        raises=SKIPPED_AFTER + NO_TOKEN,
        says="soft_fail is set: list_connections failed with HTTP 401",
    ),
    Case(
        name="never_fail, no such token",
        fault="unauthorized",
        options={"never_fail": True},
        raises=SKIPPED_AFTER + NO_TOKEN,
        says="never_fail is set: list_connections failed with HTTP 401",
    ),
    # It is no id: nobody asks Workato.
    Case(name="a path", wanted=lambda _: "36/../../users/me", raises=NO_ID, looks=False),
    Case(name="empty", wanted=lambda _: "", raises=NO_ID, looks=False),
    Case(name="None", wanted=lambda _: None, raises=NO_ID, looks=False),
    Case(name="an empty list", wanted=lambda _: [], raises=NO_ID, looks=False),
    Case(name="a list with a bad one", wanted=lambda ids: [*ids, "x"], raises=NO_ID, looks=False),
]

WAYS = [
    pytest.param(waits.poke, id="poke"),
    pytest.param(waits.reschedule, id="reschedule"),
    pytest.param(waits.deferred, id="deferrable"),
    pytest.param(waits.ended_in_trigger, id="ended in the trigger", marks=on_airflow_33),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wait(
    case: Case,
    way: Callable[[waits.MakeSensor, TaskInstance], Any],
    sandbox: RunningSandbox,
    connect: Connect,
    make_task_instance: Callable[[], TaskInstance],
) -> None:
    connect(retry_budget=0)
    ids = sandbox.control.seed(case.given)
    wanted = case.wanted(ids)
    if case.fault:
        sandbox.control.add_fault(case.fault, operation="list_connections", times=None)

    def make(**mode: Any) -> WorkatoConnectionSensor:
        return WorkatoConnectionSensor(
            task_id="wait", connection_id=wanted, poke_interval=0.05, **{"timeout": 30} | case.options | mode
        )

    ti = make_task_instance()
    with _happening(case.then, sandbox.control, ids):
        outcome = waits.observe(way, make, ti)

    assert (outcome.raised, case.raises) == (case.raises, outcome.raised), outcome.says
    assert case.says in outcome.says
    if case.raises:
        assert outcome.result is None
    else:
        assert outcome.result == _rows(sandbox.control, ids, case.returns)
    one = wanted if not isinstance(wanted, list) else wanted[0] if len(wanted) == 1 else None
    # Airflow 3 opens the second one; without it, the button would be missing while the sensor runs.
    keys = ["workato_connection_url", *["_link_WorkatoConnectionLink"] * (AIRFLOW.major > 2)]
    link = dict.fromkeys(keys, f"{sandbox.url}/connections/{one}")
    assert outcome.xcoms == (link if case.looks and one else {})
    assert bool(sandbox.control.requests()) is case.looks


@pytest.mark.skipif(
    AIRFLOW.release < (3, 1),
    reason="`dag.test()` breaks off at an AirflowTaskTimeout in Airflow 2, and cannot retry in 3.0",
)
def test_execution_timeout_ends_a_wait_alike_on_a_worker_and_deferred(airflow_db: None) -> None:
    """Airflow 3 applies it to each process of a task, and the triggerer is none of them."""
    failed: dict[str, Any] = {}
    retried: dict[str, Any] = {}

    def note(seen: dict[str, Any]) -> Callable[[Any], None]:
        # Before Airflow 3.3, `dag.test()` gives callbacks no exception.
        return lambda context: seen.setdefault(context["ti"].task_id, context.get("exception"))

    with (
        own_workspace() as workato,
        DAG(
            "limited",
            schedule=None,
            start_date=NEW_YEAR,
            default_args={
                "execution_timeout": timedelta(seconds=3),
                "timeout": 30,
                "poke_interval": 1,
                "retries": 1,
                "retry_delay": timedelta(0),
                "soft_fail": True,
                "on_retry_callback": note(retried),
                "on_failure_callback": note(failed),
            },
        ) as dag,
    ):
        (number,) = workato.control.seed([NULL])
        ways: list[dict[str, Any]] = [{"mode": "poke"}, {"deferrable": True}]
        for way in ways:
            name = next(iter(way))
            WorkatoConnectionSensor(task_id=f"sensor_{name}", connection_id=number, **way)
            WorkatoCreateConnectionOperator(
                task_id=f"create_{name}",
                name=name,
                provider="jira",
                wait_for_authorization=True,
                deferrable=name == "deferrable",
            )
        states = run_dag(dag).states
    assert set(states.values()) == {"failed"}
    assert retried.keys() == failed.keys() == states.keys()
    errors = {type(error).__name__ for error in (*retried.values(), *failed.values())}
    assert errors == {"AirflowTaskTimeout" if AIRFLOW.release >= (3, 3) else "NoneType"}


@pytest.mark.skipif(
    AIRFLOW.release == (3, 0, 0), reason="`dag.test()` of Airflow 3.0.0 cannot count mapped outputs"
)
def test_the_outputs_of_mapped_tasks_combined(airflow_db: None) -> None:
    with own_workspace() as workato:
        ids = workato.control.seed(count=4, authorization_status="success")
        with DAG("combined", schedule=None, start_date=NEW_YEAR) as dag:

            @task
            def give(number: int) -> int:
                return number

            @task
            def row(number: int) -> dict[str, int]:
                return {"id": number}

            one: Any = give.override(task_id="one").expand(number=ids[:2])
            two: Any = give.override(task_id="two").expand(number=ids[2:])
            rows: Any = row.expand(number=ids)
            expected = {
                "concat": (one.concat(two), ids),
                "map": (rows.map(lambda each: each["id"]), ids),
                "zip": (one.zip(two), [ids[0], ids[2], ids[1], ids[3]]),
                "several": ([one, two], ids),
            }
            for name, (value, _) in expected.items():
                for deferrable in (False, True):
                    WorkatoConnectionSensor(
                        task_id=f"{name}_{deferrable}", connection_id=value, deferrable=deferrable, timeout=60
                    )
        # Outside the DAG's block: there, Airflow 3.0.0 adds a task of its own while it serializes the DAG.
        run = run_dag(dag)
    assert set(run.states.values()) == {"success"}
    for name, (_, wanted) in expected.items():
        for deferrable in (False, True):
            assert [each["id"] for each in run.xcom(f"{name}_{deferrable}")] == wanted


class _happening:  # noqa: N801 - reads as the verb it is
    """Let things happen while the block waits, one after each further look."""

    def __init__(self, events: Sequence[Event], control: SandboxControl, ids: Sequence[int]) -> None:
        self._thread = threading.Thread(target=self._run, args=(events, control, ids))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self, events: Sequence[Event], control: SandboxControl, ids: Sequence[int]) -> None:
        for number, event in enumerate(events, start=1):
            wait_until(partial(_looks, control, at_least=number), what="a look")
            event(control, ids)


def _looks(control: SandboxControl, *, at_least: int) -> bool:
    return bool(control.counts()["total"] >= at_least)


def _rows(control: SandboxControl, ids: Sequence[int], which: int | list[int] | None) -> Any:
    hidden = {"is_runtime_user", "active_recipes", "audit_log_streaming"}
    rows = [
        {key: value for key, value in control.connection(number).items() if key not in hidden}
        | {"tags": None}
        for number in ids
    ]
    return [rows[index] for index in which] if isinstance(which, list) else rows[which or 0]
