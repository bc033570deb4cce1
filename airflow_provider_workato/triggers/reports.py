"""What watches have reported: shared within a triggerer, and recorded in the state store of each asset."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import math
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from airflow_provider_workato.arguments import parse_time
from airflow_provider_workato.authorization import State
from airflow_provider_workato.triggers.shared_list import in_thread
from airflow_provider_workato.version_compat import asset_state

log = logging.getLogger(__name__)

#: What was reported, by connection id: the state, and the time of a loss.
Reported = Mapping[int, str]

#: Airflow records an event about a second after it fired. Store the reports later than that (seconds): a
#: triggerer that dies in between repeats a report rather than losing it.
STORE_AFTER = 3.0


class Reports:
    """What was reported to the same assets by all watches that look for the same changes.

    :param stores: the state stores of the assets; none before Airflow 3.3.
    :param key: the key of the record in each store.
    :param old_keys: the keys under which earlier versions of this provider may have left it.
    """

    def __init__(self, stores: Sequence[Any], key: str, old_keys: Sequence[str] = ()) -> None:
        self._stores = stores
        self._key = key
        self._old_keys = old_keys
        #: Held while a list is compared and its changes are reported, so that no other watch reports them.
        self.lock = asyncio.Lock()
        #: When the newest of the compared lists was fetched.
        self.moment = -math.inf
        #: Whether nothing is known of an earlier time, so that the states that hold now are not reported.
        self.is_new = True
        self.reported: dict[int, str] = {}
        self._is_read = not stores
        self._is_stored = not stores
        self._has_failed = False
        #: The reports since the start, until the stores have been read.
        self._fired: dict[int, str] = {}
        self._fired_at = -math.inf
        #: The old keys that are still in a store.
        self._left: list[tuple[Any, str]] = []
        #: What each store is known to have.
        self._entries: dict[int, Any] = {}

    @classmethod
    def shared(cls, stores: Sequence[Any], key: str, old_keys: Sequence[str]) -> Reports:
        """Return the reports that other watches of this event loop share, if their assets are the same.

        :param stores: the state stores of the assets.
        :param key: the key of the record in each store.
        :param old_keys: the keys of earlier versions.
        """
        if not stores:
            # Before Airflow 3.3, a watch cannot tell for which assets it reports.
            return cls(stores, key)
        shared = (asyncio.get_running_loop(), frozenset(stores), key)
        reports = _SHARED.get(shared)
        if reports is None:
            reports = _SHARED[shared] = cls(stores, key, old_keys)
        return reports

    async def read(self) -> None:
        """Read the stores unless that has succeeded before. Afterwards, :attr:`reported` may be a new dict.

        If they cannot be read now, the watch goes on without them.
        """
        if self._is_read:
            return
        found: list[Reported] = []
        failure, self._left = None, []
        for number, store in enumerate(self._stores):
            try:
                self._entries[number] = await self._entry(store)
            except Exception as error:  # noqa: BLE001 - whatever a state store backend raises
                failure = error
            else:
                if (reported := await _reports_in(self._entries[number])) is not None:
                    found.append(reported)
        if not found and failure is not None:
            self._warn(
                "The record of earlier reports cannot be read; trying again at the next list. Until then, "
                "earlier changes are not reported, and a restart repeats what is reported now.",
                failure,
            )
            return
        self._is_read, self._has_failed = True, False
        if found:
            # What one of the assets has not been told is news, although the others are told it twice.
            common = found[0] if all(one == found[0] for one in found) else _common(found)
            self._is_stored = len(found) == len(self._stores) and not self._left and not self._fired
            self.reported = {**common, **self._fired}
            self.is_new = False
        self._fired = {}

    async def _entry(self, store: Any) -> Any:
        entry = await asset_state(store, "get", self._key)
        for key in self._old_keys if entry is None else ():
            if (old := await asset_state(store, "get", key)) is not None:
                self._left.append((store, key))
                entry = entry or old
        return entry

    async def reported_elsewhere(self) -> Reported:
        """Return what a watch in another triggerer has reported to all of the assets meanwhile."""
        found: list[Reported] = []
        for number, store in enumerate(self._stores if self._is_read else ()):
            try:
                entry = await asset_state(store, "get", self._key)
            except Exception:
                log.debug("The record of earlier reports cannot be read.", exc_info=True)
                return {}
            if entry == self._entries.get(number) or (reported := await _reports_in(entry)) is None:
                return {}
            self._entries[number] = entry
            found.append(reported)
        return _common(found) if found else {}

    def note(self, number: int, report: str | None, *, fires: bool) -> None:
        """Change the report of a connection.

        :param number: the connection.
        :param report: its new report, ``None`` for none.
        :param fires: whether an event tells of it.
        """
        self._is_stored = not self._stores
        if report is None:
            self.reported.pop(number, None)
        else:
            self.reported[number] = report
        if fires:
            self._fired_at = time.monotonic()
            if report is not None and not self._is_read:
                self._fired[number] = report

    async def store(self) -> None:
        """Write what has changed, once Airflow has had the time to record the events."""
        # A record that could not be read must not be replaced.
        if self._is_stored or not self._is_read:
            return
        fired_at = self._fired_at
        await asyncio.sleep(max(0.0, fired_at + STORE_AFTER - time.monotonic()))
        async with self.lock:
            # Otherwise another watch has reported something meanwhile, which is too new to be stored.
            if self._fired_at == fired_at:
                await self._write()

    async def _write(self) -> None:
        if self._is_stored:
            return
        # Do not rename the keys: earlier releases read the entry, too.
        entry = {"at": time.time(), "told": await in_thread(partial(packed, self.reported))}
        try:
            for number, store in enumerate(self._stores):
                await asset_state(store, "set", self._key, entry)
                self._entries[number] = entry
            while self._left:
                store, key = self._left[-1]
                await asset_state(store, "delete", key)
                self._left.pop()
        except Exception as error:  # noqa: BLE001 - whatever a state store backend raises
            self._warn(
                "The record of reports cannot be written; trying again at the next list. Until then, a "
                "restart repeats what was reported since the last record; without one, it misses changes.",
                error,
            )
        else:
            self._is_stored, self._has_failed = True, False

    def _warn(self, message: str, error: Exception) -> None:
        # Once, not at every list.
        log.log(logging.DEBUG if self._has_failed else logging.WARNING, message, exc_info=error)
        self._has_failed = True


_SHARED: WeakValueDictionary[tuple[Any, ...], Reports] = WeakValueDictionary()


async def _reports_in(entry: object) -> Reported | None:
    if not isinstance(entry, dict) or "told" not in entry:
        return None
    return await in_thread(partial(unpacked, entry["told"]))


def _common(several: Sequence[Reported]) -> Reported:
    return dict(set.intersection(*(set(one.items()) for one in several)))


def loss(lost_at: object) -> str:
    """Return the report of a loss, which does not depend on the time zone of Workato's timestamp.

    :param lost_at: the timestamp.
    """
    moment = parse_time(lost_at)
    if moment is not None and moment.tzinfo is not None:
        # The first and last day of the calendar overflow in some time zones.
        with suppress(OverflowError):
            moment = moment.astimezone(UTC)
    return f"{State.LOST.value} {moment.isoformat() if moment is not None else lost_at}"


def packed(reported: Reported) -> str:
    """Return *reported* compressed: the ids by report, each as the difference to the one before.

    :param reported: the reports.
    """
    ids: dict[str, list[int]] = {}
    for number in sorted(reported):
        ids.setdefault(reported[number], []).append(number)
    steps = {
        report: [after - before for before, after in itertools.pairwise([0, *numbers])]
        for report, numbers in ids.items()
    }
    return base64.b64encode(zlib.compress(json.dumps(steps, separators=(",", ":")).encode(), 9)).decode()


def unpacked(text: object) -> Reported | None:
    """Return what :func:`packed` was given, ``None`` if *text* is something else.

    :param text: what it returned.
    """
    lost = f"{State.LOST.value} "
    try:
        steps = json.loads(zlib.decompress(base64.b64decode(str(text))))
        return {
            number: report
            for stored, each in steps.items()
            for report in [loss(stored.removeprefix(lost)) if stored.startswith(lost) else stored]
            for number in itertools.accumulate(each)
        }
    except (ValueError, TypeError, AttributeError, zlib.error):
        return None
