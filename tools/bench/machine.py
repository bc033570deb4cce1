"""On what it was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil

PACKAGES = (
    "apache-airflow",
    "apache-airflow-providers-http",
    "workato-platform-cli",
    "requests",
    "msgspec",
    "aiohttp",
    "pydantic",
)


def describe() -> list[tuple[str, str]]:
    """Return versions and machine."""
    gibibytes = psutil.virtual_memory().total / 2**30
    return [
        ("airflow-provider-workato", version("airflow-provider-workato")),
        *((name, version(name)) for name in PACKAGES),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        (
            "machine",
            f"{os.cpu_count()} cores ({platform.machine()}), {gibibytes:.0f} GiB memory, {platform.system()}",
        ),
    ]
