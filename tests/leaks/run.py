"""Runs the DAG of the leak test in a process of its own and leaves the tasks' states in the home."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path


def main() -> None:
    from airflow.utils.db import initdb

    initdb()
    # The loggers that are not Airflow's; Airflow gives them no level of their own.
    for library in ("requests", "urllib3"):
        logging.getLogger(library).setLevel(logging.DEBUG)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.DEBUG)
    from tests.leaks.dags.leaks import dag, native

    tasks = [task for run in (dag.test(), native.test()) for task in run.get_task_instances()]
    states = [(task.task_id, task.map_index, str(task.state)) for task in tasks]
    Path(os.environ["AIRFLOW_HOME"], "states.json").write_text(json.dumps(states))


if __name__ == "__main__":
    main()
