"""Keep waits, creates, faults and restarts going on a cluster, and count the outcomes."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tools.postgres import query
from tools.waiting import wait_until
from tools.watch_reports import WatchReports, compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_workato.sandbox.client import SandboxControl
    from tools.celery_cluster import CeleryCluster

INTERVAL = 10.0
TRIGGERERS = 2
WATCHED = ("salesforce", "jira")
WAITS_PER_RUN = 50
#: Seconds for which a connection is not authorized, from the start of its run. Two cores start a wait or two
#: a second beside all else, so waits must last some minutes for 500 to wait at once.
LIFE = (240.0, 720.0)
#: No connection is authorized while fewer than this share of the waits are waiting.
FEWEST = 0.9
#: Seconds between two of each.
FAULT_EVERY, CREATES_EVERY, RESTART_EVERY = 20.0, 60.0, 240.0
#: Seconds after which a finished connection is deleted.
KEPT = 180.0
#: Share of the authorized connections that are lost afterwards.
LOST = 0.05
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("server_error", {}),
    ("bad_gateway_html", {}),
    ("service_unavailable", {}),
    ("gateway_timeout_html", {}),
    ("reset_before_answer", {}),
    ("close_mid_body", {}),
    ("truncated_json", {}),
    ("html_page", {}),
    ("delay", {"seconds": 5.0}),
    ("rate_limited_seconds", {"seconds": 3}),
    ("rate_limited_no_header", {}),
)


@dataclass(slots=True, kw_only=True)
class WaitRun:
    """A run that waits.

    :param run_id: its id.
    :param due: when each connection is authorized.
    """

    run_id: str
    due: dict[int, float]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The outcome of a soak.

    :param seconds: for how long it went on.
    :param waits: waits that ended.
    :param waits_at_once: number of waits, each second.
    :param creates: connections that were to be created.
    :param failed: waits and creates that failed.
    :param failed_beside: other tasks that failed: those that the watches start.
    :param lost_waits: waits that did not end, ended in a second try, or not with their own connection.
    :param duplicates: connections that were made more often than once.
    :param unmade: connections that were not made.
    :param faults: number of faults by name.
    :param restarts: restarts of a triggerer by kind.
    :param minutes: list calls in each minute.
    :param polls: list calls of the triggerers.
    :param calls: all calls.
    :param refused: calls answered with 429, apart from those of a fault.
    :param reports: what the watches reported.
    """

    seconds: float = 0.0
    waits: int = 0
    waits_at_once: list[int] = field(default_factory=list)
    creates: int = 0
    failed: int = 0
    failed_beside: int = 0
    lost_waits: int = 0
    duplicates: int = 0
    unmade: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    minutes: list[int] = field(default_factory=list)
    polls: int = 0
    calls: int = 0
    refused: int = 0
    reports: WatchReports = field(default_factory=lambda: WatchReports(count=0, twice=[], missed=[]))


