"""Many waits at once."""

from __future__ import annotations

from collections.abc import Callable

from tools.bench.report import Row, Section, Table, megabytes, times
from tools.bench.wait_run import INTERVAL, STEADY_SECONDS, Waited, Waiter, wait_for

OURS = Waiter(name="WorkatoConnectionSensor", dag_id="waits_workato")
PEER = Waiter(name="HttpSensor", dag_id="waits_http", quota=False, misses=True)
#: What waits cost that make no call: no provider can do with less.
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
limit is one call an interval; for CPU and memory it is `DateTimeSensorAsync`, whose trigger only sleeps."""
NOTES = """\
- `HttpSensor` cannot do these waits at Workato: with a `response_check` it stays on its worker although it
  is `deferrable`, and without one all that its trigger waits for is the end of a 404, which Workato's list
  never is. So the sandbox meets it half-way: it answers its list calls with a 404 of a few bytes until the
  connections are authorized, while `WorkatoConnectionSensor` reads the whole list and looks at each status.
- CPU and memory are those of the process in which the triggers run. Memory is the peak from the start of
  the run to its end, above what the process held without a trigger.
- The goal for memory came from triggers that each keep an HTTP client, 860 MB for 1,000. `HttpSensor` keeps
  none: it opens a session for each poll. What is left is mostly Airflow's own, as the limit shows, and that
  alone is more than a tenth of what `HttpSensor` takes.
- The time from the authorization depends on how long before it the last poll was, up to one interval."""
LIMIT = 60 / INTERVAL


def run(*, counts: tuple[int, ...], under_quota: int, say: Callable[[str], None]) -> Section:
    """Let sensors wait.

    :param counts: how many, beside the peer.
    :param under_quota: how many, without a peer.
    :param say: told how far it is.
    """

    def wait(waiter: Waiter, count: int) -> Waited:
        say(f"{count} waits: {waiter.name}")
        return wait_for(waiter=waiter, count=count, say=say)

    tables = []
    for count in counts:
        ours, peer = wait(OURS, count), wait(PEER, count)
        # It takes minutes, so for the most waits only.
        asleep = wait(ASLEEP, count) if count == max(counts) else None
        tables.append(_beside(count=count, ours=ours, peer=peer, asleep=asleep))
    tables.append(_alone(count=under_quota, ours=wait(OURS, under_quota)))
    return Section(title="Waiting", method=METHOD, tables=tables, notes=NOTES)


def _beside(*, count: int, ours: Waited, peer: Waited, asleep: Waited | None) -> Table:
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
                f"{asleep.cpu:.2f}" if asleep else "",
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
                megabytes(asleep.memory) if asleep else "",
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
                f"{asleep.cpu_of_triggerer:.2f}" if asleep else "",
            ],
        ),
        Row(
            label="until all wait",
            values=[
                f"{ours.until_waiting:,.0f} s",
                f"{peer.until_waiting:,.0f} s",
                times(ours.until_waiting, peer.until_waiting),
                f"{asleep.until_waiting:,.0f} s" if asleep else "",
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
    return Table(title=f"{count:,} waits", columns=[OURS.name, PEER.name, "ratio", "limit"], rows=rows)


def _alone(*, count: int, ours: Waited) -> Table:
    rows = [
        Row(
            label="calls refused with 429, from the start to the end",
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
    return Table(title=f"{count:,} waits under the real quotas", columns=[OURS.name], rows=rows)
