"""Play a history with real processes, real HTTP and the sandbox, and check it against the model."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from airflow_provider_workato.sandbox.client import SandboxControl, SandboxProcess
from tests.combined import secrets_backend
from tests.combined.actors import (
    NOTE_AFTER,
    FileStore,
    Process,
    keep_busy,
    run_entries,
    run_forked,
    run_set,
    run_triggerer,
    run_try,
    secret_of,
)
from tests.combined.clock import Clock
from tests.combined.model import (
    SLACK,
    Broken,
    Identity,
    Truth,
    Wait,
    Watch,
    check_quota,
    check_set,
    state_of,
)
from tests.combined.steps import (
    CALLS_PER_SECOND,
    LATEST,
    LISTS_PER_MINUTE,
    READ_TIMEOUT,
    RETRY_BUDGET,
    SERVER_TIMEOUT,
    SET_FOLDER,
    SETS,
    Step,
)
from tests.support.tasks import TaskInstance

#: In a quiet, waits and watches with a longer interval than this are not awaited.
LONGEST_DUE = 0.5
#: How many seconds later than that an event may come, on a busy machine or after a pause of the rate limiter.
PATIENCE = 6.0
#: A task counts as stuck if one try takes longer, in seconds, or if it needs more tries in a quiet.
LONGEST_TRY, MOST_TRIES = 20.0, 4
MOST_TASKS = 4
#: An app's error that quotes a credential.
QUOTED = "The app refused api_key={}"

OPERATIONS = {
    "create": ("create_connection", "create_runtime_user_connection"),
    "list": ("list_connections",),
    "update": ("update_connection",),
}


@dataclass(slots=True, kw_only=True)
class Task:
    """A task of a DAG run, with its tries.

    :param store: the store that outlives its tries; ``None`` as before Airflow 3.3.
    :param state: ``running``, ``killed``, ``again`` (it can be retried), ``done`` or ``failed``.
    """

    number: int
    identity: Identity
    step: Step
    arguments: dict[str, Any]
    store: FileStore | None
    process: Process | None = None
    state: str = "new"
    tries: int = 0
    began: float = 0.0
    try_began: float = 0.0
    ended: float = 0.0
    error: str = ""
    result: int | None = None
    quiet_tries: int = 0


@dataclass(slots=True, kw_only=True)
class Play:
    """One history, and the processes that play it.

    :param seed: makes the credentials unique.
    :param sandbox: the sandbox, which nothing else may use meanwhile.
    :param home: the folder of all files that the processes write.
    """

    seed: int
    sandbox: SandboxProcess
    home: Path
    clock: Clock
    control: SandboxControl = field(init=False)
    truth: Truth = field(default_factory=Truth)
    tasks: list[Task] = field(default_factory=list)
    helpers: list[Process] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    triggerer: Process | None = None
    tokens: list[str] = field(default_factory=list)
    strangers: set[int] = field(default_factory=set)
    deletes: dict[int, float] = field(default_factory=dict)
    vault_broken: list[tuple[float, float]] = field(default_factory=list)
    rotated: list[float] = field(default_factory=list)
    jumped: list[tuple[float, float]] = field(default_factory=list)
    numbers: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    seeded_secrets: int = 0
    declared: list[int] = field(default_factory=list)
    changed_last: int | None = None
    ready: bool = False

    def __post_init__(self) -> None:
        self.control = self.sandbox.control

    # Setup

    @contextmanager
    def set(self) -> Iterator[None]:
        """Start the processes, and end them when the block ends."""
        for folder in ("logs", "state_stores", "notes", "xcoms", "tmp"):
            (self.home / folder).mkdir()
        temporary, tempfile.tempdir = tempfile.tempdir, str(self.home / "tmp")
        vault = self.home.with_suffix(".vault")
        os.environ[secrets_backend.VARIABLE] = str(vault)
        self.clock.jump(-self.clock.offset)
        self.clock.install()
        self.control.reset()
        self.control.set_quota(list_per_minute=LISTS_PER_MINUTE, calls_per_second=CALLS_PER_SECOND)
        self._rotate()
        self.control.seed(
            [
                {"name": f"Row {number}", "folder_id": folder, "external_id": f"row{number}"}
                for number, folder in enumerate((1892, 4515, 1892))
            ]
        )
        try:
            self._start_triggerer()
            yield
        finally:
            for process in self._processes():
                process.kill()
                process.close()
            self.clock.uninstall()
            self.control.reset()
            tempfile.tempdir = temporary
            vault.unlink(missing_ok=True)

    def _processes(self) -> list[Process]:
        processes = [*(task.process for task in self.tasks), *self.helpers, self.triggerer]
        return [process for process in processes if process is not None]

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def _rotate(self) -> None:
        new = f"tok-{self.seed}-{len(self.tokens)}-Qx7vR2kd"
        self.control.set_tokens(*self.tokens[-1:], new)
        self.tokens.append(new)
        self._open_vault()
        self.control.set_tokens(new)
        self.rotated.append(time.monotonic())

    def _open_vault(self, *, broken_for: float = 0.0) -> None:
        now = time.monotonic()
        if broken_for:
            self.vault_broken.append((now, now + broken_for))
        extra = {
            "connect_timeout": 2,
            "read_timeout": READ_TIMEOUT,
            "server_timeout": SERVER_TIMEOUT,
            "list_calls_per_minute": LISTS_PER_MINUTE,
            "calls_per_second": CALLS_PER_SECOND,
        }
        connections = {
            f"workato_{name}": json.dumps(
                {
                    "conn_type": "workato",
                    "host": self.sandbox.url,
                    "password": self.tokens[-1],
                    "extra": {**extra, "retry_budget": budget},
                }
            )
            for name, budget in (("default", RETRY_BUDGET), ("quick", 0))
        }
        for which, version in product(range(SETS), range(2)):
            connections[f"set_{which}_{version}"] = json.dumps(
                {"conn_type": "generic", "password": self._secret_of_set(which, version)}
            )
        until = max((end for _, end in self.vault_broken), default=0.0)
        secrets_backend.write(Path(os.environ[secrets_backend.VARIABLE]), connections, broken_until=until)

    # Steps

    def do(self, step: Step) -> None:
        """Play one step, and check the outcome of this step and all earlier ones."""
        getattr(self, f"_do_{step['do']}")(step)
        time.sleep(step.get("after", 0) / 1000)
        self.observe()

    def _do_ensure(self, step: Step) -> None:
        identity = Identity(step["kind"], step["which"])
        for _ in range(step["at_once"]):
            if sum(task.state == "running" for task in self.tasks) >= MOST_TASKS:
                return
            self.numbers += 1
            number = self.numbers
            arguments = {**identity.arguments(number), "if_exists": step["if_exists"]}
            if step["kind"] != "runtime" and step["credentials"] != "none":
                secret = secret_of(self.seed, number)
                wrong = "wrong-credentials-" if step["credentials"] == "wrong" else ""
                arguments["input"] = {"user": "ada", "key": wrong + secret}
            store = FileStore(self.home / "state_stores" / f"{number}.json") if step["state_store"] else None
            task = Task(number=number, identity=identity, step=step, arguments=arguments, store=store)
            task.began = time.monotonic()
            self.tasks.append(task)
            self._try(task)

    def _try(self, task: Task) -> None:
        task.tries += 1
        task.try_began = time.monotonic()
        task.state = "running"
        what = {
            "number": task.number,
            "arguments": task.arguments,
            "runtime_user": task.identity.kind == "runtime",
        }
        run = partial(run_try, task=what, store=task.store, number=task.tries)
        task.process = Process(run, log=self._log(f"task {task.number}"))

    def _do_kill(self, step: Step) -> None:
        running = [task for task in self.tasks if task.state == "running"]
        if not running:
            return
        task = running[step["task"] % len(running)]
        if step["when"] == "held":
            end = time.monotonic() + 0.6
            while time.monotonic() < end and not self.control.held():
                time.sleep(0.01)
        else:
            time.sleep(step["when"] / 1000)
        self._kill(task)

    def _kill(self, task: Task) -> None:
        process = task.process
        if process is None:
            return
        process.kill()
        task.ended = time.monotonic()
        task.process = None
        said = process.heard()
        process.close()
        self.learn()
        if said:
            self._hear_task(task, said[0])
        else:
            task.state = "killed"

    def _do_retry(self, step: Step) -> None:
        waiting = [task for task in self.tasks if self._can_go_on(task)]
        if waiting:
            self._try(waiting[step["task"] % len(waiting)])

    def _can_go_on(self, task: Task) -> bool:
        # Without a store, a retry must wait for longer than Workato may process a call.
        delay = 0.0 if task.store else SERVER_TIMEOUT + 0.2
        return task.state in ("killed", "again") and time.monotonic() >= task.ended + delay

    def _do_busy(self, step: Step) -> None:
        self.helpers.append(Process(partial(keep_busy, calls=step["calls"]), log=self._log("busy")))

    def _do_fork(self, step: Step) -> None:
        self.numbers += 1
        run = partial(run_forked, number=self.numbers, creates=step["creates"])
        self.helpers.append(Process(run, log=self._log(f"fork {self.numbers}")))

    def _do_entries(self, step: Step) -> None:
        self.numbers += 2
        numbers = (self.numbers - 1, self.numbers)
        entries = [
            {
                "name": f"Entry {number}",
                "external_id": f"entry{self.numbers}",
                "provider": "rest",
                "folder_id": 1892,
                "input": {"user": "ada", "key": secret_of(self.seed, number)},
            }
            for number in numbers
        ]
        log = self._log(f"entries {self.numbers}")
        folder = self.home / "xcoms"
        run = partial(run_entries, at_once=step["at_once"], entries=entries, folder=folder, log=log)
        self.helpers.append(Process(run, log=log))

    def _secret_of_set(self, which: int, version: int) -> str:
        return secret_of(self.seed, 10_000 + 2 * which + version)

    def _do_set(self, step: Step) -> None:
        self.declared = step["which"]
        for _ in range(step["at_once"]):
            self.numbers += 1
            process = self._apply(step["which"], step["version"], step["prune"], number=self.numbers)
            if step["killed"] is not None:
                time.sleep(step["killed"] / 1000)
                process.kill()
                process.close()
                process = self._apply(step["which"], step["version"], step["prune"], number=self.numbers)
            self.helpers.append(process)

    def _apply(self, which: Sequence[int], version: int, prune: str, *, number: int) -> Process:
        arguments = {
            "folder_id": SET_FOLDER,
            "prune": prune,
            "prune_limit": 1000,
            "connections": [
                {
                    "name": f"Set {one}",
                    "provider": "rest",
                    "external_id": f"s{one}",
                    "input": {"user": "ada"},
                    "input_from": {"conn_id": f"set_{one}_{version}", "keys": {"key": "password"}},
                }
                for one in which
            ],
        }
        store = FileStore(self.home / "state_stores" / f"set {number}.json")
        run = partial(run_set, arguments=arguments, store=store, variables=self.home / "variables.json")
        return Process(run, log=self._log(f"set {number}"))

    def _check_declared(self) -> None:
        """Apply a set twice and once more: the second sends the new credentials, the third nothing."""
        for version, does in ((0, None), (1, "changed"), (1, "unchanged")):
            told = self._applied(version)
            names = {f"Set {one}" for one in self.declared}
            did = {name: each for name, each in told["did"].items() if name in names}
            if did.keys() != names or (does and set(did.values()) != {does}):
                raise Broken("a set missed a change", f"version {version} should be {does}: {told}")
            if does and told["lists"] != 1:
                raise Broken("a set listed again", str(told))
        self.learn()
        there = sorted(
            str(row["external_id"]) for row in self.truth.live().values() if row["folder_id"] == SET_FOLDER
        )
        if there != [f"s{one}" for one in self.declared]:
            raise Broken("a set is not there", f"{there} of {self.declared}")

    def _applied(self, version: int) -> dict[str, Any]:
        """Apply the set until it succeeds, and return what it said."""
        for _ in range(MOST_TRIES):
            self.numbers += 1
            began = time.monotonic()
            process = self._apply(self.declared, version, "delete", number=self.numbers)
            self._until(process.line.poll, LONGEST_TRY, lambda: "a set hangs")
            said = process.heard()
            os.waitpid(process.pid, 0)
            process.close()
            self._note(said)
            told: dict[str, Any] = said[0]["set"]
            if told["error"] is None:
                return told
            if not self._is_excused(told["error"], began - SLACK):
                break
        raise Broken("a set never succeeds", f"{told['error']}: {told['says'][:300]}")

    def _do_faults(self, step: Step) -> None:
        operations = OPERATIONS[step["on"]]
        rules = [rule for rule in self.control.faults() if rule["operation"] in operations and rule["times"]]
        # More faults would affect no call, and many failed lists in a row may end a wait.
        if len(rules) > 4 or (rules and step["on"] == "list"):
            return
        for fault, performed, parameters in step["which"]:
            for operation in operations:
                self.control.add_fault(fault, operation=operation, performed=performed, **parameters)

    def _do_stranger(self, step: Step) -> None:
        row = {"name": f"Anywhere {step['which']}", "provider": "rest", "folder_id": 4515}
        self.strangers.update(self.control.seed([row]))

    def _do_row(self, step: Step) -> None:
        self.numbers += 1
        number = self.numbers
        row = {"name": f"Row {number}", "folder_id": step["folder"], "external_id": f"row{number}"}
        self.control.seed([row])

    def _row(self, which: int | None) -> int | None:
        self.learn()
        rows = sorted(number for number in self.truth.live() if number != 36)
        if which is None:
            return self.changed_last if self.changed_last in rows else None
        return rows[which % len(rows)] if rows else None

    def _do_people(self, step: Step) -> None:
        number = self._row(step["row"])
        if number is None:
            return
        self.changed_last = number
        if step["what"] == "authorize":
            self.control.authorize(number)
        elif step["what"] == "fail":
            self.seeded_secrets += 1
            secret = secret_of(self.seed, -self.seeded_secrets)
            self.control.fail(number, error=QUOTED.format(secret))
        elif step["what"] == "lose":
            self.control.lose(number)
        else:
            self.control.delete(number)
            self.deletes[number] = time.monotonic()

    def _do_clock(self, step: Step) -> None:
        self.jumped.append((time.monotonic(), step["by"]))
        self.clock.jump(step["by"])

    def _do_token(self, _: Step) -> None:
        self._rotate()

    def _do_vault(self, step: Step) -> None:
        self._open_vault(broken_for=step["for"] / 1000)

    def _do_pause(self, step: Step) -> None:
        time.sleep(step["for"] / 1000)

    # Waits and watches

    def _do_wait(self, step: Step) -> None:
        from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

        from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

        numbers = list(dict.fromkeys(n for which in step["rows"] if (n := self._row(which)) is not None))
        if not numbers:
            return
        filters: dict[str, Any] = {}
        if step["filter"] is not None:
            row = self.truth.now(numbers[0])
            value = row and row[step["filter"]]
            filters = {step["filter"]: value} if value is not None else {}
        self.numbers += 1
        name = f"wait {self.numbers}"
        sensor = WorkatoConnectionSensor(
            task_id=name.replace(" ", "_"),
            connection_id=numbers if len(numbers) > 1 else numbers[0],
            workato_conn_id=step["conn"],
            poke_interval=step["interval"],
            fail_fast=step["fail_fast"],
            timeout=step.get("timeout", 7 * 24 * 3600.0),
            deferrable=True,
            **filters,
        )
        if step["upstream"]:
            sensor.upstream_task_ids.add("before")
        began = time.monotonic()
        try:
            sensor.execute(TaskInstance(task_id=sensor.task_id).context)
        except TaskDeferred as deferral:
            classpath, kwargs = deferral.trigger.serialize()
        except AirflowException:
            # The look-up of the Airflow connection failed; Airflow would retry the task.
            if self._vault_was_broken(began):
                return
            raise
        else:
            raise Broken("a wait ended wrongly", f"{name} did not defer")
        wait = Wait(
            name=name,
            began=began,
            numbers=numbers,
            filters=filters,
            step=step,
            freshness=0.0 if step["upstream"] else step["interval"],
            sensor=sensor,
            classpath=classpath,
            kwargs=json.loads(json.dumps(kwargs)),
        )
        self.waits[name] = wait
        self._start(wait)

    def _do_watch(self, step: Step) -> None:
        from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

        number = self._row(step["row"])
        row = None if number is None else self.truth.now(number)
        name = step["filter"]
        value = None if name is None or row is None else number if name == "connection_id" else row[name]
        wanted: dict[str, Any] = {} if value is None else {str(name): value}
        trigger = WorkatoConnectionStatusTrigger(
            changes=step["changes"],
            workato_conn_id=step["conn"],
            poke_interval=step["interval"],
            **wanted,
        )
        classpath, kwargs = trigger.serialize()
        self.numbers += 1
        watch = Watch(
            name=f"watch {self.numbers}",
            began=time.monotonic(),
            filters={"id" if key == "connection_id" else key: value for key, value in wanted.items()},
            step=step,
            classpath=classpath,
            kwargs=json.loads(json.dumps(kwargs)),
            has_store=step["store"],
        )
        self.watches[watch.name] = watch
        self._start(watch)

    def _start(self, trigger: Wait | Watch) -> None:
        if self.triggerer is None:
            return
        path = None
        if isinstance(trigger, Watch):
            trigger.restart_at = None
            path = self.home / "notes" / f"{trigger.name}.json" if trigger.has_store else None
        self.triggerer.line.send(("start", trigger.name, trigger.classpath, trigger.kwargs, path))

    def _do_leave(self, step: Step) -> None:
        names = [*self.waits, *self.watches]
        if not names:
            return
        for name in names if step["which"] == "all" else [names[step["which"] % len(names)]]:
            self._forget(name)
            if self.triggerer is not None:
                self.triggerer.line.send(("cancel", name))

    def _forget(self, name: str) -> None:
        self.waits.pop(name, None)
        self.watches.pop(name, None)

    def _start_triggerer(self) -> None:
        self.ready = False
        self.triggerer = Process(run_triggerer, log=self._log("triggerer"))
        for wait in self.waits.values():
            self._start(wait)
        for watch in self.watches.values():
            self._start(watch)

    def _do_triggerer(self, step: Step) -> None:
        if self.triggerer is not None:
            self.observe()
            self.triggerer.kill()
            now = time.monotonic()
            said = self.triggerer.heard()
            self.triggerer.close()
            self.triggerer = None
            for watch in self.watches.values():
                watch.kills.append(now)
                watch.forgets()
            self.learn()
            for message in said:
                self._hear_trigger(message)
        time.sleep(step["dead_for"] / 1000)
        self._start_triggerer()

    # Checks

    def learn(self) -> None:
        """Add the latest changes in the sandbox to the model."""
        self.truth.learn(self.control.changes(since=self.truth.seq))
        since = self.requests[-1]["seq"] if self.requests else 0
        self.requests += (new := self.control.requests(since=since))
        check_set(self.truth, new)

    def observe(self) -> None:
        """Receive the messages of all processes, and check them."""
        said = [] if self.triggerer is None else self.triggerer.heard()
        heard = [(task, task.process.heard()) for task in self.tasks if task.process is not None]
        self.learn()
        for message in said:
            self._hear_trigger(message)
        for task, words in heard:
            if words and task.process is not None:
                os.waitpid(task.process.pid, 0)
                task.process.close()
                task.process = None
                task.ended = time.monotonic()
                self._hear_task(task, words[0])
            elif time.monotonic() > task.try_began + LONGEST_TRY:
                raise Broken("a task hangs", f"task {task.number} runs since {LONGEST_TRY:g} s")
        for helper, words in [(helper, helper.heard()) for helper in self.helpers]:
            if words:
                os.waitpid(helper.pid, 0)
                helper.close()
                self.helpers.remove(helper)
                self._hear_set(words[0].get("set"))
                self._hear_forked(words[0].get("made", []))
                self._hear_entries(words[0].get("entries", []))
        for watch in self.watches.values():
            if watch.restart_at is not None and time.monotonic() > watch.restart_at:
                self._start(watch)
        self._check_identities()
        self._check_strangers()
        check_quota(self.requests[-200:], rotated=self.rotated)

    def _note(self, what: object) -> None:
        with (self.home / "logs" / "heard.jsonl").open("a") as file:
            file.write(json.dumps(what, default=str) + "\n")

    def _hear_trigger(self, message: Sequence[Any]) -> None:
        self._note(message)
        if message[0] == "ready":
            self.ready = True
            return
        name = message[1]
        if name in self.watches:
            watch = self.watches[name]
            if message[0] == "fired":
                watch.check_told(self.truth, message[3], now=time.monotonic())
            else:
                # Airflow restarts a failed watch.
                watch.forgets()
                watch.restart_at = time.monotonic() + 0.1
        elif name in self.waits:
            self._end_wait(self.waits.pop(name), message)

    def _end_wait(self, wait: Wait, message: Sequence[Any]) -> None:
        now = time.monotonic()
        jumped = any(when >= wait.began and by > 0 for when, by in self.jumped)
        context = TaskInstance(task_id=wait.sensor.task_id).context
        if message[0] != "fired" and not message[2]:
            raise Broken("a wait ended wrongly", f"{wait.name} ended without an event")
        try:
            if message[0] == "fired":
                wait.sensor.resume_execution("execute_complete", {"event": message[3]}, context)
            else:
                failed = {"error": "Trigger failure", "traceback": message[2]}
                wait.sensor.resume_execution("__fail__", failed, context)
        except Exception as error:  # noqa: BLE001 - the model decides which errors were to be expected
            self._note([type(error).__name__, str(error)])
            kind = type(error).__name__
            ends = {"WorkatoAuthorizationError": "failed"}
            if kind == "WorkatoNotFoundError" and "not in the list" in str(error):
                ends[kind] = "gone"
            if kind in ends:
                wait.check_end(self.truth, ends[kind], now=now, jumped=jumped)
            elif not self._may_fail(wait, kind, now):
                raise Broken(
                    "a wait ended wrongly",
                    f"{wait.name} for {wait.numbers} ended by {kind}: {str(error)[:300]}",
                ) from None
        else:
            wait.check_end(self.truth, "authorized", now=now, jumped=jumped)

    def _may_fail(self, wait: Wait, kind: str, now: float) -> bool:
        """Return whether a wait may give up, because of its timeout or too many failed polls."""
        timeout = wait.step.get("timeout", 7 * 24 * 3600.0)
        ahead = sum(by for when, by in self.jumped if when >= wait.began and by > 0)
        over = bool(now - wait.began + ahead + SLACK >= timeout)
        if kind == "AirflowSensorTimeout":
            return over
        failed = [
            request
            for request in self.requests
            if request["operation"] == "list_connections"
            and request["at"] >= wait.began - SLACK
            and (request["fault"] or request["status"] != 200)
        ]
        blind = sum(end - start for start, end in self.vault_broken if end > wait.began)
        # At its timeout, a wait whose latest poll failed raises that poll's error.
        return bool(len(failed) + blind / wait.step["interval"] > (0 if over else 5))

    def _vault_was_broken(self, since: float) -> bool:
        return any(end >= since - SLACK for _, end in self.vault_broken)

    # Tasks

    def _hear_task(self, task: Task, said: dict[str, Any]) -> None:
        self._note([task.number, said])
        if "result" in said:
            task.result, task.state = said["result"], "done"
            if not any(
                row is not None and task.identity.matches(row)
                for row in self.truth.rows.get(said["result"], [])
            ):
                self.learn()
                rows = self.truth.rows.get(said["result"], [])
                if not any(row is not None and task.identity.matches(row) for row in rows):
                    raise Broken("a task's result", f"task {task.number} returned {said['result']}: {rows}")
            self._check_created(task, said["xcoms"].get("workato_outcome"))
            return
        task.error = f"{said['error'][0]}: {said['says'][:300]}"
        reason = self._may_end_so(task, said["error"])
        if reason is None:
            raise Broken("a task's error", f"task {task.number} ({task.identity}, {task.step}): {task.error}")
        task.state = reason

    def _hear_set(self, told: dict[str, Any] | None) -> None:
        """Check that a set ended well, or names a connection that is not as declared."""
        self._note(told)
        if told is None or told["error"] is None:
            return
        of_some = told["error"][0] in ("WorkatoSetError", "WorkatoSetRefusedError")
        if not of_some and not self._is_excused(told["error"], told["at"] - SLACK):
            raise Broken("a set's error", f"{told['error'][0]}: {told['says'][:300]}")

    def _hear_forked(self, made: Sequence[dict[str, Any]]) -> None:
        """Check that each side of a fork was given the answers to its own creates."""
        self._note(made)
        self.learn()
        for told in made:
            if "error" in told:
                if told["error"][0] == "WorkatoMismatchError" or not self._is_excused(
                    told["error"], told["at"] - SLACK
                ):
                    raise Broken(
                        "another's answer", f"{told['wanted']}: {told['error'][0]}: {told['says'][:300]}"
                    )
            elif not any(
                row and row["name"] == told["wanted"] for row in self.truth.rows.get(told["id"], [])
            ):
                raise Broken("another's answer", f"{told['wanted']} was told that it is {told['id']}")

    def _hear_entries(self, told: Sequence[dict[str, Any]]) -> None:
        """Check that one of two entries with the same identity ended well, and that the other says why."""
        self._note(told)
        self.learn()
        ended = [each["id"] for each in told if "id" in each]
        refused = any(each.get("error", [""])[0] == "WorkatoExistsError" for each in told)
        for each in told:
            if "error" not in each:
                # One whose answer was lost may have created it without knowing.
                names = {row["name"] for row in self.truth.rows[each["id"]] if row}
                if refused and names != {each["wanted"]}:
                    raise Broken("two entries", f"{each['id']} was {names}: {told}")
                continue
            kind, since = each["error"][0], each["at"] - SLACK
            if kind == "WorkatoExistsError":
                right = "rows[0]" in each["says"] and "rows[1]" in each["says"]
            else:
                # Another step may have broken or deleted the connection.
                right = self._is_excused(each["error"], since) or kind in (
                    "WorkatoAuthorizationError",
                    "WorkatoNotFoundError",
                )
            if not right:
                raise Broken("two entries", f"{each['wanted']}: {kind}: {each['says'][:300]}")
        if len(ended) == 2 and not self.deletes.keys() & set(ended):
            raise Broken("two entries", f"both ended well: {told}")

    def _check_created(self, task: Task, outcome: Any) -> None:
        """Check a task's statement of whether it created the connection that it returned."""
        created = outcome["did"] == "created" if outcome else None
        made_at = self.truth.moments[task.result or 0][0]
        others = [t for t in self.tasks if t.identity == task.identity and t is not task]
        if created and made_at < task.began:
            raise Broken("who made it", f"task {task.number} says it made {task.result}, which was there")
        # A task does not claim a connection that it found by name alone after a lost answer.
        sure = task.store is not None and task.identity.kind != "anywhere"
        if created is False and sure and made_at > task.began and not others:
            raise Broken("who made it", f"task {task.number} says that {task.result}, its own, was there")

    def _matching(self, identity: Identity) -> dict[int, list[dict[str, Any] | None]]:
        return {
            number: rows
            for number, rows in self.truth.rows.items()
            if any(row is not None and identity.matches(row) for row in rows)
        }

    def _may_end_so(self, task: Task, error: Sequence[str]) -> str | None:
        """Return the state of a task after this error, or ``None`` if nothing justifies the error."""
        since = task.try_began - SLACK
        kind = error[0]
        rows = self._matching(task.identity)
        moments = self.truth.changes(list(rows), since, time.monotonic())
        states = {state_of(self.truth.at(number, moment)) for number in rows for moment in moments}
        if kind == "WorkatoAuthorizationError":
            return "failed" if task.step["credentials"] == "wrong" or states & {"failed", "lost"} else None
        if kind == "WorkatoExistsError":
            return self._may_exist(task, rows)
        if kind == "WorkatoNotFoundError" and any(self.deletes.get(number, 0.0) >= since for number in rows):
            return "again"
        return "again" if self._is_excused(error, since) else None

    def _is_excused(self, error: Sequence[str], since: float) -> bool:
        """Return whether a fault, a new token or a failed look-up since then explains an error."""
        kind = error[0]
        broken = "AirflowNotFoundException" in error or kind == "AirflowException"
        if broken and self._vault_was_broken(since):
            return True
        if "WorkatoError" not in error:
            return False
        met = any(request["at"] >= since and request["fault"] for request in self.requests)
        rotated = kind == "WorkatoAuthError" and any(moment >= since for moment in self.rotated)
        # On a busy machine, a call can time out without a fault.
        return met or rotated or kind == "WorkatoTransportError"

    def _may_exist(self, task: Task, rows: dict[int, Any]) -> str | None:
        others = [t for t in self.tasks if t.identity == task.identity and t is not task]
        unheard = task.tries > 1 or any(r["at"] >= task.began - SLACK and r["fault"] for r in self.requests)
        maybe_foreign = others or self.strangers & rows.keys() or not task.store or unheard
        if task.identity.kind == "anywhere" and maybe_foreign:
            # A connection that matches by name alone may be reused but not changed.
            return "failed"
        if task.step["if_exists"] == "fail":
            own = task.tries > 1 and task.store and not others and not self.strangers & rows.keys()
            return None if own else "failed"
        several = any(t.step["if_exists"] == "duplicate" for t in others) or self.strangers & rows.keys()
        return "failed" if several or task.step["if_exists"] == "duplicate" else None

    def _check_identities(self) -> None:
        for identity in {task.identity for task in self.tasks}:
            tasks = [task for task in self.tasks if task.identity == identity]
            rows = self._matching(identity)
            live = sorted(n for n, states in rows.items() if states[-1] is not None)
            doubles = [task for task in tasks if task.step["if_exists"] == "duplicate"]
            asked = sum(1 if task.store else task.tries for task in doubles)
            one = any(task.step["if_exists"] != "duplicate" for task in tasks)
            strangers = len(self.strangers & rows.keys())
            gone = sum(number in rows for number in self.deletes)
            ever = asked + one + strangers + gone
            if len(rows) > ever or (not doubles and len(live) > 1 + strangers):
                story = [(t.number, t.step["if_exists"], t.state, t.tries, bool(t.store)) for t in tasks]
                raise Broken(
                    "too many",
                    f"{identity}: {live} are there, {len(rows)} were made, {ever} asked for at most: {story}",
                )

    def _check_strangers(self) -> None:
        for request in self.requests[-200:]:
            if request["method"] == "PUT" and int(request["path"].rpartition("/")[2]) in self.strangers:
                raise Broken("a stranger was changed", request["path"])

    # Quiet

    def _do_quiet(self, _: Step) -> None:
        """Stop all faults, wait until everything that is due has ended, and check the whole state."""
        self.control.clear_faults()
        self.control.release()
        self._until(
            lambda: all(end < time.monotonic() for _, end in self.vault_broken),
            5,
            lambda: "the vault is broken",
        )
        end = time.monotonic() + 60
        while pending := [t for t in self.tasks if t.state in ("running", "killed", "again")]:
            for task in pending:
                if self._can_go_on(task):
                    task.quiet_tries += 1
                    if task.quiet_tries > MOST_TRIES:
                        raise Broken("a task never succeeds", f"task {task.number}: {task.error}")
                    self._try(task)
            time.sleep(0.02)
            self.observe()
            if time.monotonic() > end:
                raise Broken("a task hangs", f"{[task.number for task in pending]}")
        for task in self.tasks:
            task.quiet_tries = 0
        self._until(lambda: not self.helpers, 30, lambda: "a helper does not end")
        # Calls of killed processes may still be in progress.
        self._until(lambda: not self.control.held(), LATEST + PATIENCE, lambda: "calls are held")
        self._check_exact()
        if self.declared:
            self._check_declared()
        self._check_triggers()

    def _check_exact(self) -> None:
        for identity in {task.identity for task in self.tasks}:
            tasks = [task for task in self.tasks if task.identity == identity]
            rows = self._matching(identity)
            live = [n for n, states in rows.items() if states[-1] is not None]
            gone = {number: when for number, when in self.deletes.items() if number in rows}
            done = [t for t in tasks if t.state == "done" and t.result not in gone]
            lost = {t.result for t in done} - set(live)
            if lost:
                raise Broken("a connection is missing", f"{identity}: {lost} were returned, {live} are there")
            doubles = [t for t in tasks if t.step["if_exists"] == "duplicate"]
            if len(doubles) == len(tasks) and not gone and not self.strangers & rows.keys():
                # A retry may mistake a connection that another duplicate has just created for its own.
                sure = len(doubles) == 1 or all(t.tries == 1 for t in doubles)
                right = sure and all(t.store and t.state == "done" for t in doubles)
                if right and len(rows) != len(doubles):
                    raise Broken(
                        "too many", f"{identity}: {len(doubles)} duplicates were asked for, {live} are there"
                    )

    def _check_triggers(self) -> None:
        self._until(lambda: self.ready, 30, lambda: "the triggerer does not start")
        quiet_since = time.monotonic()
        intervals = [
            wait.step["interval"] for wait in self.waits.values() if wait.step["interval"] <= LONGEST_DUE
        ]
        intervals += [watch.step["interval"] for watch in self.watches.values()]
        if not intervals:
            return

        def late() -> list[str]:
            now = time.monotonic()
            due = [
                f"{wait.name} for {wait.numbers} is {verdict} and waits on"
                for wait in self.waits.values()
                if wait.step["interval"] <= LONGEST_DUE
                and (verdict := wait.verdict(self.truth, now)) != "waiting"
            ]
            return due + [line for watch in self.watches.values() for line in watch.untold(self.truth)]

        self._until(
            lambda: not late(),
            2 * max(intervals) + PATIENCE,
            lambda: "; ".join(late()),
            kind=lambda: "not told" if "did not tell" in "; ".join(late()) else "a wait ended late",
        )
        if self.watches:
            # A watch must also see and record the changes that it does not report.
            disturbed = any(
                request["at"] > quiet_since - 3 and (request["fault"] or request["status"] != 200)
                for request in self.requests
                if request["operation"] == "list_connections"
            )
            settled = quiet_since + 2 * max(intervals) + NOTE_AFTER + SLACK + (3.0 if disturbed else 0.0)
            while time.monotonic() < settled:
                time.sleep(0.05)
                self.observe()
            for watch in self.watches.values():
                if watch.restart_at is None:
                    watch.caught_up(self.truth, now=time.monotonic())

    def _until(
        self,
        condition: Callable[[], bool],
        seconds: float,
        what: Callable[[], str],
        *,
        kind: Callable[[], str] = lambda: "a task hangs",
    ) -> None:
        end = time.monotonic() + seconds
        while True:
            self.observe()
            if condition():
                return
            if time.monotonic() > end:
                raise Broken(kind(), what())
            time.sleep(0.03)

    def check_secrets(self) -> None:
        """Search all files that were left behind for credentials."""
        from tools.leaks import search

        secrets = {f"credential of task {t.number}": secret_of(self.seed, t.number) for t in self.tasks}
        for which, version in product(range(SETS), range(2)):
            secrets[f"credential {version} of s{which}"] = self._secret_of_set(which, version)
        for number in range(1, self.seeded_secrets + 1):
            secrets[f"credential quoted by the app, {number}"] = secret_of(self.seed, -number)
        secrets |= {f"token {number}": token for number, token in enumerate(self.tokens)}
        hits = search(self.home, secrets).hits
        if hits:
            told = sorted({f"{hit.secret} in {hit.where}" for hit in hits})
            raise Broken("a secret was seen", "; ".join(told[:5]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a play.

    :param steps: the number of steps that were played.
    :param kind: the broken promise; empty if all were kept.
    :param what: what happened.
    :param seconds: how long the play took.
    """

    steps: int
    kind: str = ""
    what: str = ""
    seconds: float = 0.0


@contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Send the output and the log of this process, which plays the workers, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)


def play(history: Sequence[Step], *, seed: int, sandbox: SandboxProcess, clock: Clock) -> Outcome:
    """Play a history.

    :param history: its steps.
    :param seed: makes the credentials unique.
    :param sandbox: the sandbox, which nothing else may use meanwhile.
    :param clock: the machine's clock.
    """
    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="combined-"))
    stage = Play(seed=seed, sandbox=sandbox, home=home, clock=clock)
    steps = 0
    broken: Broken | None = None
    try:
        with _printing_to(home / "play.log"), stage.set():
            for steps, step in enumerate(history, 1):  # noqa: B007 - part of the outcome
                stage.do(step)
            steps = len(history)
        stage.check_secrets()
    except Broken as found:
        broken = found
    except Exception:  # noqa: BLE001 - a defect of the play itself; reported like a broken promise
        broken = Broken("the play itself failed", traceback.format_exc())
    finally:
        if not os.environ.get("COMBINED_KEEP"):
            shutil.rmtree(home, ignore_errors=True)
    took = time.monotonic() - began
    if broken is None:
        return Outcome(steps=steps, seconds=took)
    return Outcome(steps=steps, kind=broken.kind, what=broken.what, seconds=took)
