"""What an Airflow can do, judged by its results: the rows of a table in docs/compatibility.md."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from packaging.version import Version

from tests.real_airflow.cells import WATCHES
from tests.real_airflow.play import RESTART, Result

#: On Airflow 3.0.0 to 3.0.2, a triggerer can hang when it reads a stored connection.
READS_STORED = not Version("3.0.0") <= Version(version("apache-airflow")) < Version("3.0.3")
#: The beginnings of the results' names, by what they show.
_SHOWN_BY = {
    "Wait on a worker": ("sensor, poke,", "sensor, reschedule,"),
    "Wait in the triggerer": ("sensor, deferred, ended by a worker,",),
    "End a wait there": ("sensor, deferred, ended in the triggerer,",),
    "Start a wait there": ("sensor, started",),
    "Create": ("create,",),
    "Create and wait": ("create that waits,",),
    "Watch": tuple(f"watch: {watch.name}" for watch in WATCHES),
}


def abilities(results: Mapping[str, Result]) -> dict[str, str]:
    """Return the abilities by name.

    :param results: the results of the table.
    """
    found = {name: _verdict(results, beginnings) for name, beginnings in _SHOWN_BY.items()}
    found["Read a stored Airflow connection in the triggerer"] = "yes" if READS_STORED else "no"
    if RESTART in results:
        found["A change while nothing watches"] = "reported" if results[RESTART].came else "missed"
        found["Watchers of an asset with different intervals report a change"] = _times(results)
        found["The store of the watch's record"] = _store()
    return found


def _verdict(results: Mapping[str, Result], beginnings: tuple[str, ...]) -> str:
    shown = [result.is_right for name, result in results.items() if name.startswith(beginnings)]
    return "no" if not shown else "yes" if all(shown) else "FAILED"


def _times(results: Mapping[str, Result]) -> str:
    for watch in WATCHES:
        if watch.other_interval is not None:
            events = results[f"watch: {watch.name}"].came[0]
            return {1: "once", 2: "twice"}.get(len(events) // len(watch.tells), "FAILED")
    raise AssertionError


def _store() -> str:
    try:
        from airflow.sdk.execution_time.context import AssetStateStoreAccessor
    except ImportError:
        return "none"
    return "async" if hasattr(AssetStateStoreAccessor, "aget") else "blocking, used in a thread"
