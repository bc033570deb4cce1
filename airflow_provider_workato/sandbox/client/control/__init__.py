"""The control API of a sandbox, as Python methods, one module for each subject."""

from __future__ import annotations

from airflow_provider_workato.sandbox.client.control.consent import ConsentControl
from airflow_provider_workato.sandbox.client.control.faults import FaultControl
from airflow_provider_workato.sandbox.client.control.traffic import TrafficControl
from airflow_provider_workato.sandbox.client.control.workspace import WorkspaceControl


class SandboxControl(WorkspaceControl, TrafficControl, FaultControl, ConsentControl):
    """The control API of a sandbox: workspace, traffic, faults and consent page.

    :param url: the sandbox's URL.
    :param certificate: path of the certificate of a sandbox with ``--certificate``.
    """

    def reset(self) -> None:
        """Restore workspace, quotas, faults and request log to their state at start."""
        self.call("POST", "reset")
