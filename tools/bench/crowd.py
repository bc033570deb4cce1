"""Ten thousand waits in one triggerer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from airflow_provider_workato.sandbox.client import SandboxControl, running_sandbox
from tools.bench.one_runner import ASLEEP, OURS
from tools.bench.report import Row, Section, Table, megabytes, milliseconds, times

COUNT = 10_000
INTERVAL = 10.0
SECONDS = 60.0
MEMORY = 1.5
HELD = 0.25
#: One more than there are intervals in a minute.
MOST_CALLS = 60 / INTERVAL + 1
METHOD = f"""\
Triggers in Airflow's own `TriggerRunner`, on one event loop, without the processes around it. Each waits for
a connection of its own, with `poke_interval={INTERVAL:g}`; beside them as many that only sleep. All wait for
{SECONDS:g} s, which is what is measured; then all connections are authorized at one instant. The sandbox
enforces the quotas. The loop is watched every 5 ms, which is part of the CPU of both."""


def run(*, count: int, say: Callable[[str], None], seconds: float = SECONDS) -> Section:
    """Let triggers wait.

    :param count: how many.
    :param say: told how far it is.
    :param seconds: for how long, once all wait.
    """
    with running_sandbox() as sandbox:
        ids = sandbox.control.seed(count=count, authorization_status=None)
        os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"] = sandbox.airflow_conn
        found = {}
        for name in (ASLEEP, OURS):
            say(f"{count} triggers: {name}")
            found[name] = _wait(name, ids=ids, seconds=seconds, control=sandbox.control)
        refused = sandbox.control.counts()["too_many_requests"]
    return Section(
        title=f"{count:,} waits in one triggerer",
        method=METHOD,
        tables=[_table(count=count, ours=found[OURS], asleep=found[ASLEEP], refused=refused)],
    )


def _wait(name: str, *, ids: list[int], seconds: float, control: SandboxControl) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.bench.one_runner", name, str(seconds), str(INTERVAL)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process has no pipes")
        calls: dict[str, int] = {}
        try:
            process.stdin.write(f"{json.dumps(ids)}\n")
            process.stdin.flush()
            for line in process.stdout:
                if not line.startswith("{"):
                    continue
                told: dict[str, Any] = json.loads(line)
                if "moment" not in told:
                    return told | {"calls": (calls["after"] - calls["before"]) / seconds * 60}
                calls[told["moment"]] = int(control.counts()["by_operation"].get("list_connections", 0))
                if told["moment"] == "after":
                    if name == OURS:
                        control.authorize_all(ids)
                    process.stdin.write("end\n" if name == OURS else "cancel\n")
                    process.stdin.flush()
        finally:
            process.kill()
    raise RuntimeError(f"{name} ended with {process.returncode}")


def _table(*, count: int, ours: dict[str, Any], asleep: dict[str, Any], refused: int) -> Table:
    rows = [
        Row(
            label="list calls a minute",
            values=[f"{ours['calls']:.1f}", "", ""],
            goal=f"<= {MOST_CALLS:g}",
            met=ours["calls"] <= MOST_CALLS,
        ),
        Row(label="calls refused with 429", values=[str(refused), "", ""], goal="0", met=refused == 0),
        Row(
            label="CPU seconds a minute",
            values=[f"{ours['cpu']:.2f}", f"{asleep['cpu']:.2f}", times(ours["cpu"], asleep["cpu"])],
        ),
        Row(
            label="memory added",
            values=[
                megabytes(ours["memory"]),
                megabytes(asleep["memory"]),
                times(ours["memory"], asleep["memory"]),
            ],
            goal=f"<= {MEMORY} x",
            met=ours["memory"] <= MEMORY * asleep["memory"],
        ),
        Row(
            label="the loop held, at most",
            values=[milliseconds(ours["held"]), milliseconds(asleep["held"]), ""],
            goal=f"<= {HELD * 1000:.0f} ms",
            met=ours["held"] <= HELD,
        ),
        Row(
            label="the loop held while all end at once, at most",
            values=[milliseconds(ours["held_at_the_end"]), "", ""],
        ),
        Row(
            label="settled",
            values=[str(ours["settled"]), "", ""],
            goal=str(count),
            met=ours["settled"] == count,
        ),
    ]
    return Table(title="Beside as many that only sleep", columns=[OURS, ASLEEP, "ratio"], rows=rows)
