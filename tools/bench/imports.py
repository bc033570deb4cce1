"""What a DAG file pays for its imports."""

from __future__ import annotations

from statistics import median
from typing import Any

from tools.bench.measure import fresh_process, in_turn
from tools.bench.report import Row, Section, Table, milliseconds, times

OURS, PEER = "Workato operators and sensors", "HttpOperator + HttpSensor"
IMPORTS = {
    OURS: (
        "import airflow_provider_workato.operators.connections\n"
        "import airflow_provider_workato.sensors.connections"
    ),
    PEER: (
        "from airflow.providers.http.operators.http import HttpOperator\n"
        "from airflow.providers.http.sensors.http import HttpSensor"
    ),
}
PROGRAM = """\
import json, sys, time
start = time.perf_counter()
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
sdk, before = time.perf_counter(), len(sys.modules)
{imports}
end = time.perf_counter()
print(json.dumps({{
    "sdk": sdk - start, "sdk_modules": before,
    "added": end - sdk, "added_modules": len(sys.modules) - before,
    "requests": "requests" in sys.modules,
}}))
"""
SHARE = 0.05
METHOD = """\
Fresh interpreters with compiled bytecode import `DAG`, `BaseOperator` and `BaseSensorOperator` from
`airflow.sdk`, then either all operators and sensors of this package or those of the HTTP provider. In
turn; medians."""


def run(*, rounds: int) -> Section:
    """Time the imports.

    :param rounds: how many interpreters each contender gets.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in IMPORTS}
    for name in IMPORTS:
        _import(name)
    for number in range(rounds):
        for name in in_turn(list(IMPORTS), number):
            found[name].append(_import(name))
    sdk = median(each["sdk"] for one in found.values() for each in one)
    sdk_modules = median(each["sdk_modules"] for one in found.values() for each in one)
    added = {name: median(each["added"] for each in one) for name, one in found.items()}
    modules = {name: median(each["added_modules"] for each in one) for name, one in found.items()}
    loaded = {name: any(each["requests"] for each in one) for name, one in found.items()}
    rows = [
        Row(
            label="time",
            values=[milliseconds(sdk), *map(milliseconds, added.values())],
            goal="below the peer's",
            met=added[OURS] < added[PEER],
        ),
        Row(
            label="share of the SDK's",
            values=["", *(f"{seconds / sdk:.1%}" for seconds in added.values())],
            goal=f"<= {SHARE:.0%}",
            met=added[OURS] <= SHARE * sdk,
        ),
        Row(label="beside the peer", values=["", times(added[OURS], added[PEER])]),
        Row(
            label="modules",
            values=[f"{sdk_modules:,.0f}", *(f"{number:,.0f}" for number in modules.values())],
            goal="below the peer's",
            met=modules[OURS] < modules[PEER],
        ),
        Row(
            label="`requests` loaded",
            values=["", *("yes" if each else "no" for each in loaded.values())],
            goal="no",
            met=not loaded[OURS],
        ),
    ]
    columns = ["`airflow.sdk` itself", *(f"{name} add" for name in IMPORTS)]
    return Section(
        title="DAG parse", method=METHOD, tables=[Table(title="Imports", columns=columns, rows=rows)]
    )


def _import(name: str) -> dict[str, Any]:
    found: dict[str, Any] = fresh_process("-c", PROGRAM.format(imports=IMPORTS[name]))
    return found
