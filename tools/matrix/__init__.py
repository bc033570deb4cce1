"""The compatibility matrix: every supported Airflow and Python, and the built distributions."""

from __future__ import annotations
