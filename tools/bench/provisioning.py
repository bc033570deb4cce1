"""Many creates under the workspace's quotas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.airflow_api import FINISHED
from tools.bench.one_dag import airflow_with
from tools.bench.report import Row, Section, Table, exact
from tools.waiting import wait_until

COUNT = 60
#: Workato lets one call through each second, and a create is one.
CREATES_PER_SECOND = 1.0
SHARE = 0.8
METHOD = """\
Mapped `WorkatoCreateConnectionOperator` tasks on an Airflow of their own: PostgreSQL, LocalExecutor,
{parallelism} at a time, each in its process. The sandbox enforces the real quotas: 60 list calls a minute
and one other call a second. Each task looks for its connection (a list call) and makes it (another call)."""


def run(*, count: int = COUNT, parallelism: Sequence[int] = (4, 8), say: Callable[[str], None]) -> Section:
    """Create connections.

    :param count: how many.
    :param parallelism: how many tasks run at a time, for each table column.
    :param say: told how far it is.
    """
    ceiling = count / CREATES_PER_SECOND
    found = []
    for at_a_time in parallelism:
        say(f"{count} creates, {at_a_time} at a time")
        found.append(_create(count=count, parallelism=at_a_time))
    columns = [f"{at_a_time} at a time" for at_a_time in parallelism]
    rows = [
        Row(label="first call to last answer", values=[f"{each['seconds']:.1f} s" for each in found]),
        Row(
            label="share of the ceiling",
            values=[f"{ceiling / each['seconds']:.0%}" for each in found],
            goal=f">= {SHARE:.0%}",
            met=all(ceiling / each["seconds"] >= SHARE for each in found),
        ),
        Row(label="calls refused with 429", values=[str(each["refused"]) for each in found]),
        exact("tasks that failed", *(each["failed"] for each in found), goal=0),
        exact("connections made twice", *(each["duplicates"] for each in found), goal=0),
        exact("connections made", *(each["made"] for each in found), goal=count),
    ]
    return Section(
        title="Provisioning under quota",
        method=METHOD.format(parallelism=" or ".join(map(str, parallelism))),
        tables=[Table(title=f"{count} creates", columns=columns, rows=rows)],
    )


def _create(*, count: int, parallelism: int) -> dict[str, Any]:
    names = [f"tenant-{number}" for number in range(1, count + 1)]
    with running_sandbox() as sandbox:
        env = {
            "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
            "AIRFLOW_CONN_JIRA": json.dumps(
                {"conn_type": "generic", "host": "acme.atlassian.net", "password": "correct-credentials"}
            ),
            "BENCH_EXTERNAL_IDS": " ".join(names),
        }
        with airflow_with("creates", env=env, parallelism=parallelism, triggerers=0) as airflow:
            airflow.cluster.api.trigger(airflow.dag_id)

            def states() -> dict[str, int]:
                return {state: number for state, number in airflow.states().items() if state in FINISHED}

            wait_until(
                lambda: sum(states().values()) == count,
                what=f"the end of {count} creates",
                deadline=60 + 10 * count,
                interval=0.5,
            )
            failed = count - states().get("success", 0)
        calls = sandbox.control.requests()
        made = Counter(
            row["external_id"] for row in sandbox.control.connections() if row["external_id"] in names
        )
        return {
            "seconds": max(call["at"] for call in calls) - min(call["at"] for call in calls),
            "refused": sandbox.control.counts()["too_many_requests"],
            "failed": failed,
            "duplicates": sum(made.values()) - len(made),
            "made": len(made),
        }
