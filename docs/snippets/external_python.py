"""Call the hook from a task in another Python environment."""

from __future__ import annotations

from airflow import DAG

try:
    from airflow.sdk import task
except ImportError:  # Airflow 2
    from airflow.decorators import task

with DAG("external_python", schedule=None) as dag:

    @task.external_python(python="/opt/workato/bin/python")
    def names() -> list[str]:
        """Return the names of all connections."""
        from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

        return [connection["name"] for connection in WorkatoConnectionsHook().list_connections()]

    names()
