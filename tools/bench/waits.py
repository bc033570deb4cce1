"""Many waits at once, on a real triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil

from airflow_provider_workato.sandbox.client import SandboxControl, SandboxProcess, running_sandbox
from tools.bench.contenders import http_connection
from tools.bench.measure import Usage
from tools.bench.one_dag import OneDag, airflow_with
from tools.bench.report import Row, Section, Table, compared, exact, megabytes, times
from tools.waiting import wait_until

INTERVAL = 10.0
STEADY_SECONDS = 60.0
_NEVER = datetime(2100, 1, 1, tzinfo=UTC)
#: More workers than cores start no more tasks a second.
PARALLELISM = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """A sensor that is to wait.

    :param name: what it is called in the tables.
    :param dag_id: the DAG with the waits.
    :param quota: whether the sandbox enforces its quotas.
    :param misses: whether the list is to answer 404 for as long as nobody authorized anything.
    :param calls: whether it makes calls at all, and so can succeed.
    """

    name: str
    dag_id: str
    quota: bool = True
    misses: bool = False
    calls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How the waits went.

    :param until_waiting: seconds from the start of the run until all waited.
    :param calls_per_minute: list calls while all waited.
    :param refused: calls that were answered 429, from the start to the end.
    :param cpu: CPU seconds a minute of the process in which the triggers run, while all waited.
    :param cpu_of_triggerer: the same of the triggerer's main process.
    :param memory: bytes by which the memory of the process in which the triggers run grew, while all waited.
    :param memory_to_the_end: the same until the last task had ended.
    :param until_success: seconds from the authorization to the end of the last task.
    :param succeeded: how many waits succeeded.
    """

    until_waiting: float
    calls_per_minute: float
    refused: int
    cpu: float
    cpu_of_triggerer: float
    memory: float
    memory_to_the_end: float
    until_success: float
    succeeded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How waits ended that slept until one instant.

    :param seconds: from that instant to the end of the last task.
    :param memory: bytes by which the memory of the process in which the triggers run grew until then.
    """

    seconds: float
    memory: float


OURS = Waiter(name="WorkatoConnectionSensor", dag_id="waits_workato")
PEER = Waiter(name="HttpSensor", dag_id="waits_http", quota=False, misses=True)
ASLEEP = Waiter(name="DateTimeSensorAsync", dag_id="waits_asleep", calls=False)
COUNT_BESIDE_PEER = 100
COUNT_BESIDE_ASLEEP = 1_000
#: Times what the waits that only sleep cost.
LIMIT = 1.5
#: Times what they take to end, and one interval.
LIMIT_OF_END = 1.2
#: The quotas' calls a minute, and one for the start of the minute.
MOST_CALLS = 60 / INTERVAL + 1
HOW = f"""\
Mapped sensors with `deferrable=True` and `poke_interval={INTERVAL:g}` on an Airflow of their own each
time: PostgreSQL, LocalExecutor, one triggerer. Once all wait, they do so for {STEADY_SECONDS:g} s more;
then all connections are authorized at one instant. The workspace's quotas (60 list calls a minute) are in
force for `WorkatoConnectionSensor`, from the first task to the last. CPU and memory are those of the process
in which the triggers run, before the authorization; memory is the peak above what the process held without
a trigger."""
METHOD_BESIDE_PEER = f"""\
{HOW} For `HttpSensor`, which would stop at the first 429, the quotas are off."""
METHOD_BESIDE_ASLEEP = f"""\
{HOW} Beside it `DateTimeSensorAsync`, whose trigger makes no call and only sleeps: no provider's waits
can cost less. It sleeps in two runs: until the year 2100, for what waiting costs, and until an instant at
which all waits end at once, for what the end costs. Its waits end on workers, ours (`end_from_trigger=True`)
in the triggerer, which pushes their results."""
NOTES_BESIDE_PEER = """\
- `HttpSensor` cannot do these waits at Workato: with a `response_check` it stays on its worker although it
  is `deferrable`, and without one all that its trigger waits for is the end of a 404, which Workato's list
  never is. So the sandbox meets it half-way: it answers its list calls with a 404 of a few bytes until the
  connections are authorized, while `WorkatoConnectionSensor` reads the whole list and looks at each status.
- Until all wait, each sensor passes through a worker, at a pace that Airflow and the machine's other load
  set: the two columns tell nothing of the sensors.
