"""The entry point by which pytest finds the fixture ``workato_sandbox``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points


def installed_plugin() -> EntryPoint:
    """Return the entry point, which the environment has since the package was installed with it."""
    found = [entry for entry in entry_points(group="pytest11") if entry.name == "workato_sandbox"]
    assert found, "This environment is older than pyproject.toml: install the package again (make install)."
    return found[0]
