"""Many waits at once."""

from __future__ import annotations

from collections.abc import Callable

from tools.bench.report import Row, Section, Table, megabytes, times
from tools.bench.wait_run import INTERVAL, STEADY_SECONDS, Waited, Waiter, wait_for

OURS = Waiter(name="WorkatoConnectionSensor", dag_id="waits_workato")
PEER = Waiter(name="HttpSensor", dag_id="waits_http", quota=False, misses=True)
ASLEEP = Waiter(name="DateTimeSensorAsync", dag_id="waits_asleep", calls=False)
COUNTS = (100, 1_000)
#: Waits that start, wait and finish within the quotas; without a peer.
COUNT_UNDER_QUOTA = 200
JUDGED = 1_000
METHOD = f"""\
Mapped sensors with `deferrable=True` and `poke_interval={INTERVAL:g}` on an Airflow of their own each
time: PostgreSQL, LocalExecutor, one triggerer. Once all wait, they do so for {STEADY_SECONDS:g} s more;
then all connections are authorized at one instant. The workspace's quotas (60 list calls a minute) are in
force for `WorkatoConnectionSensor`; for `HttpSensor`, which would stop at the first 429, they are off. The
limit is one call an interval."""
METHOD_UNDER_QUOTA = """\
As above, `WorkatoConnectionSensor` alone. The sandbox answers 429 to what is beyond the quotas, and counts
it."""
METHOD_ASLEEP = """\
As above, `DateTimeSensorAsync`: its trigger makes no call, so no provider's waits can cost less."""
NOTES = """\
- `HttpSensor` cannot do these waits at Workato: with a `response_check` it stays on its worker although it
  is `deferrable`, and without one all that its trigger waits for is the end of a 404, which Workato's list
  never is. So the sandbox meets it half-way: it answers its list calls with a 404 of a few bytes until the
  connections are authorized, while `WorkatoConnectionSensor` reads the whole list and looks at each status.
- CPU and memory are those of the process in which the triggers run. Memory is the peak from the start of
  the run to its end, above what the process held without a trigger.
- The goal for memory came from triggers that each keep an HTTP client, 860 MB for 1,000. `HttpSensor` keeps
  none: it opens a session for each poll. Beside it the goal is out of reach: the waits that only sleep, which
  is Airflow's own part, already take more than a tenth of what `HttpSensor` adds.
- Until all wait, each sensor passes through a worker, at a pace that Airflow and the machine's other load
  set: the two columns tell nothing of the sensors.
- The time from the authorization depends on how long before it the last poll was, up to one interval."""
LIMIT = 60 / INTERVAL


def run(*, count: int, say: Callable[[str], None]) -> Section:
    """Let sensors wait beside the peer.

    :param count: how many.
    :param say: told how far it is.
    """

    def wait(waiter: Waiter) -> Waited:
        say(f"{count} waits: {waiter.name}")
        return wait_for(waiter=waiter, count=count, say=say)

    table = _beside(count=count, ours=wait(OURS), peer=wait(PEER))
    return Section(
        title=f"{count:,} waits", method=METHOD, tables=[table], notes=NOTES if count == JUDGED else ""
    )


def run_under_quota(*, count: int, say: Callable[[str], None]) -> Section:
    """Let sensors wait from the start to the end within the quotas.

    :param count: how many.
    :param say: told how far it is.
    """
    waited = wait_for(waiter=OURS, count=count, say=say)
    return Section(
        title=f"{count:,} waits under the real quotas",
        method=METHOD_UNDER_QUOTA,
        tables=[_alone(count=count, ours=waited)],
    )


