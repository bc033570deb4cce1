"""Run a DAG in this process with Airflow's ``dag.test()``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tests.support.airflow import AIRFLOW
from tests.support.coverage import unmeasured
from tests.support.hook import QUICK, airflow_conn
from tests.support.sdk import DAG


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished DAG run."""

    instances: Mapping[tuple[str, int], Any]

    @property
    def states(self) -> dict[str, str]:
        """The state of each task by its id, with the map index if it is mapped."""
        return {
            name if index < 0 else f"{name}[{index}]": str(ti.state)
            for (name, index), ti in sorted(self.instances.items())
        }

    def xcom(self, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom of a task from Airflow's database."""
        ti = self.instances[task_id, map_index]
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)

    def rendered(self, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Return the rendered fields that Airflow shows of a task."""
        from airflow.models.renderedtifields import RenderedTaskInstanceFields

        fields: Any = RenderedTaskInstanceFields.get_templated_fields(self.instances[task_id, map_index])
        assert isinstance(fields, dict)
        return fields


def run_dag(dag: DAG) -> Run:
    """Run *dag* to its end, whether it succeeds or fails.

    :param dag: the DAG.
    """
    with unmeasured():
        if AIRFLOW.major > 2:
            _register(dag)
        run: Any = dag.test()
    return Run(instances={(ti.task_id, ti.map_index): ti for ti in run.get_task_instances()})


def dag_bag(path: Path) -> Any:
    """Return the DAGs of a file, as Airflow parses them.

    :param path: the file.
    """
    return _dagbag_module().DagBag(path)


def _dagbag_module() -> Any:
    return import_module(f"airflow.{'models' if Version('3.2') > AIRFLOW else 'dag_processing'}.dagbag")


def _register(dag: DAG) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    bag = dag_bag(Path(os.devnull))
    bag.bag_dag(dag)
    if Version("3.1") > AIRFLOW:
        # Only a DAG that is parsed from a file gets it.
        dag.relative_fileloc = dag.fileloc
        bag.sync_to_db("dags-folder", None)
    else:
        _dagbag_module().sync_bag_to_db(bag, "dags-folder", None)


@contextmanager
def own_workspace() -> Iterator[SandboxProcess]:
    """Point ``workato_default`` to a separate sandbox, which no other test resets."""
    with running_sandbox("--no-quota") as workato, pytest.MonkeyPatch.context() as environment:
        environment.setenv(
            "AIRFLOW_CONN_WORKATO_DEFAULT", airflow_conn(host=workato.url, password=workato.token, **QUICK)
        )
        yield workato
