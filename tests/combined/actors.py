"""The processes that can be killed: a try of a task, and a triggerer.

They are forked from a process that has already imported Airflow, which takes milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection as Line
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.tasks import TaskInstance
from tests.support.triggerer import Runner

#: Seconds from reporting a change until a triggerer records it. The provider's own value is longer.
NOTE_AFTER = 0.3
#: The shortest time between two requested lists. The provider's own value is longer.
SOON = 0.3


class FileStore:
    """A store for tasks or assets like Airflow's, in a file that outlives every process.

    :param path: the file.
    :param before_set: called before a value is stored.
    """

    def __init__(self, path: Path, *, before_set: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._before_set = before_set

    def get(self, key: str, default: Any = None) -> Any:
        values = json.loads(self._path.read_bytes()) if self._path.exists() else {}
        return values.get(key, default)

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._before_set()
        values = json.loads(self._path.read_bytes()) if self._path.exists() else {}
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({**values, key: value}))
        fresh.replace(self._path)

    def delete(self, key: str) -> None:
        self.set(key, None)

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def aset(self, key: str, value: Any, **_: Any) -> None:
        self.set(key, value)

    async def adelete(self, key: str) -> None:
        self.delete(key)


class Process:
    """A fork of this process.

    :param target: the function that it runs, with its end of the pipe.
    :param log: the file for its output and its log, at DEBUG and above.
    """

    def __init__(self, target: Callable[[Line], None], *, log: Path) -> None:
        self.line, theirs = Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become(target, theirs, log=log)
        theirs.close()

    def kill(self) -> None:
        """Kill the process and reap it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def heard(self) -> list[Any]:
        """Return the messages received since the last call."""
        said = []
        try:
            while self.line.poll():
                said.append(self.line.recv())
        except (EOFError, ConnectionResetError):
            pass
        return said

    def close(self) -> None:
        """Close the pipe, once the process has ended."""
        self.line.close()


