"""A declared set beside the list that it needs, beside creates of one each, and beside Terraform."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.bench.contenders import TOKEN, set_connection
from tools.bench.measure import forget_peak, fresh_process, peak, resident
from tools.bench.provisioning import CREATES_PER_SECOND
from tools.bench.report import Row, Section, Table, exact
from tools.terraform import INSTALLER, TERRAFORM, running_terraform
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_workato.sandbox.client import SandboxControl

COUNT = 60
DECLARED, EXISTING = 1_000, 10_000
#: How many connections Terraform has, and how many single creates are timed: each lists the whole workspace.
FEW = 20
FOLDER, ELSEWHERE = 1892, 4515
SHARE = 0.97
ROUNDS = 7
METHOD = """\
*Nothing to change*: processes of their own list a workspace, then plan a declared set of it, which includes
the list, again and again; the first of each is for the peak of the resident memory above what there was
before, the median of the others for the time. The single creates are `ensure_connection()` in one process,
and {few} of them stand for all: tasks would add the start of a process each. Terraform refreshes {few}
connections of as large a workspace; its CPU is that of all its processes.

*Creates under quota*: one `apply` of a set without credentials; the sandbox enforces the real quotas. The
killed one is ended with SIGKILL at random moments and started again until it succeeds; between its tries, a
file stands in for Airflow's task state store."""
#: Why the two goals for the time are missed.
NOTES = """\
Reading and comparing an entry takes about 40 µs of Python; a row of the list takes 2 µs, in C. So a plan of
many entries takes several times the list, and still less than a tenth of a second for a thousand."""


def run(*, count: int, declared: int, existing: int, say: Callable[[str], None]) -> Section:
    """Plan and apply sets.

    :param count: how many connections to create.
    :param declared: how many are declared of those that exist.
    :param existing: how many exist.
    :param say: told how far it is.
    """
    say(f"sets: {declared} declared of {existing}")
    return Section(
        title="A declared set",
        method=METHOD.format(few=FEW),
        tables=[
            _unchanged(declared=declared, existing=existing, say=say),
            _whole(existing=existing),
            _creates(count=count, say=say),
        ],
        notes=NOTES,
    )


def _unchanged(*, declared: int, existing: int, say: Callable[[str], None]) -> Table:
    with _workspace(existing, inside=declared) as sandbox:
        found = fresh_process("-m", "tools.bench.sets", "plan", sandbox.url, str(declared))
        lists_alone = found["calls"]["list"]
        calls = (len(sandbox.control.requests()) - lists_alone) / found["calls"]["plan"]
        single = fresh_process("-m", "tools.bench.sets", "single", sandbox.url, str(FEW))
    say(f"sets: Terraform with {FEW}")
    terraform = _terraform(existing=existing)
    share = declared / FEW
    columns = ["a list", "a plan", f"{declared:,} single creates", "Terraform"]
    lists = f"{terraform['lists'] / FEW:.0f} for each connection" if terraform else "not on this machine"
    rows = [
        Row(
            label="list calls",
            values=["1", f"{calls:g}", f"{single['calls'] * share:,.0f}", lists],
            goal="1; <= 1/100 of the others'",
            met=calls == 1
            and single["calls"] * share >= 100
            and (not terraform or terraform["lists"] * share >= 100),
        ),
        Row(
            label="CPU",
            values=[
                "",
                f"{found['cpu'] * 1000:,.0f} ms",
                f"{single['cpu'] * share:,.0f} s",
                f"{terraform['cpu'] / FEW:.1f} s for each connection" if terraform else "",
            ],
            goal="<= 1/200 of the single creates'",
            met=found["cpu"] * 200 <= single["cpu"] * share,
        ),
        *_beside_the_list(found),
    ]
    return Table(
        title=f"Nothing to change: {declared:,} declared of {existing:,}", columns=columns, rows=rows
    )


