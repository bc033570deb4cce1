"""The model: the true states of all connections, and what waits, watches and tasks may make of them.

The sandbox reports every state of every connection and when it began. All times are from the machine's
monotonic clock, which never jumps and which all processes share.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.combined.actors import NOTE_AFTER
from tests.combined.steps import CALLS_PER_SECOND, SET_FOLDER, SETS, Step

#: Seconds that a message between processes may take on a busy machine.
SLACK = 0.5
#: Seconds by which two processes' readings of the clock may differ.
TICK = 0.02


class Broken(Exception):
    """A broken promise.

    :param kind: the promise, in words that are the same for every play.
    :param what: what happened.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind
        self.what = what


def state_of(row: Mapping[str, Any] | None) -> str:
    """Return the meaning of a connection's state, computed independently of the provider."""
    if row is None:
        return "gone"
    if row["authorization_status"] in ("failed", "exception"):
        return "failed"
    if row["connection_lost_at"] is not None:
        return "lost"
    return "authorized" if row["authorization_status"] == "success" else "waiting"


@dataclass(slots=True)
class Truth:
    """Every state of every connection."""

    moments: dict[int, list[float]] = field(default_factory=dict)
    rows: dict[int, list[dict[str, Any] | None]] = field(default_factory=dict)
    seq: int = 0

    def learn(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Add the changes that the sandbox reported since the last call."""
        for change in changes:
            self.seq = change["seq"]
            self.moments.setdefault(change["id"], []).append(change["at"])
            self.rows.setdefault(change["id"], []).append(change["connection"])

    def at(self, number: int, moment: float) -> dict[str, Any] | None:
        """Return a connection as it was at *moment*, or ``None`` if it did not exist."""
        known = bisect_right(self.moments.get(number, []), moment)
        return self.rows[number][known - 1] if known else None

    def now(self, number: int) -> dict[str, Any] | None:
        """Return a connection as it is now."""
        return self.rows[number][-1] if number in self.rows else None

    def live(self) -> dict[int, dict[str, Any]]:
        """Return the connections that exist."""
        return {number: row for number, rows in self.rows.items() if (row := rows[-1]) is not None}

    def changes(self, numbers: Sequence[int], since: float, until: float) -> list[float]:
        """Return the moments at which something about these connections changed, and *since* itself."""
        inside = {m for number in numbers for m in self.moments.get(number, []) if since < m <= until}
        return [since, *sorted(inside)]


@dataclass(frozen=True, slots=True)
class Identity:
    """The fields that identify a connection.

    :param kind: which fields these are.
    :param which: the number of the identity among those of this kind.
    """

    kind: str
    which: int

    def arguments(self, number: int) -> dict[str, Any]:
        """Return a task's arguments."""
        if self.kind == "external":
            text = {"name": f"Made by {number}", "external_id": f"e{self.which}"}
            return {**text, "provider": "rest", "folder_id": 1892}
        if self.kind == "named":
            return {"name": f"Named {self.which}", "provider": "rest", "folder_id": 4515}
        if self.kind == "anywhere":
            return {"name": f"Anywhere {self.which}", "provider": "rest"}
        text = {"name": f"User {self.which}", "external_id": f"u{self.which}"}
        return {**text, "parent_id": 36, "folder_id": 26204321}

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Return whether a connection has this identity."""
        wanted = self.arguments(0)
        if "external_id" in wanted:
            del wanted["name"]
        return all(row[key] == value for key, value in wanted.items())

    def __str__(self) -> str:
        return f"{self.kind} {self.which}"


@dataclass(slots=True, kw_only=True)
class Wait:
    """A wait in the model.

    :param began: when its task started.
    :param numbers: the ids of its connections.
    :param filters: its list filters.
    :param freshness: how old a list may be that proves success.
    """

    name: str
    began: float
    numbers: list[int]
    filters: dict[str, Any]
    step: Step
    freshness: float
    sensor: Any
    classpath: str
    kwargs: dict[str, Any]

    def verdict(self, truth: Truth, moment: float) -> str:
        """Return the verdict that a list from this moment gives."""
        rows = [truth.at(number, moment) for number in self.numbers]
        if any(row is None or any(row[k] != v for k, v in self.filters.items()) for row in rows):
            return "gone"
        states = {state_of(row) for row in rows}
        if self.step["fail_fast"] and states & {"failed", "lost"}:
            return "failed"
        return "authorized" if states == {"authorized"} else "waiting"

    def check_end(self, truth: Truth, end: str, *, now: float, jumped: bool) -> None:
        """Check that the wait may have ended in this way.

        :param end: ``authorized``, ``failed`` or ``gone``.
        :param jumped: whether the clock was set forward meanwhile: the wait then seems to have begun earlier.
        """
        # A list from before the wait may prove only success.
        since = self.began - TICK
        if end == "authorized":
            since = self.began - SLACK - self.freshness
        elif jumped:
            since -= self.step["interval"] + SLACK
        seen = [self.verdict(truth, moment) for moment in truth.changes(self.numbers, since, now)]
        if end not in seen:
            raise Broken(
                "a wait ended wrongly",
                f"{self.name} for {self.numbers} {self.filters or ''} ended as {end!r}; since "
                f"{now - since:.2f} s before the end it was only {sorted(set(seen))}",
            )


def mark_of(row: Mapping[str, Any] | None, changes: Sequence[str]) -> str | None:
    """Return the mark that a watch keeps of a connection, or ``None`` if it has nothing to report."""
    state = state_of(row)
    if row is None or state not in changes:
        return None
    return f"lost {row['connection_lost_at']}" if state == "lost" else state


@dataclass(slots=True, kw_only=True)
class Watch:
    """A watch in the model.

    :param filters: its list filters.
    :param known: the mark of each connection that the watch must know since the latest quiet.
    :param told: its reports: the connection, the mark and the moment.
    """

    name: str
    began: float
    filters: dict[str, Any]
    step: Step
    classpath: str
    kwargs: dict[str, Any]
    has_store: bool
    known: dict[int, str | None] | None = None
    known_at: float = 0.0
    restart_at: float | None = None
    told: list[tuple[int, str, float]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    reached: dict[int, int] = field(default_factory=dict)

    def forgets(self) -> None:
        """Forget the reports, if the watch has no store that outlives it."""
        if not self.has_store:
            self.known = None

    def _watches(self, number: int, row: Mapping[str, Any] | None) -> bool:
        return row is not None and all(
            (number if key == "id" else row[key]) == value for key, value in self.filters.items()
        )

    def mark(self, number: int, row: Mapping[str, Any] | None) -> str | None:
        """Return the mark that this watch keeps of a connection."""
        return mark_of(row, self.step["changes"]) if self._watches(number, row) else None

    def _turns(self, truth: Truth, number: int, now: float) -> list[str | None]:
        """Return the marks that a connection has had since the watch began, in order."""
        moments = truth.changes([number], self.began - SLACK, now)
        marks = [self.mark(number, truth.at(number, moment)) for moment in moments]
        return [mark for before, mark in pairwise(marks) if mark != before]

    def check_told(self, truth: Truth, payload: Mapping[str, Any], *, now: float) -> None:
        """Check that a report is true and was not made before."""
        row = payload["connection"]
        number = row["id"]
        lost = payload["change"] == "lost"
        mark = f"lost {row['connection_lost_at']}" if lost else str(payload["change"])
        turns = self._turns(truth, number, now)
        reached = self.reached.get(number, -1)
        later = [index for index, turn in enumerate(turns) if index > reached and turn == mark]
        if later:
            self.reached[number] = later[0]
        else:
            before = [when for told, what, when in self.told if told == number and what == mark]
            if not before:
                raise Broken("told what is not so", f"{self.name} told {number} {mark!r}; it had {turns}")
            # If a triggerer dies between the event and its record, the change is reported twice, not never.
            if not any(before[-1] - SLACK <= kill <= before[-1] + NOTE_AFTER + SLACK for kill in self.kills):
                raise Broken("told twice", f"{self.name} told {number} {mark!r} again; it had {turns}")
        self.told.append((number, mark, now))

    def untold(self, truth: Truth) -> Iterator[str]:
        """Yield the changes since the latest quiet that it has failed to report."""
        if self.known is None:
            return
        for number, row in truth.live().items():
            mark = self.mark(number, row)
            if mark is None or mark == self.known.get(number):
                continue
            if not any(t == number and what == mark and when >= self.known_at for t, what, when in self.told):
                knew = self.known.get(number)
                yield f"{self.name} did not tell that {number} is {mark!r}; it knew {knew!r}"

    def caught_up(self, truth: Truth, *, now: float) -> None:
        """Record that every change has been reported."""
        kept = self.known or {}
        self.known = {
            number: kept.get(number) if row is None else self.mark(number, row)
            for number in truth.rows
            for row in [truth.now(number)]
        }
        self.known_at = now


def check_set(truth: Truth, requests: Sequence[Mapping[str, Any]]) -> None:
    """Check that the sets stay in their folder, and that each connection that they declare exists once.

    :param requests: the calls.
    """
    ours = {
        number: row
        for number, rows in truth.rows.items()
        if (row := next((row for row in rows if row is not None), None)) and row["folder_id"] == SET_FOLDER
    }
    for request in requests:
        # Only sets delete and disconnect, and nothing else updates a row that a person has made.
        if request["operation"] not in ("delete_connection", "disconnect_connection", "update_connection"):
            continue
        number = int(request["path"].split("/")[3])
        row = truth.rows[number][0] or {}
        if number not in ours and (
            request["operation"] != "update_connection" or str(row.get("name")).startswith("Row ")
        ):
            raise Broken("a set went too far", f"{request['operation']} of {number}: {row}")
    for which in range(SETS):
        live = [
            number for number in truth.live() if number in ours and ours[number]["external_id"] == f"s{which}"
        ]
        if len(live) > 1:
            raise Broken("a set made it twice", f"s{which} is {live}")


def check_quota(requests: Sequence[Mapping[str, Any]], *, rotated: Sequence[float]) -> None:
    """Check that no more calls arrived than the quota allows.

    The server's own 429 is no measure: on a busy machine, calls sent a period apart arrive closer together.

    :param requests: the calls.
    :param rotated: when the token was replaced; the provider limits each token separately.
    """
    window = 0.75
    moments = [
        request["at"]
        for request in requests
        if request["operation"] != "list_connections"
        and request["path"].startswith("/api/connections")
        and request["status"] != 401
    ]
    for first, last in zip(moments, moments[CALLS_PER_SECOND:], strict=False):
        if last - first < window and not any(first - SLACK <= moment <= last + SLACK for moment in rotated):
            raise Broken(
                "over quota",
                f"{CALLS_PER_SECOND + 1} calls in {last - first:.2f} s; {CALLS_PER_SECOND} may come in one",
            )
