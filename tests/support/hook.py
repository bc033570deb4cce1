"""The Airflow connection to the sandbox, and a hook that uses it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import INPUT

#: Short timeouts and no quotas, so that tests wait as little as possible.
QUICK: dict[str, Any] = {
    "calls_per_second": 10_000,
    "list_calls_per_minute": 600_000,
    "connect_timeout": 2,
    "read_timeout": 5,
    "server_timeout": 0.3,
    "retry_budget": 5,
}

Connect = Callable[..., None]


def airflow_conn(*, host: str, password: str, **extra: Any) -> str:
    """Return an Airflow connection as the JSON for an environment variable."""
    return json.dumps({"conn_type": "workato", "host": host, "password": password, "extra": extra})


@pytest.fixture
def connect(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Connect:
    """Set an Airflow connection to the sandbox; call it to set other fields and extras."""
    # Do not share the files that a killed create leaves with the next test.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("machine")))

    def connect(
        conn_id: str = "workato_default", *, host: str = "", password: str = "", **extra: Any
    ) -> None:
        value = airflow_conn(host=host or sandbox.url, password=password or sandbox.token, **QUICK | extra)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)

    connect()
    return connect


@pytest.fixture
def hook(connect: Connect) -> Iterator[WorkatoConnectionsHook]:
    """A hook for the sandbox; it reads its Airflow connection at the first call."""
    hook = WorkatoConnectionsHook()
    yield hook
    hook.close()


@contextmanager
def hooked(connect: Connect, **fields: Any) -> Iterator[WorkatoConnectionsHook]:
    """Set an Airflow connection with these fields, and yield a hook that uses it."""
    connect(**fields)
    hook = WorkatoConnectionsHook()
    try:
        yield hook
    finally:
        hook.close()


def create(hook: WorkatoConnectionsHook) -> dict[str, Any]:
    """Create a connection with credentials that must not show."""
    return hook.create_connection(name="A", provider="jira", input=INPUT)
