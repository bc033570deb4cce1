"""Many waits at once, on a real triggerer."""

from __future__ import annotations

from collections.abc import Callable

from tools.bench.report import Row, Section, Table, megabytes, times
from tools.bench.wait_run import INTERVAL, STEADY_SECONDS, Ended, Waited, Waiter, end_at_once, wait_for

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
    ours, peer = (_waited(waiter, count=count, say=say) for waiter in (OURS, PEER))
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
    ours, asleep = (_waited(waiter, count=count, say=say) for waiter in (OURS, ASLEEP))
    say(f"{count} waits: {ASLEEP.name}, which end at once")
    # Airflow has to start first, and takes as long as before for the waits, or a bit longer.
    seconds = 120 + 1.5 * max(ours.until_waiting, asleep.until_waiting)
    end = end_at_once(waiter=ASLEEP, count=count, seconds=seconds, say=say)
    return Section(
        title=f"{count:,} waits beside as many that only sleep",
        method=METHOD_BESIDE_ASLEEP,
        tables=[_beside_asleep(count=count, ours=ours, asleep=asleep, end=end)],
    )


def _waited(waiter: Waiter, *, count: int, say: Callable[[str], None]) -> Waited:
    say(f"{count} waits: {waiter.name}")
    return wait_for(waiter=waiter, count=count, say=say)


def _beside_asleep(*, count: int, ours: Waited, asleep: Waited, end: Ended) -> Table:
    rows = [
        Row(
            label="list calls a minute",
            values=[f"{ours.calls_per_minute:,.1f}", "", ""],
            goal=f"<= {MOST_CALLS:g}",
            met=ours.calls_per_minute <= MOST_CALLS,
        ),
        Row(
            label="calls refused with 429",
            values=[str(ours.refused), "", ""],
            goal="0",
            met=ours.refused == 0,
        ),
        Row(
            label="CPU seconds a minute",
            values=[f"{ours.cpu:.2f}", f"{asleep.cpu:.2f}", times(ours.cpu, asleep.cpu)],
            goal=f"<= {LIMIT} x",
            met=ours.cpu <= LIMIT * asleep.cpu,
        ),
        Row(
            label="memory added",
            values=[megabytes(ours.memory), megabytes(asleep.memory), times(ours.memory, asleep.memory)],
            goal=f"<= {LIMIT} x",
            met=ours.memory <= LIMIT * asleep.memory,
        ),
        Row(
            label="CPU seconds a minute of the triggerer's main process",
            values=[f"{ours.cpu_of_triggerer:.2f}", f"{asleep.cpu_of_triggerer:.2f}", ""],
        ),
        Row(
            label="until all wait",
            values=[f"{ours.until_waiting:,.0f} s", f"{asleep.until_waiting:,.0f} s", ""],
        ),
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
        Row(
            label="memory added, the end included",
            values=[
                megabytes(ours.memory_to_the_end),
                megabytes(end.memory),
                times(ours.memory_to_the_end, end.memory),
            ],
        ),
        Row(
            label="succeeded",
            values=[str(ours.succeeded), "", ""],
            goal=str(count),
            met=ours.succeeded == count,
        ),
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
            values=[str(ours.refused), "quota off", ""],
            goal="0",
            met=ours.refused == 0,
        ),
        Row(
            label="CPU seconds a minute",
            values=[f"{ours.cpu:.2f}", f"{peer.cpu:.2f}", times(ours.cpu, peer.cpu)],
        ),
        Row(
            label="memory added",
            values=[megabytes(ours.memory), megabytes(peer.memory), times(ours.memory, peer.memory)],
        ),
        Row(
            label="CPU seconds a minute of the triggerer's main process",
            values=[
                f"{ours.cpu_of_triggerer:.2f}",
                f"{peer.cpu_of_triggerer:.2f}",
                times(ours.cpu_of_triggerer, peer.cpu_of_triggerer),
            ],
        ),
        Row(
            label="until all wait",
            values=[f"{ours.until_waiting:,.0f} s", f"{peer.until_waiting:,.0f} s", ""],
        ),
        Row(
            label="authorization to the last success",
            values=[
                f"{ours.until_success:,.1f} s",
                f"{peer.until_success:,.1f} s",
                times(ours.until_success, peer.until_success),
            ],
        ),
        Row(
            label="succeeded",
            values=[str(ours.succeeded), str(peer.succeeded), ""],
            goal=str(count),
            met=ours.succeeded == count,
        ),
    ]
    return Table(title="Side by side", columns=[OURS.name, PEER.name, "ratio"], rows=rows)
