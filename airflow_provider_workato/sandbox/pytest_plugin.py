"""The pytest fixture ``workato_sandbox``. pytest loads this module wherever the package is installed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_workato.sandbox.client import SandboxProcess


@pytest.fixture(scope="session")
def workato_sandbox_process() -> Iterator[SandboxProcess]:
    """Yield a sandbox without quotas, which starts with the first test that needs it."""
    from airflow_provider_workato.sandbox.client import running_sandbox

    try:
        import fastapi  # noqa: F401 - only to see whether the extra is installed
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}; install airflow-provider-workato[sandbox]", pytrace=False)
    with running_sandbox("--no-quota") as process:
        # The provider keeps Workato's quotas by itself, even if the server has none.
        quotas = {"list_calls_per_minute": 600_000, "calls_per_second": 10_000}
        process.airflow_conn = json.dumps({**json.loads(process.airflow_conn), "extra": quotas})
        yield process


@pytest.fixture
def workato_sandbox(
    workato_sandbox_process: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SandboxProcess]:
    """Yield a sandbox with a fresh workspace, to which the Airflow connection ``workato_default`` leads.

    All tests of a session share one process. Each test begins with the workspace, faults and request log of a
    start, has no quotas, and has its own folder for temporary files. ``control`` of the process changes and
    inspects the workspace.
    """
    control = workato_sandbox_process.control
    control.reset()
    # The provider remembers creates without an answer in the temporary folder, and waits for their outcome.
    folder = str(tmp_path_factory.mktemp("workato_sandbox"))
    monkeypatch.setattr(tempfile, "tempdir", folder)
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", workato_sandbox_process.airflow_conn)
    yield workato_sandbox_process
    # Release held calls, whose clients would wait for ever.
    control.reset()
