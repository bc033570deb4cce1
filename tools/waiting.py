"""Wait for a condition, not for a fixed time."""

from __future__ import annotations

from airflow_provider_workato.sandbox.client import wait_until

__all__ = ["wait_until"]
