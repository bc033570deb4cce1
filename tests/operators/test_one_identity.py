"""Two tasks of one DAG run that mean the same connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_workato.exceptions import WorkatoExistsError
from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoCreateRuntimeUserConnectionOperator,
)
from airflow_provider_workato.operators.ensure import (
    OUTCOME_KEY,
    EnsureOperator,
    TaskRecord,
    creates_that_may_mean,
)
from airflow_provider_workato.provisioning.record import Record
from airflow_provider_workato.sandbox.client import SandboxProcess
from tests.support.dags import Run, own_workspace, run_dag

#: What the tasks of the run raised.
ERRORS: list[str] = []


class TellingRecord(TaskRecord):
    """Tells its errors to the test: `dag.test()` of Airflow 2 runs no callbacks."""

    def before_use(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().before_use(*args, **kwargs)
        except WorkatoExistsError as error:
            ERRORS.append(str(error))
            raise


class Tells(EnsureOperator):
    """A create that tells its errors to the test."""

    def _record(self, context: Any) -> Record:
        super()._record(context)
        return TellingRecord(self, context)


class Create(Tells, WorkatoCreateConnectionOperator):
    pass


class CreateUser(Tells, WorkatoCreateRuntimeUserConnectionOperator):
    pass


class FailsAfterwards(WorkatoCreateConnectionOperator):
    """A create whose first try fails once the connection is created."""

    tries: ClassVar[list[int]] = []

    def execute(self, context: Any) -> int:
        number = super().execute(context)
        self.tries.append(number)
        if len(self.tries) == 1:
            raise RuntimeError("a first try that fails")
        return number


class LeftByAClear(WorkatoCreateConnectionOperator):
    """Leaves what a task that was cleared leaves until it starts again."""

    def execute(self, context: Any) -> int:
        number = super().execute(context)
        mark = {"id": number, "did": "created", "task_id": "cleared", "map_index": -1}
        context["ti"].xcom_push(key=OUTCOME_KEY, value=mark)
        return number


#: The names of the connections, by the task instance that wins.
NAMES = {
    "rows[0]": "rows a",
    "rows[1]": "rows b",
    "known[0]": "known a",
    "known[1]": "known b",
    "users[0]": "user 0",
    "users[2]": "user 2",
}


def create(kind: Any, task_id: str, external_id: str, **arguments: Any) -> Any:
    return kind(task_id=task_id, name=task_id, provider="jira", external_id=external_id, **arguments)


def make_dag(parent: int) -> DAG:
    simple = Create
    with DAG("one_identity", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        for task_id, external_id in (("rows", "twice"), ("known", "known")):
            Create.partial(
                task_id=task_id, provider="jira", external_id=external_id, if_exists="update"
            ).expand_kwargs([{"name": f"{task_id} {each}", "input": {"apitoken": each}} for each in "ab"])
        CreateUser.partial(
            task_id="users", parent_id=parent, folder_id=1892, if_exists="update"
        ).expand_kwargs(
            [
                {"external_id": each, "name": f"user {index}"}
                for index, each in enumerate(("ada", "grace", "ada"))
            ]
        )
        first, second = (
            create(simple, each, "shared", input={"apitoken": each}) for each in ("first", "second")
        )
        first >> second >> create(simple, "uses", "shared", trigger_rule="all_done")
        create(simple, "unchanged", "unchanged") >> create(simple, "again", "unchanged")
        create(simple, "equal", "equal", if_exists="update") >> create(simple, "then", "equal")
        create(FailsAfterwards, "retried", "retried", if_exists="update", retries=1, retry_delay=timedelta(0))
        left, other = create(LeftByAClear, "left", "swapped"), create(simple, "other", "swapped")
        left >> other >> create(simple, "cleared", "its own")
    return dag


@dataclass(frozen=True, kw_only=True)
class Scene:
    run: Run
    workato: SandboxProcess


@pytest.fixture(scope="module")
def scene(airflow_db: None) -> Iterator[Scene]:
    ERRORS.clear()
    FailsAfterwards.tries.clear()
    with own_workspace() as workato:
        (parent, *_) = workato.control.seed(
            [
                {"provider": "salesforce", "authorization_status": "success"},
                *(
                    {"provider": "jira", "external_id": each, "authorization_status": "success"}
                    for each in ("known", "unchanged")
                ),
                {
                    "provider": "jira",
                    "name": "equal",
                    "external_id": "equal",
                    "authorization_status": "success",
                },
            ]
        )
        yield Scene(run=run_dag(make_dag(parent)), workato=workato)


@pytest.mark.parametrize(
    ("one", "other"),
    [("rows[0]", "rows[1]"), ("known[0]", "known[1]"), ("users[0]", "users[2]"), ("first", "second")],
)
def test_the_second_task_fails_and_leaves_the_connection_as_it_is(scene: Scene, one: str, other: str) -> None:
    # The instances of a mapped task run in any order.
    states = scene.run.states
    assert sorted((states[one], states[other])) == ["failed", "success"]
    (winner,) = [each for each in (one, other) if states[each] == "success"]
    task_id, _, index = winner.rstrip("]").partition("[")
    number = scene.run.xcom(task_id, map_index=int(index or -1))
    assert scene.workato.control.connection(number)["name"] == NAMES.get(winner, winner)
    (loser,) = {one, other} - {winner}
    assert any(
        f"Connection {number} is meant by two tasks" in error and winner in error and loser in error
        for error in ERRORS
    )


def test_a_task_without_credentials_may_use_what_another_created(scene: Scene) -> None:
    number = scene.run.xcom("first")
    assert (scene.run.states["uses"], scene.run.xcom("uses")) == ("success", number)


def test_only_creates_that_may_mean_a_connection_are_asked(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def outcomes(context: Any, _: int, *, of: Any) -> list[Any]:
        asked.append(sorted(creates_that_may_mean(context, of)))
        return []

    monkeypatch.setattr("airflow_provider_workato.operators.ensure.outcomes", outcomes)
    with (
        own_workspace() as workato,
        DAG("asked", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag,
    ):
        workato.control.seed([{"provider": "jira", "external_id": "own"}])
        create(Create, "own", "own", input={"apitoken": "a"})
        late = {"trigger_rule": "all_failed"}
        others = [
            create(Create, "other", "other", **late),
            create(Create, "template", "{{ 'own' }}", **late),
            Create(task_id="app", name="app", provider="salesforce", external_id="own", **late),
            Create.partial(task_id="mapped", provider="jira", **late).expand(name=["own", "other"]),
        ]
        dag.get_task("own") >> others
        run = run_dag(dag)
    assert run.states["own"] == "success"
    assert asked == [["mapped", "template"]]


def test_what_nobody_changed_may_be_reused_twice(scene: Scene) -> None:
    assert (scene.run.states["unchanged"], scene.run.states["again"]) == ("success", "success")


def test_an_update_that_sends_nothing_changes_nothing(scene: Scene) -> None:
    assert (scene.run.states["equal"], scene.run.states["then"]) == ("success", "success")


def test_a_retry_may_use_what_its_first_try_created(scene: Scene) -> None:
    first, second = FailsAfterwards.tries
    assert (scene.run.states["retried"], first) == ("success", second)


def test_a_cleared_task_that_has_not_begun_again_does_not_count(scene: Scene) -> None:
    # "left" itself owns nothing any more: its mark is that of the task "cleared".
    assert {scene.run.states[each] for each in ("left", "other", "cleared")} == {"success"}
