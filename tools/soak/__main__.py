"""The command behind ``make soak``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tools.bench.report import REPORT as BENCHMARKS
from tools.bench.report import Document
from tools.celery_cluster import CeleryCluster
from tools.postgres import running_postgres
from tools.redis import running_redis
from tools.soak.memory import Memory
from tools.soak.play import INTERVAL, WATCHED, Soak
from tools.soak.report import FULL, page, passed, section
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = Path(__file__).parents[2]
REPORT = _ROOT / "docs" / "soak.md"
#: Where the logs of failed tasks are kept.
LOGS = _ROOT / "build" / "soak"
_DAGS = Path(__file__).parent / "dags"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak and return 0 if all goals were met.

    :param arguments: the command line, ``sys.argv`` if left out.
    """
    parser = argparse.ArgumentParser(prog="make soak", description="Keep a real cluster busy and count.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--waits", type=int, default=500, help="waits to keep going (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        help=f"report to write (default: docs/{REPORT.name} if it takes {FULL} minutes, otherwise none)",
    )
    options = parser.parse_args(arguments)
    # As Ctrl-C does: everything that was started has to be ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    shutil.rmtree(LOGS, ignore_errors=True)
    began, load = time.monotonic(), os.getloadavg()[0]

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workato-soak-")))
        sandbox = stack.enter_context(running_sandbox())
        database = stack.enter_context(running_postgres())
        cluster = stack.enter_context(
            CeleryCluster(
                home=home,
                dags_folder=_DAGS,
                database=database,
                broker=stack.enter_context(running_redis()),
                triggerers=2,
                slots=6,
                env={
                    "SOAK_INTERVAL": str(INTERVAL),
                    # Airflow's default: no worker is killed.
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
                },
                connections=_connections(sandbox),
            )
        )
        cluster.api.wait_for_dags("soak_waits", "soak_creates", *(f"soak_watch_{app}" for app in WATCHED))
        control = sandbox.control
        wait_until(lambda: cluster.begun_watches() >= len(WATCHED), what="the watches", deadline=180)
        say("the cluster is ready")
        soak = Soak(
            cluster=cluster, control=control, database=database, waits=options.waits, logs=LOGS, say=say
        )
        memory = stack.enter_context(Memory(cluster))
        outcome = soak.run(seconds=60 * options.minutes)
        ended = cluster.ended_components()
    found = section(outcome, memory, minutes=options.minutes, waits=options.waits, ended=ended)
    text = page(found, load=load)
    print(text)
    is_full = options.minutes >= FULL
    output = options.output or (REPORT if is_full else None)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if is_full and options.output is None:
        benchmarks = Document(BENCHMARKS.read_text(encoding="utf-8"))
        benchmarks.put(found, load=load)
        BENCHMARKS.write_text(benchmarks.markdown(), encoding="utf-8")
    return 0 if passed(found) else 1


def _connections(sandbox: SandboxProcess) -> dict[str, dict[str, object]]:
    # A share for each of two workers; two triggerers poll besides.
    shares = {"list_calls_per_minute": 20, "calls_per_second": 0.5}
    return {
        "workato_default": json.loads(sandbox.airflow_conn) | {"extra": shares},
        "jira": {"conn_type": "generic", "password": "a-credential"},
    }


if __name__ == "__main__":
    sys.exit(main())