class Soak:
    """One soak.

    :param cluster: the cluster.
    :param control: the workspace.
    :param database: the SQLAlchemy URL of Airflow's database.
    :param waits: number of waits to keep going.
    :param logs: the folder for the logs of tasks that fail.
    :param say: told how far it is.
    """

    def __init__(
        self,
        *,
        cluster: CeleryCluster,
        control: SandboxControl,
        database: str,
        waits: int,
        logs: Path,
        say: Callable[[str], None],
    ) -> None:
        self.outcome = Outcome()
        self._cluster = cluster
        self._api = cluster.api
        self._control = control
        self._database = database
        self._waits = waits
        self._logs = logs
        self._say = say
        self._random = random.Random(500)  # noqa: S311 - no secret
        self._next_id = 1_000_000
        self._active: list[WaitRun] = []
        self._creates: list[str] = []
        self._names: Counter[str] = Counter()
        self._to_delete: list[tuple[float, int]] = []
        self._to_lose: list[tuple[float, int]] = []
        self._restarted = self._started = self._authorized = 0
        # A watch does not report states that already hold when it starts.
        self._first = max((row["seq"] for row in control.changes()), default=0)

    def run(self, *, seconds: float) -> Outcome:
        """Play for the given time, then let everything end.

        :param seconds: the time.
        """
        began = time.monotonic()
        first = max((row["seq"] for row in self._control.requests()), default=0)
        restart_every = min(RESTART_EVERY, seconds / 4)
        due = {"fault": began + FAULT_EVERY, "creates": began, "restart": began + restart_every, "say": began}
        while (now := time.monotonic()) < began + seconds:
            self._step()
            if now >= due["creates"]:
                due["creates"] = now + CREATES_EVERY
                self._start_creates()
            if now >= due["fault"]:
                due["fault"] = now + FAULT_EVERY
                self._add_fault()
            if now >= due["restart"]:
                self._restart_triggerer()
                due["restart"] = time.monotonic() + restart_every
            if now >= due["say"]:
                due["say"] = now + 60
                self._say(f"{self.outcome.waits} waits ended, {self._pending()} go on")
            time.sleep(1)
        self._end()
        self.outcome.seconds = time.monotonic() - began
        self._count_calls(since=first, began=began)
        return self.outcome

    def _step(self) -> None:
        now = time.monotonic()
        self._check_ended()
        deferred = self._count("deferred")
        # On a slow machine they go no faster than they come.
        waiting = deferred - (self._authorized - self._count("success"))
        self._authorize(until=now, most=waiting - int(FEWEST * self._waits))
        for at, number in [entry for entry in self._to_lose if entry[0] <= now]:
            self._to_lose.remove((at, number))
            self._control.lose(number)
        for at, number in [entry for entry in self._to_delete if entry[0] <= now]:
            self._to_delete.remove((at, number))
            self._control.delete(number)
        # Airflow starts low map indexes first, across runs. A run that starts while tasks of earlier runs
        # wait for a worker can keep those tasks waiting.
        queued = self._count("scheduled", "queued", "running", "none")
        room = not queued and deferred <= self._waits - WAITS_PER_RUN
        if room and self._all_expanded():
            self._start_waits()
        self.outcome.waits_at_once.append(deferred)

    def _check_ended(self) -> None:
        # Asking Airflow's API for each run every second would be a load of its own.
        ended = {
            run_id
            for (run_id,) in self._rows("select run_id from dag_run where state in ('success', 'failed')")
        }
        for run in [run for run in self._active if run.run_id in ended]:
            self._active.remove(run)
            self._check(run)
        for run_id in [run_id for run_id in self._creates if run_id in ended]:
            self._creates.remove(run_id)
            self._check_creates(run_id)

    def _start_waits(self) -> None:
        ids = list(range(self._next_id, self._next_id + WAITS_PER_RUN))
        self._next_id += WAITS_PER_RUN
        self._started += WAITS_PER_RUN
        rows = [{"id": number, "name": f"soak {number}", "provider": "salesforce"} for number in ids]
        self._control.seed(rows)
        run_id = self._api.trigger("soak_waits", conf={"ids": ids})
        now = time.monotonic()
        due = {number: now + self._random.uniform(*LIFE) for number in ids}
        self._active.append(WaitRun(run_id=run_id, due=due))

    def _authorize(self, *, until: float, most: int) -> None:
        due = [(at, number, run) for run in self._active for number, at in run.due.items() if at <= until]
        for _, number, run in sorted(due, key=lambda entry: entry[0])[: max(most, 0)]:
            del run.due[number]
            self._control.authorize(number)
            self._authorized += 1

    def _check(self, run: WaitRun) -> None:
        ids = [int(number) for number in self._api.xcom("soak_waits", run.run_id, "wanted") or []]
        read = set(self._api.xcom("soak_waits", run.run_id, "read") or [])
        tasks = self._api.task_instances("soak_waits", run.run_id)
        good = {
            ids[task["map_index"]]
            for task in tasks
            if task["task_id"] == "wait" and task["state"] == "success" and task["try_number"] == 1
        }
        self.outcome.waits += len(ids)
        self.outcome.lost_waits += WAITS_PER_RUN - len(good & read)
        self._note_failures("soak_waits", run.run_id, tasks)
        now = time.monotonic()
        for number in ids:
            lost = self._random.random() < LOST
            if lost:
                self._to_lose.append((now + self._random.uniform(0, 60), number))
            self._to_delete.append((now + KEPT, number))

    def _start_creates(self) -> None:
        self._creates.append(self._api.trigger("soak_creates"))

    def _check_creates(self, run_id: str) -> None:
        tasks = self._api.task_instances("soak_creates", run_id)
        self.outcome.creates += len(tasks)
        self._note_failures("soak_creates", run_id, tasks)
        rows = [row for row in self._control.connections() if str(row["external_id"]).startswith(run_id)]
        names = Counter(row["external_id"] for row in rows)
        self.outcome.duplicates += names.total() - len(names)
        self.outcome.unmade += len(tasks) - len(names)
        now = time.monotonic()
        self._to_delete += [(now + KEPT, row["id"]) for row in rows]

    def _note_failures(self, dag_id: str, run_id: str, tasks: list[dict[str, Any]]) -> None:
        for task in tasks:
            if task["state"] != "success":
                self.outcome.failed += 1
                self._keep_log(dag_id, run_id, task)

    def _keep_log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
        try:
            log = self._api.log(
                dag_id,
                run_id,
                task["task_id"],
                try_number=max(task["try_number"], 1),
                map_index=task["map_index"],
            )
        except RuntimeError as error:
            log = str(error)
        name = f"{dag_id} {run_id} {task['task_id']} {task['map_index']}"
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.log"
        path.write_text(log, encoding="utf-8")
        self._say(f"{name}: {task['state']}, see {path}\n{log[-2000:]}")

    def _add_fault(self) -> None:
        name, parameters = self._random.choice(FAULTS)
        operation = self._random.choice(("list_connections", "list_connections", "create_connection"))
        self._control.add_fault(name, operation=operation, **parameters)
        self.outcome.faults[name] += 1

    def _restart_triggerer(self) -> None:
        # A watch whose triggerer dies within seconds of telling a change tells it again. This soak is not
        # about that: nothing changes until all is reported and stored.
        self._settle()
        self._restarted += 1
        if self._restarted % 2:
            self._cluster.end("triggerer-0")
            self.outcome.restarts["SIGTERM"] += 1
        else:
            self._cluster.kill("triggerer-0")
            self.outcome.restarts["SIGKILL"] += 1
        self._cluster.start_triggerer(0)
        self._say(f"triggerer restarted ({self._pending()} waits go on)")

    def _settle(self) -> None:
        """Wait until nothing changes, the watches have reported everything, and all have polled again."""

        def all_reported() -> bool:
            self._check_ended()
            return not self._creates and not self._compare(lasting=None).missed

        # The outcome shows what was never reported.
        try:
            wait_until(all_reported, what="the changes", deadline=180, interval=2)
        except TimeoutError:
            self._say(f"not reported yet: {self._compare(lasting=None).missed[:10]}")
        polls = self._poll_count()
        try:
            # The second round begins later than a watch stores its reports of the first.
            wait_until(
                lambda: self._poll_count() >= polls + 2 * TRIGGERERS, what="polls", deadline=120, interval=1
            )
        except TimeoutError as error:
            self._say(str(error))

    def _end(self) -> None:
        self._say("letting all end")
        for run in self._active:
            self._control.authorize_all(list(run.due))
            run.due.clear()
        self._control.clear_faults()

        def all_ended() -> bool:
            self._check_ended()
            return not self._active and not self._creates

        try:
            wait_until(all_ended, what="the last runs", deadline=900, interval=2)
        except TimeoutError as error:
            self._say(str(error))
            self.outcome.lost_waits += WAITS_PER_RUN * len(self._active)
        self._settle()
        self.outcome.reports = self._compare(lasting=3 * INTERVAL)
        failed = self._rows(
            "select dag_id, run_id, task_id, try_number, map_index from task_instance "
            "where state = 'failed' and dag_id like 'soak_watch_%%'"
        )
        self.outcome.failed_beside = len(failed)
        for dag_id, run_id, task_id, try_number, map_index in failed:
            task = {"task_id": task_id, "try_number": try_number, "map_index": map_index, "state": "failed"}
            self._keep_log(dag_id, run_id, task)

    def _compare(self, *, lasting: float | None) -> WatchReports:
        events = [{"extra": extra} for (extra,) in self._rows("select extra from asset_event")]
        changes = self._control.changes(since=self._first)
        return compare(changes, events, providers=WATCHED, now=time.monotonic(), lasting=lasting)

    def _count_calls(self, *, since: int, began: float) -> None:
        calls = self._control.requests(since=since)
        lists = [row for row in calls if row["operation"] == "list_connections"]
        minutes = Counter(int((row["at"] - began) // 60) for row in lists)
        self.outcome.minutes = [minutes[number] for number in range(int(self.outcome.seconds // 60))]
        self.outcome.polls = sum(_is_poll(row) for row in lists)
        self.outcome.calls = len(calls)
        self.outcome.refused = sum(row["status"] == 429 and row["fault"] is None for row in calls)

    def _poll_count(self) -> int:
        rows = self._control.requests(operation="list_connections")
        return sum(_is_poll(row) and row["status"] == 200 for row in rows)

    def _pending(self) -> int:
        return self._count("deferred")

    def _all_expanded(self) -> bool:
        """Return whether Airflow has created the tasks of every run."""
        [(count,)] = self._rows(
            "select count(*) from task_instance "
            "where dag_id = 'soak_waits' and task_id = 'wait' and map_index >= 0"
        )
        return int(count) == self._started

    def _count(self, *states: str) -> int:
        statement = """
            select count(*) from task_instance
            where dag_id = 'soak_waits' and task_id = 'wait' and coalesce(state, 'none') in %s
            """
        [(count,)] = self._rows(statement, states)
        return int(count)

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        rows = query(self._database, statement, *values)
        return [tuple(_parsed(value) for value in row) for row in rows]


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _is_poll(row: dict[str, Any]) -> bool:
    return not {"external_id", "folder_id", "parent_id", "project_id"} & set(parse_qs(row["query"]))
