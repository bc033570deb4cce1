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
    from tests.leaks.dags.leaks import dag

    run = dag.test()
    states = [(ti.task_id, ti.map_index, str(ti.state)) for ti in run.get_task_instances()]
    Path(os.environ["AIRFLOW_HOME"], "states.json").write_text(json.dumps(states))


if __name__ == "__main__":
    main()
