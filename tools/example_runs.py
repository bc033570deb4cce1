"""Follow runs of the example DAGs, and report the outcome of each task and its connection."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tools.airflow_api import FINISHED
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.airflow_api import AirflowApi

#: States that are printed.
TOLD = FINISHED | {"deferred", "up_for_retry", "up_for_reschedule"}

#: The pools that the examples need.
EXAMPLE_POOLS = {"workato": 1}

#: They need a manifest, a second workspace and several answers, so only tests/test_examples.py runs them.
OF_SETS = frozenset({"example_workato_apply", "example_workato_drift", "example_workato_promote"})

#: The name of the link to the consent page.
OAUTH_LINK = "Authorize"


@dataclass(slots=True, kw_only=True)
class TaskResult:
    """The outcome of a task.

    :param dag: its DAG.
    :param task: its id, with the map index if it is mapped.
    :param state: its state.
    :param seconds: the time from its first start to its end, including deferrals.
    :param connection: the Workato connection that it worked on.
    :param status: that connection's final status.
    """

    dag: str
    task: str
    state: str
    seconds: float | None
    connection: str
    status: str

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as a dict for JSON."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class ExampleRun:
    """One run of one example DAG.

    :param api: the API of the Airflow that it runs on.
    :param dag_id: the DAG.
    :param run_id: the run.
    :param say: called with a task and its new state.
    """

    api: AirflowApi
    dag_id: str
    run_id: str
    say: Callable[[str, str], None]
    _tasks: list[dict[str, Any]] = field(default_factory=list)
    _states: dict[str, str | None] = field(default_factory=dict)
    _started: dict[str, datetime] = field(default_factory=dict)

    def look(self) -> bool:
        """Fetch the state of the run and its tasks, and return whether the run has ended."""
        # Ask for the run first: once it has ended, the tasks no longer change.
        ended = self.api.run_state(self.dag_id, self.run_id) in FINISHED
        self._tasks = self.api.task_instances(self.dag_id, self.run_id)
        for task in self._tasks:
            label = _label(task)
            if task["start_date"]:
                # The start date of a deferred task changes when it resumes.
                start = datetime.fromisoformat(task["start_date"])
                self._started[label] = min(start, self._started.get(label, start))
            if task["state"] != self._states.get(label):
                self._states[label] = task["state"]
                if task["state"] in TOLD:
                    self.say(f"{self.dag_id}.{label}", task["state"])
        return ended

    def waits(self) -> bool:
        """Return whether a task is deferred."""
        return any(task["state"] == "deferred" for task in self._tasks)

    def oauth_url(self) -> str | None:
        """Return the URL of the consent page, if a task of this run links to it."""
        for task in self._tasks:
            if task["state"] in FINISHED:
                links = self.api.links(self.dag_id, self.run_id, task["task_id"], map_index=task["map_index"])
                if url := links.get(OAUTH_LINK):
                    return url
        return None

    def results(self) -> list[TaskResult]:
        """Return the outcome of each task, in the order in which the tasks started."""
        first: dict[str, int] = {}
        for position, task in enumerate(self._tasks):
            first.setdefault(task["task_id"], position)
        # The instances of a mapped task stay together.
        tasks = sorted(self._tasks, key=lambda task: (first[task["task_id"]], task["map_index"]))
        return [self._result(task) for task in tasks]

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the log of each task that did not succeed."""
        for task in self._tasks:
            if task["state"] not in ("success", "skipped", "upstream_failed"):
                log = "(no log)"
                with contextlib.suppress(RuntimeError):
                    log = self.api.log(
                        self.dag_id,
                        self.run_id,
                        task["task_id"],
                        try_number=max(task["try_number"], 1),
                        map_index=task["map_index"],
                    )
                yield f"{self.dag_id}.{_label(task)}", log

    def _result(self, task: dict[str, Any]) -> TaskResult:
        label = _label(task)
        seconds = None
        if task["end_date"] and label in self._started:
            seconds = (datetime.fromisoformat(task["end_date"]) - self._started[label]).total_seconds()
        returned = self._xcom(task, "return_value")
        return TaskResult(
            dag=self.dag_id,
            task=label,
            state=str(task["state"]),
            seconds=seconds,
            connection=_connection(task, returned),
            status=_status(self._xcom(task, "workato_connection") or returned),
        )

    def _xcom(self, task: dict[str, Any], key: str) -> Any:
        return self.api.xcom(self.dag_id, self.run_id, task["task_id"], key, map_index=task["map_index"])


def follow(
    runs: list[ExampleRun],
    *,
    authorize: Callable[[str], object],
    deadline: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Follow runs until all have ended, and give the consent that they wait for.

    :param runs: the runs.
    :param authorize: called once with the URL of each consent page to which a waiting run links.
    :param deadline: seconds to wait at most.
    :param meanwhile: called again and again.
    """
    authorized: set[str] = set()

    def all_ended() -> bool:
        meanwhile()
        ended = [run.look() for run in runs]
        for run in runs:
            if run.waits() and (url := run.oauth_url()) and url not in authorized:
                authorized.add(url)
                authorize(url)
        return all(ended)

    wait_until(all_ended, what="the end of the example runs", deadline=deadline, interval=0.5)


def _label(task: dict[str, Any]) -> str:
    name = str(task["task_id"])
    return name if task["map_index"] < 0 else f"{name}[{task['map_index']}]"


def _connection(task: dict[str, Any], returned: Any) -> str:
    if _are_connections(returned):
        return ", ".join(str(connection["id"]) for connection in returned)
    given = (task["rendered_fields"] or {}).get("connection_id")
    if given is None and isinstance(returned, dict):
        given = returned.get("id")
    if given is None and isinstance(returned, int):
        given = returned
    return "" if given is None else str(given)


def _status(returned: Any) -> str:
    if _are_connections(returned):
        return ", ".join(sorted({_status(connection) for connection in returned}))
    if isinstance(returned, list):
        return f"{len(returned)} values"
    if not isinstance(returned, dict):
        return "consent page" if isinstance(returned, str) and returned.startswith("http") else ""
    if returned.get("authorization_status") or returned.get("status"):
        return str(returned.get("authorization_status") or returned["status"])
    return "not authorized" if "id" in returned else ""


def _are_connections(returned: Any) -> bool:
    return isinstance(returned, list) and bool(returned) and all("id" in row for row in returned)
