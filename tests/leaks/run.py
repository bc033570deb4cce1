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
    from airflow.models import Variable
    from airflow.utils.session import create_session

    from tests.leaks.dags.leaks import dag, native
    from tests.leaks.scene import STORED

    tasks = [task for run in (dag.test(), native.test()) for task in run.get_task_instances()]
    states = [(task.task_id, task.map_index, str(task.state)) for task in tasks]
    home = Path(os.environ["AIRFLOW_HOME"])
    (home / "states.json").write_text(json.dumps(states))
    with create_session() as session:
        stored = {variable.key: json.loads(variable.get_val()) for variable in session.query(Variable)}
    (home / STORED).write_text(json.dumps(stored))


if __name__ == "__main__":
    main()
