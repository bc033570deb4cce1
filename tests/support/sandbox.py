"""The sandbox in a process of its own, for tests over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from airflow_provider_workato.sandbox.client import SandboxControl, SandboxProcess, running_sandbox


@dataclass(frozen=True, kw_only=True)
class RunningSandbox:
    """A running sandbox: its address, token and control API.

    ``call`` sends a request without any code of the provider.
    """

    process: SandboxProcess
    control: SandboxControl
    session: requests.Session

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def token(self) -> str:
        return self.process.token

    @property
    def airflow_conn(self) -> str:
        return self.process.airflow_conn

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        arguments.setdefault("timeout", 30)
        arguments.setdefault("allow_redirects", False)
        return self.session.request(method, f"{self.url}/api/{path}", **arguments)


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """One sandbox for all tests, without quotas."""
    with running_sandbox("--no-quota") as process:
        yield process


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> Iterator[RunningSandbox]:
    """The sandbox, reset to its initial workspace, faults, quotas and request log."""
    control = sandbox_process.control
    control.reset()
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {sandbox_process.token}"
        yield RunningSandbox(process=sandbox_process, control=control, session=session)
    # Release held calls, whose clients would wait for ever.
    control.reset()
