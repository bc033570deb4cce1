"""Run the example DAGs on a real Airflow 3 against the Workato sandbox, and show what happens.

The sandbox, the API server, the scheduler, the DAG processor and the triggerer are separate processes. The
program clicks Authorize on the consent page in place of a person. At the end, it searches everything that
Airflow wrote for the API token and the credentials of the examples.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.cluster import AirflowCluster
from tools.example_runs import EXAMPLE_POOLS, ExampleRun, TaskResult, follow
from tools.leaks import Search, search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_workato.sandbox.client import SandboxControl
    from tools.airflow_api import AirflowApi

DAGS_FOLDER = Path(__file__).parent.parent / "example_dags"
EXAMPLES = ("example_workato_connection", "example_workato_oauth", "example_workato_tenants")
LOG_TAIL = 25
PLAIN_WIDTH = 120
COLOURS = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "deferred": "magenta",
    "running": "cyan",
}


class Demo:
    """One demonstration.

    :param console: the console to print to.
    :param home: the ``AIRFLOW_HOME``.
    :param dags_folder: the folder of the example DAGs.
    """

    def __init__(self, *, console: Console, home: Path, dags_folder: Path = DAGS_FOLDER) -> None:
        self.console = console
        self.home = home
        self.dags_folder = dags_folder
        self.results: list[TaskResult] = []
        self.failures: list[tuple[str, str]] = []
        self.calls: dict[str, Any] = {}
        self.found = Search(files=0, size=0, hits=[])
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def succeeded(self) -> bool:
        """Whether every task succeeded and no credential was found."""
        states = {result.state for result in self.results}
        return bool(self.results) and states <= {"success"} and not self.found.hits

    def run(self) -> None:
        """Run the examples from the start of the sandbox to the search for credentials."""
        login, password = f"{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(24)
        jira = {"conn_type": "generic", "host": "acme.atlassian.net", "login": login, "password": password}
        with running_sandbox() as sandbox:
            self.say("sandbox", f"ready at {sandbox.url}")
            env = {
                "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
                # The examples read their credentials from it.
                "AIRFLOW_CONN_JIRA": json.dumps(jira),
            }
            self.say("airflow", "starting, which can take a minute")
            with AirflowCluster(
                home=self.home, dags_folder=self.dags_folder, env=env, pools=EXAMPLE_POOLS
            ) as cluster:
                self.say("airflow", f"ready at {cluster.api.url}")
                self._run_on(cluster.api, sandbox.control)
            self.calls = sandbox.control.counts()
        self.say("airflow", "stopped")
        self.found = search(
            self.home, {"API token": sandbox.token, "Jira login": login, "Jira password": password}
        )

    def _run_on(self, api: AirflowApi, sandbox: SandboxControl) -> None:
        api.wait_for_dags(*EXAMPLES)
        runs = [
            ExampleRun(api=api, dag_id=dag_id, run_id=api.trigger(dag_id), say=self.say)
            for dag_id in EXAMPLES
        ]

        def authorize(url: str) -> None:
            sandbox.click_authorize(url)
            self.say("browser", "clicked Authorize on the consent page")

        try:
            follow(runs, authorize=authorize, deadline=300)
        finally:
            self.results = [result for run in runs for result in run.results()]
            self.failures = [failure for run in runs for failure in run.failures()]

    def say(self, who: str, what: str) -> None:
        """Print what just happened.

        :param who: the task or component.
        :param what: its new state, or an event.
        """
        colour = COLOURS.get(what, "default")
        self.console.print(f"[dim]{self.seconds:6.1f} s[/]  {escape(who):<42} [{colour}]{what}[/]")

    def report(self) -> None:
        """Print the outcome of each task and connection, and of the search for credentials."""
        for name, log in self.failures:
            self.console.print(f"\n[red]{escape(name)}[/] did not succeed. The end of its log:")
            self.console.print("\n".join(f"  {line}" for line in log.splitlines()[-LOG_TAIL:]), markup=False)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("dag", "task", "state"):
            table.add_column(heading)
        table.add_column("seconds", justify="right")
        table.add_column("connection", justify="right")
        table.add_column("status")
        previous = ""
        for row in self.results:
            table.add_row(
                row.dag if row.dag != previous else "",
                escape(row.task),
                f"[{COLOURS.get(row.state, 'default')}]{row.state}[/]",
                "" if row.seconds is None else f"{row.seconds:.1f}",
                row.connection,
                row.status,
            )
            previous = row.dag
        self.console.print(table)
        self.console.print(
            f"Workato calls: {self.calls.get('total')}, of which {self.calls.get('too_many_requests')} "
            "exceeded the quota and were retried"
        )
        hits = len(self.found.hits)
        self.console.print(
            f"Credentials in {self.found.files} files of Airflow ({self.found.size / 1e6:.1f} MB): "
            f"[{'red' if hits else 'green'}]{hits} hits[/]"
        )
        for hit in self.found.hits:
            self.console.print(f"  [red]{hit.secret}[/] in {hit.where}")
        verdict = "[green]all succeeded[/]" if self.succeeded else "[red]failed[/]"
        self.console.print(f"{len(self.results)} tasks {verdict} in {self.seconds:.0f} s")
        self.console.print("To look at such runs in Airflow and in the sandbox: make ui")

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a dict for JSON."""
        return {
            "succeeded": self.succeeded,
            "seconds": round(self.seconds, 1),
            "tasks": [result.as_dict() for result in self.results],
            "calls": self.calls,
            "searched": asdict(self.found),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration and return the exit code.

    :param arguments: the command line; ``sys.argv`` by default.
    """
    parser = argparse.ArgumentParser(prog="make demo", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON, and everything else to stderr"
    )
    parser.add_argument("--keep", action="store_true", help="keep Airflow's home: database and logs")
    parser.add_argument("--dags-folder", type=Path, default=DAGS_FOLDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    # Exit as on Ctrl-C, so that every process that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(stderr=options.json, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    home = Path(tempfile.mkdtemp(prefix="workato-demo-"))
    try:
        demo = Demo(console=console, home=home, dags_folder=options.dags_folder)
        demo.run()
        demo.report()
    except (RuntimeError, TimeoutError) as error:
        console.print(f"[red]{type(error).__name__}[/]: {escape(str(error))}")
        return 1
    finally:
        if options.keep:
            console.print(f"Kept {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    if options.json:
        print(json.dumps(demo.as_dict(), indent=2))
    return 0 if demo.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