def _beside_the_list(found: Mapping[str, Any], *, time_goal: float = 1.3) -> list[Row]:
    took = [median(found["seconds"][name]) for name in ("list", "plan")]
    most = [found["peak"][name] for name in ("list", "plan")]
    return [
        Row(
            label="time beside the list",
            values=[f"{took[0] * 1000:,.0f} ms", f"{took[1] / took[0]:.2f} x"],
            goal=f"<= {time_goal} x",
            met=took[1] <= time_goal * took[0],
        ),
        Row(
            label="peak memory beside it",
            values=[f"{most[0] / 2**20:,.1f} MiB", f"{most[1] / most[0]:.2f} x"],
            goal="<= 1.2 x",
            met=most[1] <= 1.2 * most[0],
        ),
    ]


def _whole(*, existing: int) -> Table:
    with _workspace(existing, inside=existing) as sandbox:
        found = fresh_process("-m", "tools.bench.sets", "plan", sandbox.url, str(existing))
    rows = _beside_the_list(found, time_goal=1.5)[:1]
    return Table(title=f"{existing:,} declared of {existing:,}", columns=["a list", "a plan"], rows=rows)


def _creates(*, count: int, say: Callable[[str], None]) -> Table:
    found = {}
    for name, kills in (("undisturbed", 0), ("killed five times", 5)):
        say(f"sets: {count} creates, {name}")
        with running_sandbox(f"--token={TOKEN}") as sandbox, tempfile.TemporaryDirectory() as folder:
            found[name] = _applied(sandbox.url, sandbox.control, Path(folder), count=count, kills=kills)
    calm, killed = found.values()
    limit = count / CREATES_PER_SECOND
    share = limit / calm["seconds"]
    rows = [
        exact("connections made", calm["made"], killed["made"], goal=count),
        Row(
            label="calls",
            values=[f"{calm['calls']}", f"{killed['calls']}"],
            goal=f"{count + 1}; <= {count} creates and a list for each try",
            met=calm["calls"] == count + 1 and killed["calls"] <= count + killed["tries"],
        ),
        Row(
            label="share of one create a second",
            values=[f"{share:.0%}", ""],
            goal=f">= {SHARE:.0%}",
            met=share >= SHARE,
        ),
        exact("calls refused with 429", calm["refused"], killed["refused"], goal=0),
        exact("calls of the next apply", calm["again"], killed["again"], goal=1),
        exact("credentials that it sent", calm["sent"], killed["sent"], goal=0),
    ]
    return Table(title=f"{count} creates under quota", columns=list(found), rows=rows)


