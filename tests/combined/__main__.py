"""Play random histories and report broken promises; see ``--help``."""

from __future__ import annotations

import os
import sys
import tempfile

# Airflow reads its settings on import.
for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
_BACKEND = "tests.combined.secrets_backend.FileBackend"
os.environ.update(
    AIRFLOW_HOME=tempfile.mkdtemp(prefix="combined-airflow-"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__SECRETS__BACKEND=_BACKEND,
    AIRFLOW__WORKERS__SECRETS_BACKEND=_BACKEND,
    # It sets the shortest duration of a wait that ends on a worker.
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0",
    NO_PROXY="127.0.0.1,localhost",
)

from tests.combined.cli import main  # noqa: E402 - see above

if __name__ == "__main__":
    sys.exit(main())
