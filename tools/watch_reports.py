"""Compare the changes in the sandbox with those that a watch reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: A connection's id and its new state.
Change = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReports:
    """Changes that were reported too often or not at all.

    :param count: number of changes that happened.
    :param twice: changes that were reported more often than they happened.
    :param missed: lasting changes that were reported less often than they happened.
    """

    count: int
    twice: list[Change]
    missed: list[Change]


def compare(
    changes: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    *,
    providers: Collection[str],
    now: float,
    lasting: float | None = None,
) -> WatchReports:
    """Compare the changes that happened with those that were reported.

    :param changes: what the sandbox recorded, oldest first.
    :param events: the asset events of the watch.
    :param providers: the apps that are watched.
    :param now: the time on the sandbox's clock, ``time.monotonic()``.
    :param lasting: seconds for which a change must last to be seen for certain. ``None`` asks for the states
        that still hold instead, however new they are.
    """
    happened: Counter[Change] = Counter()
    must: Counter[Change] = Counter()
    for change, seconds, holds in _states(changes, providers=providers, now=now):
        happened[change] += 1
        must[change] += holds if lasting is None else seconds >= lasting
    payloads = [event["extra"]["payload"] for event in events]
    reports = Counter((payload["connection"]["id"], payload["change"]) for payload in payloads)
    return WatchReports(
        count=happened.total(),
        twice=sorted((reports - happened).elements()),
        missed=sorted((must - reports).elements()),
    )


def _states(
    changes: Iterable[Mapping[str, Any]], *, providers: Collection[str], now: float
) -> Iterator[tuple[Change, float, bool]]:
    """Yield each reportable state, the seconds for which it lasted, and whether it still holds."""
    begun: dict[int, tuple[str, float]] = {}
    for entry in changes:
        number, row = entry["id"], entry["connection"]
        if row is not None and row["provider"] not in providers:
            continue
        mark = _mark(row)
        before = begun.get(number)
        if before is not None and before[0] != mark:
            yield (number, _change(before[0])), entry["at"] - before[1], False
            del begun[number]
        if mark and number not in begun:
            begun[number] = mark, entry["at"]
    for number, (mark, at) in begun.items():
        yield (number, _change(mark)), now - at, True


def _change(mark: str) -> str:
    return mark.partition(" ")[0]


def _mark(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    status = row["authorization_status"]
    if status in ("failed", "exception"):
        return "failed"
    if row["connection_lost_at"]:
        return f"lost {row['connection_lost_at']}"
    return "authorized" if status == "success" else ""