def _become(target: Callable[[Line], None], line: Line, *, log: Path) -> None:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        root = logging.getLogger()
        root.handlers[:] = [logging.StreamHandler(sys.__stderr__)]
        root.setLevel(logging.DEBUG)
        for logger in list(logging.Logger.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.disabled = False
                logger.propagate = True
                logger.setLevel(logging.NOTSET)
        # They log much, and nothing of the provider.
        for name in ("asyncio", "sqlalchemy"):
            logging.getLogger(name).setLevel(logging.INFO)
        target(line)
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must not continue with its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def secret_of(seed: int, number: int) -> str:
    """Return the credential that a task sends, which must not appear anywhere.

    :param seed: the play's seed.
    :param number: the task's number.
    """
    return f"Zx{seed}q-s3nt1nel-{number}-kW"


def run_try(line: Line, *, task: dict[str, Any], store: FileStore | None, number: int) -> None:
    """Run a task once, and send the outcome.

    :param line: the pipe to send it to.
    :param task: the task's number, operator and arguments.
    :param store: Airflow's task state store, if this Airflow has one.
    :param number: the number of this try.
    """
    from airflow_provider_workato.operators import connections as operators

    ti = TaskInstance(task_id=f"task_{task['number']}")
    ti.try_number = number
    context = {**ti.context, "run_id": ti.run_id}
    if store is not None:
        context["task_state_store"] = store
    arguments = {"task_id": ti.task_id, "workato_conn_id": "workato_default", **task["arguments"]}
    kind = (
        operators.WorkatoCreateRuntimeUserConnectionOperator
        if task["runtime_user"]
        else operators.WorkatoCreateConnectionOperator
    )
    try:
        result = kind(**arguments).execute(context)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - the model decides which errors were to be expected
        traceback.print_exc()
        line.send({"error": [c.__name__ for c in type(error).__mro__], "says": str(error), "xcoms": ti.xcoms})
    else:
        line.send({"result": result, "xcoms": ti.xcoms})


def run_set(line: Line, *, arguments: dict[str, Any], store: FileStore, variables: Path) -> None:
    """Apply a declared set once, and send what it did and how often it listed the connections.

    :param line: the pipe to send it to.
    :param arguments: the operator's arguments.
    :param store: Airflow's task state store.
    :param variables: the file with Airflow's variables.
    """
    from airflow_provider_workato.operators.sets import WorkatoApplyConnectionsOperator
    from airflow_provider_workato.provisioning import fingerprints, search

    known, lists, list_connections = FileStore(variables), 0, vars(search)["list_connections"]

    def counted(*given: Any, **more: Any) -> Any:
        nonlocal lists
        lists += 1
        return list_connections(*given, **more)

    os.environ["AIRFLOW__CORE__FERNET_KEY"] = "the key of the play"
    vars(search)["list_connections"] = counted
    vars(fingerprints)["read_variable"] = known.get
    vars(fingerprints)["write_variable"] = lambda key, value, **_: known.set(key, value)
    ti = TaskInstance(task_id="set")
    context: Any = {**ti.context, "run_id": ti.run_id, "task_state_store": store}
    told: dict[str, Any] = {"at": time.monotonic(), "error": None}
    try:
        WorkatoApplyConnectionsOperator(
            task_id=ti.task_id, workato_conn_id="workato_default", **arguments
        ).execute(context)
    except Exception as error:  # noqa: BLE001 - the model decides which errors were to be expected
        traceback.print_exc()
        told |= {"error": [c.__name__ for c in type(error).__mro__], "says": str(error)}
    did = {each["name"]: each["did"] for each in ti.xcoms.get("workato_connections", ())}
    line.send({"set": {**told, "did": did, "lists": lists}})


def keep_busy(line: Line, *, calls: int) -> None:
    """Make calls that use up the rate limit.

    :param line: the pipe on which to report that they are done.
    :param calls: the number of calls.
    """
    from airflow_provider_workato.exceptions import WorkatoError
    from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

    hook = WorkatoConnectionsHook("workato_default")
    for _ in range(calls):
        try:
            hook.get_picklist(36, "sandbox_items")
        except WorkatoError as error:
            print(error)
        except Exception:  # noqa: BLE001 - a look-up that failed
            traceback.print_exc()
    line.send({"done": calls})


def run_forked(line: Line, *, number: int, creates: int) -> None:
    """Use a hook, fork, create connections with it on both sides, and send what each create returned.

    :param line: the pipe to send it to.
    :param number: makes the names unique.
    :param creates: the number of creates on each side.
    """
    from airflow_provider_workato.exceptions import WorkatoError
    from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

    # A hook keeps the token that it reads first, so a token replaced since then explains an error.
    began = time.monotonic()
    hook = WorkatoConnectionsHook("workato_default")
    try:
        hook.get_picklist(36, "sandbox_items")
    except WorkatoError as error:
        print(error)
    except Exception:  # noqa: BLE001 - a look-up that failed
        traceback.print_exc()
    ours, theirs = Pipe()
    child = os.fork()
    side = "parent" if child else "child"
    made: list[dict[str, Any]] = []
    for each in range(creates):
        told: dict[str, Any] = {"wanted": f"Forked {number} {side} {each}", "at": began}
        try:
            row = hook.create_connection(name=told["wanted"], provider="rest", folder_id=1892)
        except Exception as error:  # noqa: BLE001 - the model decides which errors were to be expected
            traceback.print_exc()
            told |= {"error": [c.__name__ for c in type(error).__mro__], "says": str(error)}
        else:
            told["id"] = row["id"]
        made.append(told)
    if not child:
        theirs.send(made)
        return
    theirs.close()
    line.send({"made": made + ours.recv()})
    os.waitpid(child, 0)


class Entry(TaskInstance):
    """An instance of a mapped task, whose XComs the other instance reads from files.

    :param index: its map index.
    :param xcoms: the files of both instances.
    """

    def __init__(self, *, index: int, xcoms: list[Path]) -> None:
        super().__init__(task_id="rows")
        self.map_index = index
        self._stores = [FileStore(path) for path in xcoms]

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self._stores[self.map_index].set(key, value)

    def xcom_pull(self, *, key: str, **_: Any) -> list[Any]:
        return [store.get(key) for store in self._stores]

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        return {self.run_id: {self.task_id: "running"}}


def run_entry(line: Line, *, index: int, arguments: dict[str, Any], xcoms: list[Path]) -> None:
    """Run one of two entries with the same identity, and send the outcome.

    :param line: the pipe to send it to.
    :param index: the entry's map index.
    :param arguments: the operator's arguments.
    :param xcoms: the files with the XComs of both entries.
    """
    from airflow_provider_workato.operators.connections import WorkatoCreateConnectionOperator

    ti = Entry(index=index, xcoms=xcoms)
    told: dict[str, Any] = {"wanted": arguments["name"], "at": time.monotonic()}
    create = WorkatoCreateConnectionOperator(
        task_id=ti.task_id, workato_conn_id="workato_default", if_exists="update", **arguments
    )
    context: Any = {**ti.context, "run_id": ti.run_id, "dag": SimpleNamespace(tasks=[create])}
    try:
        told["id"] = create.execute(context)
    except Exception as error:  # noqa: BLE001 - the model decides which errors were to be expected
        traceback.print_exc()
        told |= {"error": [c.__name__ for c in type(error).__mro__], "says": str(error)}
    line.send(told)


def run_entries(line: Line, *, at_once: bool, entries: list[dict[str, Any]], folder: Path, log: Path) -> None:
    """Run two entries with the same identity in one DAG run, and send both outcomes.

    :param line: the pipe to send them to.
    :param at_once: whether the second starts before the first has ended.
    :param entries: the arguments of both.
    :param folder: the folder for their XComs.
    :param log: the file for their logs.
    """
    xcoms = [folder / f"{log.stem} {index}.json" for index in range(len(entries))]
    started: list[Process] = []
    told = []
    for index, arguments in enumerate(entries):
        run = partial(run_entry, index=index, arguments=arguments, xcoms=xcoms)
        started.append(Process(run, log=log))
        if not at_once:
            told.append(started[index].line.recv())
    if at_once:
        told = [process.line.recv() for process in started]
    for process in started:
        os.waitpid(process.pid, 0)
    line.send({"entries": told})


def run_triggerer(line: Line) -> None:
    """Run triggers as Airflow's triggerer does, and send the events that they fire.

    Orders are ``("start", name, classpath, kwargs, store path or None)`` and ``("cancel", name)``.

    :param line: the pipe for orders and events.
    """
    from airflow_provider_workato.triggers import reports, shared_list

    shared_list.SOON = min(shared_list.SOON, SOON)
    reports.STORE_AFTER = NOTE_AFTER
    asyncio.run(_triggerer(line))


async def _triggerer(line: Line) -> None:
    runner = Runner()
    names: dict[int, str] = {}
    told = 0
    over: set[int] = set()

    def tell() -> None:
        nonlocal told
        events = runner.events
        for number, event in events[told:]:
            payload = json.loads(json.dumps(event.payload, default=str))
            xcoms = json.loads(json.dumps(getattr(event, "xcoms", None), default=str))
            line.send(("fired", names[number], type(event).__name__, payload, xcoms))
        told = len(events)
        for number in [n for n, running in runner.tasks.items() if running.done() and n not in over]:
            running = runner.tasks[number]
            over.add(number)
            error = None if running.cancelled() else running.exception()
            line.send(("ended", names[number], _lines(error)))

    def obey() -> None:
        try:
            order = line.recv()
        except (EOFError, ConnectionResetError):
            os._exit(0)
        if order[0] == "start":
            _, name, classpath, kwargs, path = order
            trigger = _rebuilt(classpath, kwargs)
            if path is not None:
                # Send events before they are recorded as reported, which is the order in Airflow.
                trigger.asset_state_store = FileStore(path, before_set=tell)
            names[runner.start(trigger)] = name
        else:
            for number in [number for number, name in names.items() if name == order[1]]:
                runner.tasks[number].cancel()

    asyncio.get_running_loop().add_reader(line.fileno(), obey)
    line.send(("ready",))
    while True:
        tell()
        await asyncio.sleep(0.01)


def _lines(error: BaseException | None) -> list[str]:
    return [] if error is None else traceback.format_exception(type(error), error, error.__traceback__)


def _rebuilt(classpath: str, kwargs: dict[str, Any]) -> Any:
    from importlib import import_module

    module, _, name = classpath.rpartition(".")
    return getattr(import_module(module), name)(**kwargs)
