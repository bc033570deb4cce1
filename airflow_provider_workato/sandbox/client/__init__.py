"""Start a sandbox and steer it from Python, for tests, demos and benchmarks."""

from airflow_provider_workato.sandbox.client.control import (
    SandboxControl,
    SandboxProcess,
    running_sandbox,
    wait_until,
)

__all__ = ["SandboxControl", "SandboxProcess", "running_sandbox", "wait_until"]
