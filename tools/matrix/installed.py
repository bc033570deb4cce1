"""Use an installed provider as its users do: run this in a folder without the repository.

It imports nothing of the repository, and gets the example DAGs from the source distribution.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
DISTRIBUTION = "airflow-provider-workato"
EXAMPLE = "example_workato_connection"
AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
#: The Airflow versions with the asset watchers and the approvals of these examples.
SINCE = {"example_workato_lost": (3, 0), "example_workato_approval": (3, 1)}


def main(dags: Path) -> None:
    """Check everything; the first thing that is wrong ends it.

    :param dags: a folder with the example DAGs.
    """
    import airflow_provider_workato

    where = Path(airflow_provider_workato.__file__)
    assert where.is_relative_to(sys.prefix), where
    with sandbox() as workato:
        os.environ.update(
            AIRFLOW_HOME=os.path.abspath("airflow"),  # noqa: PTH100 - it need not exist
            # With some versions of svcs, `airflow dags test` fails in Airflow 3.2 without it.
            AIRFLOW__API_AUTH__JWT_SECRET="only-for-tests" * 5,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=str(dags),
            AIRFLOW_CONN_WORKATO_DEFAULT=workato["airflow_conn"],
            AIRFLOW_CONN_JIRA=json.dumps({"conn_type": "http", "login": "ada", "password": "a-credential"}),
        )
        assert DISTRIBUTION in airflow("providers", "get", DISTRIBUTION)
        parse(dags)
        airflow("db", "migrate")
        airflow("dags", "test", EXAMPLE)
        counts = f"{workato['url']}/sandbox/requests/counts"
        with urllib.request.urlopen(counts, timeout=30) as answer:  # noqa: S310 - the sandbox
            calls = json.load(answer)
    made = {name: calls["by_operation"].get(name, 0) for name in ("create_connection", "delete_connection")}
    assert made == {"create_connection": 1, "delete_connection": 1}, calls
    print(f"{EXAMPLE} ran against the sandbox; it made {calls['total']} calls.")


def airflow(*words: str) -> str:
    """Run Airflow's command line and return what it prints.

    :param words: the command.
    """
    done = subprocess.run([BIN / "airflow", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"airflow {' '.join(words)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


@contextmanager
def sandbox() -> Iterator[dict[str, Any]]:
    """Run the sandbox by its console script and yield the line that it prints when it is ready."""
    command = [f"{BIN}/workato-sandbox", "--port", "0", "--no-quota", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def parse(dags: Path) -> None:
    """Parse every example that is for this Airflow.

    :param dags: the folder.
    """
    # Airflow 3.2 moved it.
    new = find_spec("airflow.dag_processing.dagbag")
    module = import_module("airflow.dag_processing.dagbag" if new else "airflow.models.dagbag")
    for path in sorted(dags.glob("*.py")):
        if SINCE.get(path.stem, AIRFLOW) > AIRFLOW:
            continue
        bag = module.DagBag(path)
        assert not bag.import_errors, bag.import_errors
        assert len(bag.dags) == 1, path


if __name__ == "__main__":
    main(Path(sys.argv[1]))
