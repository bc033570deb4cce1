"""Run the DAG of the leak test in this process, and write the tasks' states to the Airflow home."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path


def main() -> None:
    from airflow.utils.db import initdb

    initdb()
    # Airflow sets no level for loggers of other libraries.
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