def _applied(url: str, control: SandboxControl, folder: Path, *, count: int, kills: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.bench.sets", "apply", url, str(count), str(folder)]
    at = sorted(random.sample(range(1, count), kills))
    tries = 0
    for made in [*at, count]:
        tries += 1
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            if made < count:
                _wait_for_creates(control, made)
                process.send_signal(signal.SIGKILL)
            elif process.wait():
                raise RuntimeError("the apply failed")
    calls = control.requests()
    creates = [call["at"] for call in calls if call["operation"] == "create_connection"]
    before = len(calls)
    fresh_process(*command[1:])
    after = control.requests()[before:]
    return {
        "made": len(_made(control)),
        "calls": before,
        "tries": tries,
        # From the first to the last: one fewer than there are creates.
        "seconds": (max(creates) - min(creates)) * count / (count - 1),
        "refused": control.counts()["too_many_requests"],
        "again": len(after),
        "sent": sum(call["operation"] != "list_connections" for call in after),
    }


def _wait_for_creates(control: SandboxControl, count: int) -> None:
    wait_until(lambda: len(_made(control)) >= count, what=f"{count} creates", deadline=30 + 3 * count)


def _made(control: SandboxControl) -> list[dict[str, Any]]:
    return [row for row in control.connections() if row["folder_id"] == FOLDER]


def _terraform(*, existing: int) -> dict[str, float] | None:
    """Refresh some connections with Terraform, and count."""
    if TERRAFORM is None or not INSTALLER.exists():
        return None
    resources = [
        f'resource "workato_connection" "c{number}" {{\n  name = "C {number}"\n  connector_name = "jira"\n'
        f"  folder_id = {FOLDER}\n}}\n"
        for number in range(FEW)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        running_terraform(Path(folder), "--no-quota") as terraform,
    ):
        terraform.configure(*resources)
        terraform.run("apply", "-auto-approve")
        control = terraform.sandbox.control
        control.seed(count=existing - len(control.connections()))
        before, children = len(control.requests()), _children()
        terraform.run("plan", "-detailed-exitcode")
        calls = control.requests()[before:]
    lists = sum(call["operation"] == "list_connections" for call in calls)
    return {"lists": lists, "cpu": _children() - children}


def _children() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


@contextmanager
def _workspace(existing: int, *, inside: int) -> Iterator[Any]:
    """Run a sandbox without quotas and with so many connections, some of them in one folder."""
    with running_sandbox("--no-quota", f"--token={TOKEN}") as sandbox:
        folders = [FOLDER] * inside + [ELSEWHERE] * (existing - inside)
        rows = zip(_entries(existing), folders, strict=True)
        sandbox.control.seed([row | {"folder_id": folder} for row, folder in rows])
        yield sandbox


def _entries(count: int) -> list[dict[str, Any]]:
    return [
        {"name": f"Connection {number}", "provider": "jira", "external_id": f"external-{number}"}
        for number in range(count)
    ]


# What runs in a process of its own


def _measure_plan(url: str, declared: str) -> None:
    from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

    set_connection(url=url, token=TOKEN)
    entries = _entries(int(declared))
    with WorkatoConnectionsHook() as hook:
        ways: dict[str, Callable[[], Any]] = {
            "list": hook.list_connections,
            "plan": lambda: hook.plan_connections(entries, folder_id=FOLDER),
        }
        hook.plan_connections(entries[:1], folder_id=FOLDER)
        peaks, seconds = {}, {name: list[float]() for name in ways}
        for name, way in ways.items():
            gc.collect()
            forget_peak()
            before = resident()
            kept = way()
            peaks[name] = peak() - before
            del kept
        for _ in range(ROUNDS):
            for name, way in ways.items():
                gc.collect()
                began = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - began)
        began = time.process_time()
        plan = ways["plan"]()
        cpu = time.process_time() - began
    if plan.count("create"):
        raise RuntimeError(plan.text())
    calls = {"list": 1 + ROUNDS, "plan": 3 + ROUNDS}
    print(json.dumps({"seconds": seconds, "peak": peaks, "cpu": cpu, "calls": calls}))


def _measure_single(url: str, count: str) -> None:
    from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

    set_connection(url=url, token=TOKEN)
    with WorkatoConnectionsHook() as hook:
        began = time.process_time()
        for entry in _entries(int(count)):
            # Not by external id, for which Workato filters the list.
            hook.ensure_connection(name=entry["name"], provider=entry["provider"], folder_id=FOLDER)
        print(json.dumps({"cpu": time.process_time() - began, "calls": int(count)}))


def _measure_apply(url: str, count: str, folder: str) -> None:
    from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
    from airflow_provider_workato.provisioning.apply import Apply
    from airflow_provider_workato.provisioning.manifest import Scope, read_manifest
    from airflow_provider_workato.provisioning.plan import DeclaredSet

    os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"] = json.dumps(
        {"conn_type": "workato", "host": url, "password": TOKEN}
    )
    tempfile.tempdir = folder
    scope = Scope(folder_id=FOLDER)
    with WorkatoConnectionsHook() as hook:
        found = DeclaredSet(hook.transport, read_manifest(_entries(int(count)), scope=scope), scope)
        Apply(
            plan=found.plan(reauthenticate=False),
            transport=hook.transport,
            search=found.search,
            fingerprints=found.fingerprints,
            state_of_tries=lambda key: _Store(Path(folder, f"{key}.json")),
        ).run()
    print("{}")


class _Store:
    """Stands in for Airflow's task state store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            kept: dict[str, Any] = json.loads(self._path.read_text())
            return kept
        return {}

    def write(self, record: dict[str, Any]) -> None:
        self._path.write_text(json.dumps(record))


def _main(what: str, *arguments: str) -> None:
    ways: dict[str, Callable[..., None]] = {
        "plan": _measure_plan,
        "single": _measure_single,
        "apply": _measure_apply,
    }
    ways[what](*arguments)


if __name__ == "__main__":
    _main(*sys.argv[1:])
