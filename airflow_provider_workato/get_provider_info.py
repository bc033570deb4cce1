"""The provider's metadata, which Airflow reads while it is being imported."""

from __future__ import annotations

from typing import Any

from airflow_provider_workato.connection_form import CONN_TYPE, CONNECTION_FORM

_INTEGRATION = "Workato"


def get_provider_info() -> dict[str, Any]:
    """Return the metadata. Airflow finds this function by the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-workato",
        "name": _INTEGRATION,
        "description": (
            "Create `Workato <https://www.workato.com>`__ connections and wait until they are authorized."
        ),
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.workato.com/en/workato-api/connections.html",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks", "connections"),
        "operators": _modules("operators", "connections"),
        "sensors": _modules("sensors", "connections"),
        "triggers": _modules("triggers", "connections", "status"),
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": "airflow_provider_workato.hooks.connections.WorkatoConnectionsHook",
                "hook-name": _INTEGRATION,
                **CONNECTION_FORM,
            }
        ],
        "extra-links": [
            "airflow_provider_workato.links.connections.WorkatoConnectionLink",
            "airflow_provider_workato.links.connections.WorkatoOAuthLink",
        ],
    }


def _modules(kind: str, *names: str) -> list[dict[str, Any]]:
    return [
        {
            "integration-name": _INTEGRATION,
            "python-modules": [f"airflow_provider_workato.{kind}.{name}" for name in names],
        }
    ]
