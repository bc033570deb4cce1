"""What DAG files import from Airflow. Its constraints can pin a common-compat that lacks these names."""

from __future__ import annotations

from airflow import DAG

try:
    from airflow.sdk import task
except ImportError:  # Airflow 2
    from airflow.decorators import task

try:
    from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
except ImportError:  # Airflow below 3.2
    from airflow.exceptions import AirflowSkipException, TaskDeferred

__all__ = ["DAG", "AirflowSkipException", "TaskDeferred", "task"]
