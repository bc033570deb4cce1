"""Compare the changes that the sandbox made with those that a watch told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: A connection and what it became.
Change = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Changes that were told too often or not at all.

    :param count: number of changes that had to be told.
    :param twice: changes that were told more often than they happened.
    :param missed: changes that lasted and were told less often than they happened.
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
    lasting: float,
) -> Told:
    """Compare what happened with what was told.

    :param changes: what the sandbox recorded, oldest first.
    :param events: the asset events of the watch.
    :param providers: the apps that are watched.
    :param now: the time on the sandbox's clock, ``time.monotonic()``.
    :param lasting: seconds for which a change must last to be seen for certain.
    """
    happened: Counter[Change] = Counter()
    must: Counter[Change] = Counter()
    for change, seconds in _states(changes, providers=providers, now=now):
        happened[change] += 1
        must[change] += seconds >= lasting
    payloads = [event["extra"]["payload"] for event in events]
    told = Counter((payload["connection"]["id"], payload["change"]) for payload in payloads)
    return Told(
        count=must.total(),
        twice=sorted((told - happened).elements()),
        missed=sorted((must - told).elements()),
    )


def _states(
    changes: Iterable[Mapping[str, Any]], *, providers: Collection[str], now: float
) -> Iterator[tuple[Change, float]]:
    """Yield each state that is told, with the seconds for which it lasted."""
    begun: dict[int, tuple[str, float]] = {}
    for entry in changes:
        number, row = entry["id"], entry["connection"]
        if row is not None and row["provider"] not in providers:
            continue
        mark = _mark(row)
        before = begun.get(number)
        if before is not None and before[0] != mark:
            yield from _ended(number, *begun.pop(number), end=entry["at"])
        if mark and number not in begun:
            begun[number] = mark, entry["at"]
    for number, (mark, at) in begun.items():
        yield from _ended(number, mark, at, end=now)


def _ended(number: int, mark: str, at: float, *, end: float) -> Iterator[tuple[Change, float]]:
    yield (number, mark.partition(" ")[0]), end - at


def _mark(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    status = row["authorization_status"]
    if status in ("failed", "exception"):
        return "failed"
    if row["connection_lost_at"]:
        return f"lost {row['connection_lost_at']}"
    return "authorized" if status == "success" else ""