def run_asleep(*, count: int, say: Callable[[str], None]) -> Section:
    """Let sensors wait that make no call.

    :param count: how many.
    :param say: told how far it is.
    """
    say(f"{count} waits: {ASLEEP.name}")
    waited = wait_for(waiter=ASLEEP, count=count, say=say)
    rows = [
        Row(label="CPU seconds a minute", values=[f"{waited.cpu:.2f}"]),
        Row(label="memory added", values=[megabytes(waited.memory)]),
        Row(
            label="CPU seconds a minute of the triggerer's main process",
            values=[f"{waited.cpu_of_triggerer:.2f}"],
        ),
        Row(label="until all wait", values=[f"{waited.until_waiting:,.0f} s"]),
    ]
    return Section(
        title=f"{count:,} waits that only sleep",
        method=METHOD_ASLEEP,
        tables=[Table(title="Airflow's own part", columns=[ASLEEP.name], rows=rows)],
    )


def _beside(*, count: int, ours: Waited, peer: Waited) -> Table:
    judged = count == JUDGED

    def row(label: str, values: list[str], *, goal: str, met: bool) -> Row:
        return Row(label=label, values=values, goal=goal if judged else "", met=met if judged else None)

    rows = [
        row(
            "list calls a minute",
            [
                f"{ours.calls_per_minute:,.1f}",
                f"{peer.calls_per_minute:,.0f}",
                f"1 / {peer.calls_per_minute / max(ours.calls_per_minute, 1):,.0f}",
                f"{LIMIT:g}",
            ],
            goal="<= 7, 1 / 500 of the peer's",
            met=ours.calls_per_minute <= 7 and peer.calls_per_minute >= 500 * ours.calls_per_minute,
        ),
        Row(
            label="calls refused with 429",
            values=[str(ours.refused), "quota off", "", "0"],
            goal="0",
            met=ours.refused == 0,
        ),
        row(
            "CPU seconds a minute",
            [
                f"{ours.cpu:.2f}",
                f"{peer.cpu:.2f}",
                times(ours.cpu, peer.cpu),
                "",
            ],
            goal="<= 0.1 x",
            met=ours.cpu <= 0.1 * peer.cpu,
        ),
        row(
            "memory added",
            [
                megabytes(ours.memory),
                megabytes(peer.memory),
                times(ours.memory, peer.memory),
                "",
            ],
            goal="<= 0.1 x",
            met=ours.memory <= 0.1 * peer.memory,
        ),
        Row(
            label="CPU seconds a minute of the triggerer's main process",
            values=[
                f"{ours.cpu_of_triggerer:.2f}",
                f"{peer.cpu_of_triggerer:.2f}",
                times(ours.cpu_of_triggerer, peer.cpu_of_triggerer),
                "",
            ],
        ),
        Row(
            label="until all wait",
            values=[
                f"{ours.until_waiting:,.0f} s",
                f"{peer.until_waiting:,.0f} s",
                times(ours.until_waiting, peer.until_waiting),
                "",
            ],
        ),
        row(
            "authorization to the last success",
            [
                f"{ours.until_success:,.1f} s",
                f"{peer.until_success:,.1f} s",
                times(ours.until_success, peer.until_success),
                "",
            ],
            goal="<= 0.33 x",
            met=3 * ours.until_success <= peer.until_success,
        ),
        Row(
            label="succeeded",
            values=[str(ours.succeeded), str(peer.succeeded), "", str(count)],
            goal=str(count),
            met=ours.succeeded == count,
        ),
    ]
    return Table(title="Side by side", columns=[OURS.name, PEER.name, "ratio", "limit"], rows=rows)


def _alone(*, count: int, ours: Waited) -> Table:
    rows = [
        Row(
            label="calls refused with 429",
            values=[str(ours.refused)],
            goal="0",
            met=ours.refused == 0,
        ),
        Row(label="list calls a minute", values=[f"{ours.calls_per_minute:,.1f}"]),
        Row(label="authorization to the last success", values=[f"{ours.until_success:,.1f} s"]),
        Row(
            label="succeeded",
            values=[str(ours.succeeded)],
            goal=str(count),
            met=ours.succeeded == count,
        ),
    ]
    return Table(title="From the start to the end", columns=[OURS.name], rows=rows)
