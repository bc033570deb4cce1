"""Run the table's DAGs at the same time, and collect what each downstream task received."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning.plan import ACTIONS
from airflow_provider_workato.sandbox.client import SandboxControl, SandboxProcess
from tests.real_airflow.cells import (
    AIRFLOW,
    AUTHORIZED,
    BESIDE,
    BESIDE_DAG_ID,
    CELLS,
    CONN_ID,
    IS_SHORT,
    LISTED_FOLDER,
    LOST,
    MODES,
    NATIVE,
    OWNED_DAG_ID,
    PLAN,
    RUNS,
    RUNS_DAG_ID,
    RUNS_MODES,
    STORED,
    SUBJECTS,
    WATCHED_CONN_ID,
    WATCHES,
    Cell,
    Producer,
    Subject,
    Watch,
    producers,
)
from tools.airflow_api import FINISHED
from tools.example_runs import OF_SETS
from tools.mailbox import MailReader
from tools.waiting import wait_until

if TYPE_CHECKING:
    from tools.airflow_api import AirflowApi
    from tools.cluster import AirflowCluster
    from tools.mailbox import Mailbox

_EXAMPLES_FOLDER = Path(__file__).parents[2] / "example_dags"
_WORKERS = "how often a worker takes up a wait, {}"
_LOGS = "what the log of a wait tells, {}"
#: The name of the cell about Airflow's own processes.
LIVES = "every component of Airflow lives"
_OWNED = "object store: a delete knows what its run created"
_STORED_ALL = "object store: it has what every task returned"
_LINKS = "object store: the buttons of a create that waits"
RESTART = "watch: a change while no triggerer runs"
#: On an idle machine, everything ends in a fraction of this time.
DEADLINE = 540.0
LOST_EXAMPLE = "example_workato_lost"
APPROVAL_EXAMPLE = "example_workato_approval"
#: The Airflow versions that have the asset watchers and the approvals of these examples.
_SINCE = {LOST_EXAMPLE: (3, 0), APPROVAL_EXAMPLE: (3, 1)}
EXAMPLES = tuple(
    path.stem
    for path in sorted(_EXAMPLES_FOLDER.glob("*.py"))
    if _SINCE.get(path.stem, (2, 11)) <= AIRFLOW and not IS_SHORT and path.stem not in OF_SETS
)
_STARTED = re.compile(r"trigger \S.* starting")


def example_sources() -> dict[str, str]:
    """Return the examples' sources by name, with intervals that suit a test."""
    sources = {name: (_EXAMPLES_FOLDER / f"{name}.py").read_text() for name in EXAMPLES}
    if LOST_EXAMPLE in sources:
        given = sources[LOST_EXAMPLE]
        sources[LOST_EXAMPLE] = given.replace(
            'provider="salesforce", ', 'provider="salesforce", poke_interval=2, '
        )
        assert sources[LOST_EXAMPLE] != given
    return sources


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The processes that the table uses.

    :param cluster: Airflow.
    :param storing: another Airflow, with an object store for XComs; ``None`` for a short table.
    :param objects: the folder of that store.
    :param workspaces: the sandboxes by the ids of their Airflow connections.
    :param mailbox: the mails that the examples send.
    """

    cluster: AirflowCluster
    storing: AirflowCluster | None
    objects: Path
    workspaces: dict[str, SandboxProcess]
    mailbox: Mailbox

    @property
    def api(self) -> AirflowApi:
        return self.cluster.api

    def of(self, dag_id: str) -> AirflowCluster:
        """Return the Airflow that has a DAG."""
        return self.storing if self.storing and dag_id.endswith(STORED) else self.cluster

    def ended_components(self) -> dict[str, str]:
        """Return the ends of the logs of components that ended by themselves."""
        clusters = [self.cluster] + ([self.storing] if self.storing else [])
        return {
            f"{cluster.home.name}/{name}": cluster.tail(name, lines=15)
            for cluster in clusters
            for name in cluster.ended_components()
        }

    def control(self, conn_id: str) -> SandboxControl:
        return self.workspaces[conn_id].control


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a downstream task should receive, and what it received.

    :param log: the end of the log of each task that failed.
    """

    expected: Any
    came: Any
    log: str = ""

    @property
    def is_right(self) -> bool:
        # Compare JSON, since 1 == True. Sort the keys, since a database may change their order.
        return json.dumps(self.expected, sort_keys=True) == json.dumps(self.came, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of the whole table.

    :param results: the results by the cells' names.
    :param seconds: the time that all runs took.
    """

    results: dict[str, Result]
    seconds: float


@dataclass(kw_only=True)
class _Run:
    """A run, and an action for when all its waits wait.

    :param waits: the state in which each wait waits, by task.
    :param by_worker: the waits that a worker puts into that state.
    :param then: the action; it returns False to be called again.
    """

    dag_id: str
    run_id: str
    waits: dict[str, str] = field(default_factory=dict)
    by_worker: set[str] = field(default_factory=set)
    then: Callable[[], object] = lambda: None
    seen: set[tuple[str, int]] = field(default_factory=set)
    released: bool = False
    links: dict[str, str | None] = field(default_factory=dict)
    over: bool = False
    tasks: list[dict[str, Any]] = field(default_factory=list)

    def look(self, stage: Stage) -> bool:
        """Fetch the tasks, run the action when it is due, and return whether the run is over."""
        if self.over:
            return True
        self.tasks = stage.of(self.dag_id).api.task_instances(self.dag_id, self.run_id)
        waits = [task for task in self.tasks if task["task_id"] in self.waits]
        self.seen |= {
            (task["task_id"], task["map_index"])
            for task in waits
            if task["state"] in {self.waits[task["task_id"]], *FINISHED}
        }
        expanded = {(task["task_id"], task["map_index"]) for task in waits}
        if not self.released and self.tasks and expanded <= self.seen and self._is_heard(stage):
            self.released = self.then() is not False
        # Derive it from the tasks: asking for the run as well would double the load on the API server.
        self.over = bool(self.tasks) and all(task["state"] in FINISHED for task in self.tasks)
        return self.over

    def _is_heard(self, stage: Stage) -> bool:
        """Return whether the scheduler has learned that each deferred task left its worker."""
        away = ("deferred", "awaiting_input")
        deferred = {task for task, state in self.waits.items() if state in away} & self.by_worker
        if not deferred:
            return True
        heard = stage.of(self.dag_id).left_workers(self.dag_id, self.run_id)
        return heard >= {one for one in self.seen if one[0] in deferred}


def play(stage: Stage) -> Outcome:
    """Run everything at once, up to a deadline, and collect the results.

    :param stage: the processes to run it on.
    """
    start = time.monotonic()
    watchers = sum(len(watch.watchers) for watch in WATCHES)
    begun = watchers + EXAMPLES.count(LOST_EXAMPLE) if AIRFLOW >= (3, 0) else 0
    if begun:
        _watches_have_begun(stage, begun)
    runs = [_table_run(stage, subject) for subject in SUBJECTS] + _several_runs(stage)
    if stage.storing:
        runs.append(_owned(stage))
    if begun:
        _watches_have_polled(stage)
        runs.append(_beside(stage))
    late = not _all_end(stage, runs)
    # Run the examples afterwards: their waits end at once, and a busy Airflow can fail a task that resumes so
    # soon (https://github.com/apache/airflow/issues/66374).
    examples = _examples(stage)
    person = _Person(stage)
    late |= not _all_end(stage, examples, meanwhile=person.look)
    runs += examples
    ended = stage.ended_components()
    results: dict[str, Result] = {}
    if begun:
        results |= _told(stage, patience=5 if late else 60)
    results |= _of_table(stage, {run.dag_id: run for run in runs})
    if AIRFLOW >= (3, 3):
        results |= _of_workers(stage, {run.dag_id: run for run in runs})
    if stage.storing:
        results |= _of_store(stage, {run.dag_id: run for run in runs})
    results |= _of_logs(stage, {run.dag_id: run for run in runs})
    results |= _of_runs(stage, [run for run in runs if run.dag_id == RUNS_DAG_ID])
    results |= _of_beside(stage, [run for run in runs if run.dag_id == BESIDE_DAG_ID])
    results |= _of_examples(stage, [run for run in runs if run.dag_id in EXAMPLES])
    if begun:
        results[RESTART] = _over_a_restart(stage)
    results[LIVES] = Result(expected=[], came=[*ended], log="\n".join(ended.values()))
    return Outcome(results=results, seconds=time.monotonic() - start)


def _all_end(stage: Stage, runs: list[_Run], *, meanwhile: Callable[[], object] = lambda: None) -> bool:
    def all_over() -> bool:
        meanwhile()
        # A list, since every run has to be checked each time.
        return not [run for run in runs if not run.look(stage)]

    try:
        wait_until(
            lambda: all_over() or stage.ended_components(),
            what="the end of all runs",
            deadline=DEADLINE,
            interval=2,
        )
        # If a component has died, some runs never end, but the others do.
        wait_until(all_over, what="the end of what can still end", deadline=150, interval=2)
    except TimeoutError as error:
        print(error, flush=True)
        return False
    return True


# Runs


def _table_run(stage: Stage, subject: Subject) -> _Run:
    run = _Run(dag_id=subject.dag_id, run_id=stage.of(subject.dag_id).api.trigger(subject.dag_id))
    if subject.mode:
        made = producers(subject.dag_id)
        run.waits = {producer.task_id: subject.mode.waits_in for producer in made}
        run.by_worker = {
            producer.task_id
            for producer in made
            # Airflow starts no mapped task in the triggerer.
            if not subject.mode.starts_in_trigger or producer.shape == "mapped"
        }
        if subject.creates or subject.is_set:
            run.then = lambda: _authorize_created(stage, made)
        else:
            numbers = [number for producer in made for number in producer.numbers]
            run.then = lambda: stage.control(CONN_ID).authorize_all(numbers)
    return run


def _authorize_created(stage: Stage, made: list[Producer]) -> bool:
    """Authorize the connections that tasks created, and return whether all were there."""
    names = {name for producer in made for name in producer.names}
    control = stage.control(CONN_ID)
    numbers = [row["id"] for row in control.connections() if row["name"] in names]
    if len(numbers) == len(names):
        control.authorize_all(numbers)
    return len(numbers) == len(names)


def _owned(stage: Stage) -> _Run:
    api, control = stage.of(OWNED_DAG_ID).api, stage.control(CONN_ID)
    run = _Run(dag_id=OWNED_DAG_ID, run_id=api.trigger(OWNED_DAG_ID), waits={"create": "running"})

    def log_in() -> bool:
        """Log in once a person sees all buttons, and return whether that was so."""
        if AIRFLOW >= (3, 0):
            run.links = api.links(OWNED_DAG_ID, run.run_id, "create")
        made = [row["id"] for row in control.connections() if row["external_id"] == OWNED_DAG_ID]
        if made and all(run.links.values()):
            control.authorize_all(made)
        return bool(made and all(run.links.values()))

    run.then = log_in
    return run


def _several_runs(stage: Stage) -> list[_Run]:
    def authorizes(number: int) -> Callable[[], object]:
        return lambda: stage.control(CONN_ID).authorize_all([number])

    return [
        _Run(
            dag_id=RUNS_DAG_ID,
            run_id=stage.api.trigger(RUNS_DAG_ID, run_id=str(number)),
            waits={mode.slug: mode.waits_in for mode in RUNS_MODES},
            by_worker={mode.slug for mode in RUNS_MODES if not mode.starts_in_trigger},
            then=authorizes(number),
        )
        for number in RUNS
    ]


def _beside(stage: Stage) -> _Run:
    control = stage.control(WATCHED_CONN_ID)

    def happen() -> None:
        control.authorize_all(AUTHORIZED)
        for number in LOST:
            control.lose(number)

    return _Run(
        dag_id=BESIDE_DAG_ID,
        run_id=stage.api.trigger(BESIDE_DAG_ID),
        waits={beside.task_id: "deferred" for beside in BESIDE},
        by_worker={beside.task_id for beside in BESIDE},
        then=happen,
    )


def _examples(stage: Stage) -> list[_Run]:
    runs = {
        name: _Run(dag_id=name, run_id=stage.api.trigger(name)) for name in EXAMPLES if name != LOST_EXAMPLE
    }
    if approval := runs.get(APPROVAL_EXAMPLE):
        approval.waits = {"approve": "awaiting_input" if AIRFLOW >= (3, 3) else "deferred"}
        approval.by_worker = {"approve"}
        approval.then = lambda: stage.api.answer(APPROVAL_EXAMPLE, approval.run_id, "approve", "Approve")
    return list(runs.values())


class _Person:
    """Logs in where an example waits for it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._workato = stage.workspaces["workato_default"]
        self._mails = MailReader(stage.mailbox, control=self._workato.control)
        self._logged_in = False

    def look(self) -> None:
        control = self._workato.control
        users = [row for row in control.connections() if row["external_id"] == "ada@example.com"]
        if users and not self._logged_in and control.requests(operation="get_oauth_url"):
            # Fetch another login URL: the task's own is in Airflow.
            link = requests.get(
                f"{self._workato.url}/api/connections/runtime_user_connections/{users[0]['id']}/get_oauth_url",
                headers={"Authorization": f"Bearer {self._workato.token}"},
                timeout=30,
            )
            control.click_authorize(link.json()["data"]["url"])
            self._logged_in = True
        self._mails.look()


def _watches_have_begun(stage: Stage, count: int) -> None:
    log = stage.cluster.logs / "triggerer-0.log"
    _wait_or_say(
        lambda: len(_STARTED.findall(log.read_text(errors="replace"))) >= count,
        what=f"the start of {count} watches",
    )


def _watches_have_polled(stage: Stage, *, deadline: float = 60) -> None:
    """Wait until each watch has polled: it does not report states that already hold when it starts."""
    control = stage.control(WATCHED_CONN_ID)
    goal = len(control.requests()) + 2 * len(WATCHES)
    _wait_or_say(
        lambda: len(control.requests()) >= goal or bool(stage.ended_components()),
        what="the watches' polls",
        deadline=deadline,
    )


def _wait_or_say(condition: Callable[[], bool], *, what: str, deadline: float = 60) -> None:
    try:
        wait_until(condition, what=what, deadline=deadline)
    except TimeoutError as error:
        # Go on: the table shows what failed.
        print(error, flush=True)


# Results


def _of_table(stage: Stage, runs: dict[str, _Run]) -> dict[str, Result]:
    reality = _Reality(stage)
    return {
        str(cell): _result(
            stage,
            runs[cell.producer.subject.dag_id],
            cell.task_id,
            expected=reality.expected(cell),
            producer=cell.producer.task_id,
            in_any_order=cell.take == "expand dict",
            tidy=_URL if cell.producer.subject.slug == "oauth_url" else None,
        )
        for cell in CELLS
    }


def _of_workers(stage: Stage, runs: dict[str, _Run]) -> dict[str, Result]:
    """Return how often a worker ran each wait. Without this, a wait in the wrong mode would pass."""
    results = {}
    for subject in SUBJECTS:
        if subject.mode and subject.mode.starts is not None:
            run = runs[subject.dag_id]
            task_id = producers(subject.dag_id)[0].task_id
            starts = stage.of(run.dag_id).api.audit_log(run.dag_id, run.run_id, "running")
            results[_WORKERS.format(subject.name)] = Result(
                expected=subject.mode.starts, came=sum(row["task_id"] == task_id for row in starts)
            )
    return results


def _of_logs(stage: Stage, runs: dict[str, _Run]) -> dict[str, Result]:
    """Return what the web interface's log tells of a wait in each mode."""
    results = {}
    for mode in MODES:
        subject = next(subject for subject in SUBJECTS if subject.mode is mode)
        run, producer = runs[subject.dag_id], producers(subject.dag_id)[0]
        # A busy Airflow can fail the first try of a task that is rescheduled.
        tries = max(task["try_number"] for task in run.tasks if task["task_id"] == producer.task_id)
        log = stage.api.log(run.dag_id, run.run_id, producer.task_id, try_number=tries)
        named = f"connection {producer.number}"
        lines = [rf"Authorized after .*: {named}\."]
        if mode.waits_in == "up_for_reschedule":
            # In the other modes, the connection may be authorized before the first list.
            lines.append(rf"aiting .*{named} \(no status yet\)\. Polling every 10 s until 20")
        elif mode.waits_in == "deferred" and not mode.starts_in_trigger:
            lines.append(f"Deferring to the triggerer, to wait for {named}. Polling every 1 s until 20")
        results[_LOGS.format(mode.name)] = Result(
            expected=lines, came=[line for line in lines if re.search(line, log)], log=log
        )
    return results


def _of_store(stage: Stage, runs: dict[str, _Run]) -> dict[str, Result]:
    """Return what passes the object store by, and what does not."""
    files = [path.relative_to(stage.objects).parts for path in stage.objects.rglob("*") if path.is_file()]
    stored = {(dag, task) for dag, _run, task, *_ in files}
    made = [
        producer
        for subject in SUBJECTS
        if subject.variant == STORED
        for producer in producers(subject.dag_id)
    ]
    expected = sorted([producer.subject.dag_id, producer.task_id] for producer in made)
    results = {
        _STORED_ALL: Result(
            expected=expected, came=[one for one in expected if tuple(one) in stored], log=str(stored)
        ),
        _OWNED: _result(
            stage,
            runs[OWNED_DAG_ID],
            "report",
            expected=[_described({"success": True, "status": "deleted"})],
            producer="delete",
        ),
    }
    if AIRFLOW >= (3, 0):
        links = runs[OWNED_DAG_ID].links
        results[_LINKS] = Result(
            expected=["Authorize", "Open in Workato"],
            came=sorted(name for name, url in links.items() if url and url.startswith("http")),
            log=str(links),
        )
    return results


def _of_runs(stage: Stage, runs: list[_Run]) -> dict[str, Result]:
    rows = _rows(stage, CONN_ID)
    return {
        f"{len(runs)} runs at once, {mode.name}: run {run.run_id}": _result(
            stage,
            run,
            f"{mode.slug}_report",
            expected=[_described(rows.get(int(run.run_id)))],
            producer=mode.slug,
        )
        for mode in RUNS_MODES
        for run in runs
    }


def _of_beside(stage: Stage, runs: list[_Run]) -> dict[str, Result]:
    rows = _rows(stage, WATCHED_CONN_ID)
    return {
        str(beside): _result(
            stage,
            run,
            f"{beside.task_id}_report",
            expected=[_described(rows.get(beside.number))],
            producer=beside.task_id,
        )
        for run in runs
        for beside in BESIDE
    }


def _of_examples(stage: Stage, runs: list[_Run]) -> dict[str, Result]:
    results = {}
    for run in runs:
        bad = [task for task in run.tasks if task["state"] != "success"]
        results[f"example {run.dag_id}"] = Result(
            expected="success",
            came=", ".join(f"{_label(task)}: {task['state']}" for task in bad) or "success",
            log="\n".join(_log_tail(stage, run, task) for task in bad),
        )
    if LOST_EXAMPLE in EXAMPLES:
        results[f"example {LOST_EXAMPLE}"] = _of_lost_example(stage)
    return results


def _of_lost_example(stage: Stage) -> Result:
    control = stage.control("workato_default")
    users = [row["id"] for row in control.connections() if row["external_id"] == "ada@example.com"]
    if not users:
        return Result(expected=["success"], came="nobody had logged in")
    control.lose(users[0])

    def states() -> list[str]:
        return [stage.api.run_state(LOST_EXAMPLE, run_id) for run_id in stage.api.run_ids(LOST_EXAMPLE)]

    try:
        wait_until(lambda: FINISHED.intersection(states()), what="a run for the loss", deadline=60)
    except TimeoutError as error:
        return Result(expected=["success"], came=[*states(), str(error)])
    return Result(expected=["success"], came=states())


def _events(stage: Stage, watch: Watch) -> list[list[Any]]:
    payloads = [event["extra"]["payload"] for event in stage.api.asset_events(watch.asset)]
    return sorted([payload["change"], payload["connection"]["id"]] for payload in payloads)


def _over_a_restart(stage: Stage) -> Result:
    """Return what the watch of everything reports of a change that happened while no triggerer ran."""
    watch, control, change = WATCHES[0], stage.control(WATCHED_CONN_ID), ["lost", LOST[0]]
    before = _events(stage, watch)
    stage.cluster.kill_triggerer(0)
    control.authorize(LOST[0])
    control.lose(LOST[0])
    stage.cluster.start_triggerer(0)
    if AIRFLOW >= (3, 3):
        # Events take a moment from the list to the database.
        _wait_or_say(lambda: _events(stage, watch) != before, what="the change's event", deadline=120)
    # Another triggerer gets the watches when the killed one has been silent for half a minute.
    _watches_have_polled(stage, deadline=120)
    news = [event for event in _events(stage, watch) if event == change][before.count(change) :]
    # Airflow before 3.3 has no store from which a watch could know what was reported.
    return Result(expected=[change] * (AIRFLOW >= (3, 3)), came=news)


def _told(stage: Stage, *, patience: float) -> dict[str, Result]:
    def run_for(watch: Watch) -> list[list[Any]]:
        reports = [
            _report(stage, watch.dag_id, run_id, "tell", -1) for run_id in stage.api.run_ids(watch.dag_id)
        ]
        return [change for report in reports if report for change in report["value"]]

    def is_all_told() -> bool:
        return all(len(_events(stage, watch)) >= len(watch.events) and run_for(watch) for watch in WATCHES)

    _wait_or_say(is_all_told, what="the watches' events and runs", deadline=patience)
    # If a watch reports a change twice, it has done so after another poll.
    _watches_have_polled(stage)
    results = {}
    for watch in WATCHES:
        expected = watch.events
        # Airflow up to 3.3 can hold back simultaneous events until the next event
        # (https://github.com/apache/airflow/pull/70972), so some may not have had a run.
        ran = [change for change in run_for(watch) if change not in expected] or bool(run_for(watch))
        results[f"watch: {watch.name}"] = Result(expected=[expected, True], came=[_events(stage, watch), ran])
    return results


def _result(
    stage: Stage,
    run: _Run,
    task_id: str,
    *,
    expected: list[Any],
    producer: str,
    in_any_order: bool = False,
    tidy: re.Pattern[str] | None = None,
) -> Result:
    tasks = sorted(
        (task for task in run.tasks if task["task_id"] == task_id), key=lambda task: task["map_index"]
    )
    came: list[Any] = []
    for task in tasks:
        if task["state"] == "success":
            came.append(_report(stage, run.dag_id, run.run_id, task_id, task["map_index"]))
        else:
            came.append(str(task["state"]))
    concerned = [task for task in run.tasks if task["task_id"] in (producer, task_id)]
    log = "\n".join(_log_tail(stage, run, task) for task in concerned if task["state"] == "failed")
    if in_any_order and all(isinstance(one, dict) for one in came):
        came.sort(key=lambda one: one["value"][0])
    if tidy:
        came = json.loads(tidy.sub(_HIDDEN, json.dumps(came)))
    return Result(expected=expected, came=came, log=log)


def _report(stage: Stage, dag_id: str, run_id: str, task_id: str, map_index: int) -> Any:
    value = stage.of(dag_id).api.xcom(dag_id, run_id, task_id, map_index=map_index)
    # Depending on the Airflow version, the API returns the value as it was pushed or as it is stored.
    while isinstance(value, str):
        # The API does not ask the backend.
        is_path = value.startswith("file:")
        value = json.loads(Path(value.removeprefix("file://")).read_text() if is_path else value)
    return value


#: Every login URL has another state.
_URL = re.compile(r"(state=)[\w-]+")
_HIDDEN = r"\1"


class _Reality:
    """The expected values, read from the table's workspace by a hook outside Airflow."""

    def __init__(self, stage: Stage) -> None:
        workato = stage.workspaces[CONN_ID]
        self._rows = _rows(stage, CONN_ID)
        self._url = f"{workato.url}/oauth/authorize?connection_id={{}}&state="
        with _hook(stage, CONN_ID) as hook:
            listed = hook.list_connections(folder_id=LISTED_FOLDER)
            asked = [producer.number for producer in producers("table_picklist")]
            picklist = asked and hook.get_picklist(asked[0], "get_project_issuetypes", {"project": "OPS"})
        self._returned_always = {
            "disconnect": {"success": True, "status": "disconnected"},
            "delete": {"success": True, "status": "deleted"},
            "picklist": picklist,
            "list": listed,
        }

    def expected(self, cell: Cell) -> list[Any]:
        """Return what the instances of the downstream task should report."""
        producer = cell.producer
        results = [self._returned(producer, index) for index in range(producer.instances)]
        is_mapped = producer.shape == "mapped"
        everything: Any = results if is_mapped else results[0]
        given: list[Any]
        match cell.take:
            case "argument":
                given = [everything]
            case "jinja":
                scalar = _scalar(results[0], producer)
                given = [scalar if producer.subject.variant == NATIVE else str(scalar)]
            case "no push":
                given = ["None"]
            case "multiple outputs":
                values = [result[producer.kind.key] for result in results]
                given = [values if is_mapped else values[0]]
            case "expand":
                given = everything
            case "map":
                given = [{"mapped": one} for one in everything]
            case "expand dict":
                # A database may change the order of the keys.
                given = sorted(everything.items())
        return [_described(value) for value in given]

    def _returned(self, producer: Producer, index: int) -> Any:
        number, each = producer.numbers[index], producer.each[index]
        if producer.shape == "list":
            return [self._rows.get(one) for one in producer.numbers]
        if producer.subject.creates or producer.subject.is_set:
            name = producer.names[index]
            made = next((one for one, row in self._rows.items() if row["name"] == name), None)
            return _of_set(producer.subject, each, made) if producer.subject.is_set else made
        if producer.subject.slug == "oauth_url":
            return self._url.format(number)
        return self._returned_always.get(producer.subject.slug, self._rows.get(number))


def _of_set(subject: Subject, arguments: dict[str, Any], made: int | None) -> Any:
    """Return the plan or the result of a set of one connection, which did not exist before."""
    (entry,) = arguments["connections"]
    said = {"name": entry["name"], "provider": entry["provider"], "declared_at": "entry 1", "reason": ""}
    if subject.kind is not PLAN:
        return [{**said, "id": made, "did": "created", "status": "authorized", "error": None}]
    change = {**said, "action": "create", "connection_id": made, "fields": {}}
    return {"drift": True, "counts": {each: int(each == "create") for each in ACTIONS}, "changes": [change]}


def _scalar(value: Any, producer: Producer) -> Any:
    for step in re.findall(r"\[(?:'(\w+)'|(\d+))\]", producer.kind.path):
        value = value[step[0] or int(step[1])]
    return value


def _described(value: Any) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(json.dumps({"type": type(value).__name__, "value": value}))
    return described


def _rows(stage: Stage, conn_id: str) -> dict[int, dict[str, Any]]:
    with _hook(stage, conn_id) as hook:
        return {row["id"]: dict(row) for row in hook.list_connections(include_runtime_connections=True)}


@contextmanager
def _hook(stage: Stage, conn_id: str) -> Iterator[WorkatoConnectionsHook]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_REALITY", stage.workspaces[conn_id].airflow_conn)
        hook = WorkatoConnectionsHook("reality")
        yield hook
        hook.close()


def _label(task: dict[str, Any]) -> str:
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


def _log_tail(stage: Stage, run: _Run, task: dict[str, Any], *, size: int = 1500) -> str:
    folder = stage.of(run.dag_id).home / "logs" / f"dag_id={run.dag_id}" / f"run_id={run.run_id}"
    folder /= f"task_id={task['task_id']}"
    if task["map_index"] >= 0:
        folder /= f"map_index={task['map_index']}"
    texts = [path.read_text(errors="replace")[-size:] for path in sorted(folder.glob("attempt=*"))]
    return f"--- {run.dag_id}.{_label(task)} ({task['state']})\n" + "\n".join(texts)


def names() -> Iterator[str]:
    """Return the names of all results of :func:`play`, in the order of the table."""
    yield from map(str, CELLS)
    yield from (f"{len(RUNS)} runs at once, {mode.name}: run {run}" for mode in RUNS_MODES for run in RUNS)
    if AIRFLOW >= (3, 0):
        yield from map(str, BESIDE)
        yield from (f"watch: {watch.name}" for watch in WATCHES)
        yield RESTART
    yield from (f"example {name}" for name in EXAMPLES)
    if AIRFLOW >= (3, 3):
        yield from (
            _WORKERS.format(subject.name)
            for subject in SUBJECTS
            if subject.mode and subject.mode.starts is not None
        )
    if not IS_SHORT:
        yield from (_STORED_ALL, _OWNED, *[_LINKS] * (AIRFLOW >= (3, 0)))
    yield from (_LOGS.format(mode.name) for mode in MODES)
    yield LIVES
