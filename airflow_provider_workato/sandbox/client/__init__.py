"""Start and control a sandbox from Python, for tests, demos and benchmarks.

- :class:`SandboxProcess` and :func:`running_sandbox` run a sandbox in a process of its own;
- :class:`SandboxControl` calls its control API and clicks the buttons of its consent page;
- :func:`wait_until` waits for a condition.
"""

from airflow_provider_workato.sandbox.client.control import SandboxControl
from airflow_provider_workato.sandbox.client.process import SandboxProcess, running_sandbox
from airflow_provider_workato.sandbox.client.waiting import wait_until

__all__ = ["SandboxControl", "SandboxProcess", "running_sandbox", "wait_until"]
