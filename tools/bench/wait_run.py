"""Waits on a real triggerer, from the first to the last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tools.bench.contenders import http_connection
from tools.bench.one_dag import OneDag, airflow_with
from tools.bench.usage import Usage
from tools.waiting import wait_until

INTERVAL = 10.0
STEADY_SECONDS = 60.0
#: More workers than cores start no more tasks a second.
PARALLELISM = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """A sensor that is to wait.

    :param name: what it is called in the tables.
    :param dag_id: the DAG with the waits.
    :param quota: whether the sandbox enforces its quotas.
    :param misses: whether the list is to answer 404 for as long as nobody authorized anything.
    """

    name: str
    dag_id: str
    quota: bool
    misses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How the waits went.

    :param until_waiting: seconds from the start of the run until all waited.
    :param calls_per_minute: list calls while all waited.
    :param refused: calls that were answered 429, from the start to the end.
    :param cpu: CPU seconds a minute of the process in which the triggers run, while all waited.
    :param cpu_of_triggerer: the same of the triggerer's main process.
    :param memory: bytes by which the memory of the process in which the triggers run grew at most.
    :param until_success: seconds from the authorization to the end of the last task.
    :param succeeded: how many waits succeeded.
    """

    until_waiting: float
    calls_per_minute: float
    refused: int
    cpu: float
    cpu_of_triggerer: float
    memory: float
    until_success: float
    succeeded: int


def wait_for(*, waiter: Waiter, count: int, say: Callable[[str], None]) -> Waited:
    """Start the waits on an Airflow of their own, let them wait for a minute, authorize all.

    :param waiter: what waits.
    :param count: how many waits.
    :param say: told how far it is.
    """
    with running_sandbox(*([] if waiter.quota else ["--no-quota"])) as sandbox:
        ids = sandbox.control.seed(count=count, external_id="wait")
        if waiter.misses:
            sandbox.control.add_fault("not_found", operation="list_connections", times=None)
        env = _environment(sandbox, ids, count)
        with airflow_with(waiter.dag_id, env=env, parallelism=PARALLELISM) as airflow:
            return _measure(airflow=airflow, sandbox=sandbox, waiter=waiter, ids=ids, say=say)


def _environment(sandbox: SandboxProcess, ids: list[int], count: int) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
        "AIRFLOW_CONN_WORKATO_HTTP": http_connection(url=sandbox.url, token=sandbox.token),
        "AIRFLOW__TRIGGERER__CAPACITY": "2000",
        "BENCH_CONNECTION_IDS": " ".join(map(str, ids)),
        "BENCH_EXTERNAL_IDS": " ".join(f"wait-{number}" for number in range(1, count + 1)),
        "BENCH_INTERVAL": str(INTERVAL),
    }


def _measure(
    *,
    airflow: OneDag,
    sandbox: SandboxProcess,
    waiter: Waiter,
    ids: list[int],
    say: Callable[[str], None],
) -> Waited:
    cluster, database = airflow.cluster, airflow.database
    control, count = sandbox.control, len(ids)
    triggerer = psutil.Process(cluster.component_pid("triggerer-0"))
    main = Usage(triggerer)
    with Usage(_runner(triggerer)) as runner:
        cluster.api.trigger(waiter.dag_id)

        def all_wait() -> bool:
            states = database.states(waiter.dag_id)
            if failed := states.get("failed", 0) + states.get("up_for_retry", 0):
                raise RuntimeError(f"{failed} waits failed:\n{cluster.tail('scheduler')}")
            return states.get("deferred", 0) == count and database.triggers() == count

        wait_until(all_wait, what=f"{count} waits", deadline=120 + count, interval=0.5)
        waiting_since = datetime.now(UTC)
        say(f"{count} wait")
        _wait_for_calls(control.counts, more=count if waiter.misses else 1)

        calls, cpu, main_cpu, start = _list_calls(control.counts()), runner.cpu, main.cpu, time.monotonic()
        time.sleep(STEADY_SECONDS)
        minutes = (time.monotonic() - start) / 60
        calls = _list_calls(control.counts()) - calls
        cpu, main_cpu = runner.cpu - cpu, main.cpu - main_cpu

        authorized = datetime.now(UTC)
        control.authorize_all(ids)
        control.clear_faults()

        def all_ended() -> bool:
            states = database.states(waiter.dag_id)
            return states.get("success", 0) + states.get("failed", 0) == count

        wait_until(all_ended, what=f"the end of {count} waits", deadline=120 + count, interval=0.5)
    say(f"{count} ended")
    return Waited(
        until_waiting=(waiting_since - database.first_start(waiter.dag_id)).total_seconds(),
        calls_per_minute=calls / minutes,
        refused=control.counts()["too_many_requests"],
        cpu=cpu / minutes,
        cpu_of_triggerer=main_cpu / minutes,
        memory=runner.added,
        until_success=(database.last_end(waiter.dag_id) - authorized).total_seconds(),
        succeeded=database.states(waiter.dag_id).get("success", 0),
    )


def _runner(triggerer: psutil.Process) -> psutil.Process:
    """Return the process in which the triggers run."""
    [runner] = triggerer.children()
    return runner


def _list_calls(counts: dict[str, dict[str, int]]) -> int:
    return counts["by_operation"].get("list_connections", 0)


def _wait_for_calls(counts: Callable[[], dict[str, dict[str, int]]], *, more: int) -> None:
    """Wait until each has had its turn, so that what follows is the steady state."""
    before = _list_calls(counts())
    wait_until(lambda: _list_calls(counts()) >= before + more, what="a round of polls", deadline=120)