- The time from the authorization depends on how long before it the last poll was, up to one interval. The
  waits of `HttpSensor` end on workers, ours (`end_from_trigger=True`) in the triggerer."""


def run_beside_peer(*, count: int, say: Callable[[str], None]) -> Section:
    """Let sensors wait beside the sensor that one would use instead.

    :param count: how many.
    :param say: told how far it is.
    """
    ours, peer = (_wait(waiter=waiter, count=count, say=say) for waiter in (OURS, PEER))
    return Section(
        title=f"{count:,} waits",
        method=METHOD_BESIDE_PEER,
        tables=[_beside_peer(count=count, ours=ours, peer=peer)],
        notes=NOTES_BESIDE_PEER,
    )


def run_beside_asleep(*, count: int, say: Callable[[str], None]) -> Section:
    """Let sensors wait beside as many that only sleep.

    :param count: how many.
    :param say: told how far it is.
    """
    ours, asleep = (_wait(waiter=waiter, count=count, say=say) for waiter in (OURS, ASLEEP))
    say(f"{count} waits: {ASLEEP.name}, which end at once")
    # Airflow has to start first, and takes as long as before for the waits, or a bit longer.
    seconds = 120 + 1.5 * max(ours.until_waiting, asleep.until_waiting)
    end = _end_at_once(waiter=ASLEEP, count=count, seconds=seconds, say=say)
    return Section(
        title=f"{count:,} waits beside as many that only sleep",
        method=METHOD_BESIDE_ASLEEP,
        tables=[_beside_asleep(count=count, ours=ours, asleep=asleep, end=end)],
    )


def _beside_asleep(*, count: int, ours: Waited, asleep: Waited, end: Ended) -> Table:
    rows = [
        Row(
            label="list calls a minute",
            values=[f"{ours.calls_per_minute:,.1f}"],
            goal=f"<= {MOST_CALLS:g}",
            met=ours.calls_per_minute <= MOST_CALLS,
        ),
        exact("calls refused with 429", ours.refused, goal=0),
        *_while_all_wait(ours, asleep, share=LIMIT),
        Row(
            label="authorization, or the end of the sleep, to the last success",
            values=[
                f"{ours.until_success:,.1f} s",
                f"{end.seconds:,.1f} s",
                times(ours.until_success, end.seconds + INTERVAL),
            ],
            goal=f"<= {LIMIT_OF_END} x the sleep's and one interval",
            met=ours.until_success <= LIMIT_OF_END * (end.seconds + INTERVAL),
        ),
        compared("memory added, the end included", ours.memory_to_the_end, end.memory, show=megabytes),
        exact("succeeded", ours.succeeded, goal=count),
    ]
    return Table(title="Beside Airflow's own part", columns=[OURS.name, ASLEEP.name, "ratio"], rows=rows)


def _beside_peer(*, count: int, ours: Waited, peer: Waited) -> Table:
    rows = [
        Row(
            label="list calls a minute",
            values=[
                f"{ours.calls_per_minute:,.1f}",
                f"{peer.calls_per_minute:,.0f}",
                f"1 / {peer.calls_per_minute / max(ours.calls_per_minute, 1):,.0f}",
            ],
            goal=f"<= {MOST_CALLS:g}",
            met=ours.calls_per_minute <= MOST_CALLS,
        ),
        Row(
            label="calls refused with 429",
            values=[str(ours.refused), "quota off"],
            goal="0",
            met=ours.refused == 0,
        ),
        *_while_all_wait(ours, peer),
        compared(
            "authorization to the last success",
            ours.until_success,
            peer.until_success,
            show="{:,.1f} s".format,
        ),
        exact("succeeded", ours.succeeded, peer.succeeded, goal=count),
    ]
    return Table(title="Side by side", columns=[OURS.name, PEER.name, "ratio"], rows=rows)


def _while_all_wait(ours: Waited, other: Waited, *, share: float | None = None) -> list[Row]:
    show = "{:.2f}".format
    return [
        compared("CPU seconds a minute", ours.cpu, other.cpu, show=show, share=share),
        compared("memory added", ours.memory, other.memory, show=megabytes, share=share),
        compared(
            "CPU seconds a minute of the triggerer's main process",
            ours.cpu_of_triggerer,
            other.cpu_of_triggerer,
            show=show,
        ),
        # No ratio, which would tell nothing of the sensors: this is Airflow's and the machine's pace.
        Row(
            label="until all wait",
            values=[f"{ours.until_waiting:,.0f} s", f"{other.until_waiting:,.0f} s"],
        ),
    ]


def _wait(*, waiter: Waiter, count: int, say: Callable[[str], None]) -> Waited:
    """Start the waits on an Airflow of their own, let them wait for a minute, authorize all.

    :param waiter: what waits.
    :param count: how many waits.
    :param say: told how far it is.
    """
    say(f"{count} waits: {waiter.name}")
    with running_sandbox(*([] if waiter.quota else ["--no-quota"])) as sandbox:
        ids = sandbox.control.seed(count=count, external_id="wait")
        if waiter.misses:
            sandbox.control.add_fault("not_found", operation="list_connections", times=None)
        env = _environment(sandbox, ids, count)
        with airflow_with(waiter.dag_id, env=env, parallelism=PARALLELISM) as airflow:
            return _measure(airflow=airflow, sandbox=sandbox, waiter=waiter, ids=ids, say=say)


def _end_at_once(*, waiter: Waiter, count: int, seconds: float, say: Callable[[str], None]) -> Ended:
    """Let waits that only sleep end at one instant.

    :param waiter: what sleeps.
    :param count: how many waits.
    :param seconds: how long it takes at most until all wait, the start of Airflow included.
    :param say: told how far it is.
    """
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    with running_sandbox() as sandbox:
        ids = sandbox.control.seed(count=count, external_id="wait")
        env = _environment(sandbox, ids, count, until=until)
        with (
            airflow_with(waiter.dag_id, env=env, parallelism=PARALLELISM) as airflow,
            Usage(_runner(_triggerer(airflow))) as runner,
        ):
            _start(airflow, count=count)
            say(f"{count} wait")
            if (left := (until - datetime.now(UTC)).total_seconds()) < 0:
                raise RuntimeError(f"It took {seconds - left:.0f} s until all waited, not {seconds:.0f} s.")
            time.sleep(left)
            _wait_for_end(airflow, count=count)
            say(f"{count} ended")
            last = airflow.last_end()
            return Ended(seconds=(last - until).total_seconds(), memory=runner.added)


def _environment(
    sandbox: SandboxProcess, ids: list[int], count: int, *, until: datetime = _NEVER
) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
        "AIRFLOW_CONN_WORKATO_HTTP": http_connection(url=sandbox.url, token=sandbox.token),
        "AIRFLOW__TRIGGERER__CAPACITY": "2000",
        "BENCH_CONNECTION_IDS": " ".join(map(str, ids)),
        "BENCH_EXTERNAL_IDS": " ".join(f"wait-{number}" for number in range(1, count + 1)),
        "BENCH_INTERVAL": str(INTERVAL),
        "BENCH_UNTIL": until.isoformat(),
    }


def _measure(
    *,
    airflow: OneDag,
    sandbox: SandboxProcess,
    waiter: Waiter,
    ids: list[int],
    say: Callable[[str], None],
) -> Waited:
    control, count = sandbox.control, len(ids)
    triggerer = _triggerer(airflow)
    with Usage(_runner(triggerer)) as runner, Usage(triggerer) as main:
        until_waiting = _start(airflow, count=count)
        say(f"{count} wait")
        if waiter.calls:
            _wait_for_calls(control, more=count if waiter.misses else 1)
        before = (_list_calls(control), runner.cpu, main.cpu, time.monotonic())
        time.sleep(STEADY_SECONDS)
        after = (_list_calls(control), runner.cpu, main.cpu, time.monotonic())
        calls, cpu, main_cpu, seconds = (end - start for start, end in zip(before, after, strict=True))
        memory = runner.added
        until_success = _finish(airflow, control=control, ids=ids) if waiter.calls else 0.0
    say(f"{count} ended")
    return Waited(
        until_waiting=until_waiting,
        calls_per_minute=calls / seconds * 60,
        refused=control.counts()["too_many_requests"],
        cpu=cpu / seconds * 60,
        cpu_of_triggerer=main_cpu / seconds * 60,
        memory=memory,
        memory_to_the_end=runner.added,
        until_success=until_success,
        succeeded=airflow.states().get("success", 0),
    )


def _start(airflow: OneDag, *, count: int) -> float:
    """Run the DAG and return how long it took until all its tasks waited."""
    airflow.cluster.api.trigger(airflow.dag_id)

    def all_wait() -> bool:
        states = airflow.states()
        if failed := states.get("failed", 0) + states.get("up_for_retry", 0):
            raise RuntimeError(f"{failed} waits failed:\n{airflow.cluster.tail('scheduler')}")
        return states.get("deferred", 0) == count and airflow.triggers() == count

    wait_until(all_wait, what=f"{count} waits", deadline=120 + 2 * count, interval=0.5)
    return (datetime.now(UTC) - airflow.first_start()).total_seconds()


def _finish(airflow: OneDag, *, control: SandboxControl, ids: list[int]) -> float:
    """Authorize all and return how long it took until the last task had ended."""
    authorized = datetime.now(UTC)
    control.authorize_all(ids)
    control.clear_faults()
    _wait_for_end(airflow, count=len(ids))
    return (airflow.last_end() - authorized).total_seconds()


def _wait_for_end(airflow: OneDag, *, count: int) -> None:
    def all_ended() -> bool:
        states = airflow.states()
        return states.get("success", 0) + states.get("failed", 0) == count

    wait_until(all_ended, what=f"the end of {count} waits", deadline=120 + 2 * count, interval=0.5)


def _triggerer(airflow: OneDag) -> psutil.Process:
    return psutil.Process(airflow.cluster.component_pid("triggerer-0"))


def _runner(triggerer: psutil.Process) -> psutil.Process:
    """Return the process in which the triggers run."""
    [runner] = triggerer.children()
    return runner


def _list_calls(control: SandboxControl) -> int:
    return int(control.counts()["by_operation"].get("list_connections", 0))


def _wait_for_calls(control: SandboxControl, *, more: int) -> None:
    """Wait until each has had its turn, so that what follows is the steady state."""
    before = _list_calls(control)
    wait_until(lambda: _list_calls(control) >= before + more, what="a round of polls", deadline=120)
