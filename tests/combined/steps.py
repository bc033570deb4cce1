"""Draw histories from a seed: the steps of a play.

A step is a dict of JSON values that can be played after any other step. Any part of a history is therefore a
history, too, and a history that fails can be shrunk to the steps that are needed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Step = dict[str, Any]

#: The settings of all processes, so that what takes Workato a minute takes a moment here.
READ_TIMEOUT = 0.7
SERVER_TIMEOUT = 1.5
RETRY_BUDGET = 6.0
FRESH = 1.0
CALLS_PER_SECOND = 8
LISTS_PER_MINUTE = 600
#: Seconds within which a slow call is carried out, even if its client is gone.
LATEST = 1.1

FOLDERS = (1892, 4515)
#: The folder of the declared sets, in which nothing else creates or updates a connection.
SET_FOLDER = 28940
#: How many connections a set can declare.
SETS = 3

#: The intervals of a play's waits. A play has only a few, so that waits and watches share lists.
PALETTES: tuple[tuple[float, ...], ...] = (
    (0.1, 0.2, 0.4, 3.0, 60.0),
    (0.1,),
    (0.2, 0.2, 60.0),
    (0.1, 60.0, 60.0, 60.0),
)
CONNS: tuple[tuple[str, ...], ...] = (
    ("workato_default", "workato_quick"),
    ("workato_default",),
    ("workato_quick",),
)

#: The faults of creates: (fault, whether the call is carried out, parameters).
CREATE_FAULTS: tuple[tuple[str, bool | None, dict[str, Any]], ...] = (
    *[("slow_server", False, {"max_seconds": seconds}) for seconds in (1.1, 1.1, 1.0, 1.0)],
    ("slow_server", True, {"max_seconds": 1.0}),
    *[("rate_limited_seconds", None, {"seconds": seconds}) for seconds in (2, 2, 2, 1)],
    ("reset_before_answer", True, {}),
    ("reset_before_answer", False, {}),
    ("reset_mid_body", True, {}),
    ("truncated_json", True, {}),
    ("html_page", True, {}),
    ("delay", False, {"seconds": 0.4}),
    ("delay", True, {"seconds": 0.4}),
    ("bad_gateway_html", True, {}),
    ("bad_gateway_html", False, {}),
    ("gateway_timeout_html", True, {}),
    ("server_error", True, {}),
    ("service_unavailable", False, {}),
    ("validation_error", None, {}),
    ("echo_secret", None, {}),
)

#: The faults of lists.
LIST_FAULTS: tuple[tuple[str, bool | None, dict[str, Any]], ...] = (
    ("forbidden_html", None, {}),
    ("forbidden", None, {}),
    ("not_found", None, {}),
    ("validation_error", None, {}),
    ("success_false", None, {"message": "Try again later"}),
    ("server_error", None, {}),
    ("bad_gateway_html", None, {}),
    ("reset_before_answer", None, {}),
    ("truncated_json", None, {}),
    ("html_page", None, {}),
    ("null_body", None, {}),
    ("rate_limited_seconds", None, {"seconds": 1}),
    ("delay", None, {"seconds": 0.3}),
)

UPDATE_FAULTS = tuple(
    fault for fault in CREATE_FAULTS if fault[0] in ("reset_before_answer", "delay", "server_error")
)


@dataclass(frozen=True)
class Style:
    """What the steps of one play have in common.

    :param intervals: the seconds between two lists of a wait.
    :param conns: the ids of the Airflow connections of waits and watches.
    """

    intervals: Sequence[float]
    conns: Sequence[str]


def ensure(chance: random.Random, style: Style) -> Step:
    kind = chance.choice(("external", "external", "named", "named", "anywhere", "runtime"))
    return {
        "do": "ensure",
        "kind": kind,
        "which": chance.randrange(2),
        "if_exists": chance.choice(("reuse", "reuse", "reuse", "update", "update", "fail", "duplicate")),
        "state_store": chance.random() < 0.7,
        "credentials": chance.choice(("right", "right", "right", "wrong", "none")),
        "at_once": chance.choice((1, 1, 1, 2, 3)),
    }


def kill(chance: random.Random, style: Style) -> Step:
    if chance.random() < 0.4:
        return {"do": "kill", "task": chance.randrange(4), "when": "held"}
    return {"do": "kill", "task": chance.randrange(4), "when": chance.choice((0, 5, 15, 30, 60, 120))}


def create_faults(chance: random.Random, style: Style) -> Step:
    how_many = chance.choice((1, 2, 2, 3))
    return {"do": "faults", "on": "create", "which": [chance.choice(CREATE_FAULTS) for _ in range(how_many)]}


def list_fault(chance: random.Random, style: Style) -> Step:
    return {
        "do": "faults",
        "on": "list",
        "which": [chance.choice(LIST_FAULTS)] * chance.choice((1, 1, 2, 3)),
    }


def update_fault(chance: random.Random, style: Style) -> Step:
    return {"do": "faults", "on": "update", "which": [chance.choice(UPDATE_FAULTS)]}


def row(chance: random.Random) -> int | None:
    """Return the position of a connection, or ``None`` for the one that was changed last."""
    return None if chance.random() < 0.4 else chance.randrange(1000)


def people(chance: random.Random, style: Style) -> Step:
    what = chance.choice(("authorize", "authorize", "authorize", "fail", "lose", "lose", "delete"))
    return {"do": "people", "what": what, "row": row(chance)}


def wait(chance: random.Random, style: Style) -> Step:
    step: Step = {
        "do": "wait",
        "rows": [row(chance) for _ in range(chance.choice((1, 1, 1, 2)))],
        "interval": chance.choice(style.intervals),
        "upstream": chance.random() < 0.4,
        "fail_fast": chance.random() < 0.8,
        "conn": chance.choice(style.conns),
        "filter": chance.choice((None, None, None, None, "folder_id", "project_id", "external_id")),
    }
    if chance.random() < 0.1:
        step["timeout"] = 2.0
    return step


def watch(chance: random.Random, style: Style) -> Step:
    return {
        "do": "watch",
        "filter": chance.choice((None, "connection_id", "folder_id", "folder_id", "external_id", "provider")),
        "row": row(chance),
        "changes": chance.choice((["authorized", "failed", "lost"], ["lost"], ["authorized"])),
        "interval": min(chance.choice(style.intervals), 0.4),
        "store": chance.random() < 0.8,
        "conn": chance.choice(style.conns),
    }


def slow_turn(chance: random.Random, style: Style) -> list[Step]:
    """Make a create wait long for the rate limiter, and then lose its answer."""
    late = ("slow_server", False, {"max_seconds": chance.choice((1.0, 1.1))})
    busy = chance.random() < 0.3
    before = [] if busy else [("rate_limited_seconds", None, {"seconds": 2})]
    return [
        *([{"do": "busy", "calls": 24}] if busy else []),
        {"do": "faults", "on": "create", "which": [*before, late]},
        ensure(chance, style) | {"at_once": 1},
    ]


def old_list(chance: random.Random, style: Style) -> list[Step]:
    """Change a connection while its list is not fetched for a long time, and then wait for it."""
    conn = chance.choice(style.conns)
    plain = {"upstream": False, "filter": None, "conn": conn, "fail_fast": True, "do": "wait"}
    return [
        {"do": "people", "what": "authorize", "row": chance.randrange(1000)},
        {"do": "leave", "which": "all"},
        {**plain, "rows": [chance.randrange(1000) for _ in range(2)], "interval": 60.0, "fail_fast": False},
        {"do": "pause", "for": chance.choice((200, 400))},
        {"do": "people", "what": chance.choice(("lose", "lose", "fail")), "row": None},
        {"do": "pause", "for": chance.choice((300, 900, 900))},
        {**plain, "rows": [None], "interval": chance.choice((0.1, 0.2))},
    ]


def narrow_watch(chance: random.Random, style: Style) -> list[Step]:
    """Start a watch with a filter, then one without, and change connections once both know the workspace."""
    together = {"interval": min(chance.choice(style.intervals), 0.4), "conn": chance.choice(style.conns)}
    everything = {"filter": None, "changes": ["authorized", "failed", "lost"], "store": True}
    return [
        {"do": "leave", "which": "all"},
        {**watch(chance, style), **together, "filter": "folder_id", "row": chance.randrange(1000)},
        {**watch(chance, style), **together, **everything},
        {"do": "quiet"},
        *[
            {"do": "people", "what": chance.choice(("authorize", "lose")), "row": chance.randrange(1000)}
            for _ in "12"
        ],
        {"do": "quiet"},
    ]


def fork(chance: random.Random) -> list[Step]:
    """Fork a process that has used its hook, while creates are so slow that both sides wait at once."""
    slow = ("delay", True, {"seconds": 0.4})
    return [
        {"do": "faults", "on": "create", "which": [slow] * 4},
        {"do": "fork", "creates": 3, "after": chance.choice((0, 30))},
    ]


def entries(chance: random.Random) -> list[Step]:
    """Run two entries of one list that mean the same connection."""
    return [{"do": "entries", "at_once": chance.random() < 0.5, "after": chance.choice((0, 30))}]


def declared_set(chance: random.Random) -> list[Step]:
    """Apply a set beside a connection that it does not declare; twice at once, or killed and retried."""
    return [
        {"do": "row", "folder": SET_FOLDER},
        *([create_faults(chance, Style((), ()))] if chance.random() < 0.5 else []),
        {
            "do": "set",
            "which": sorted(chance.sample(range(SETS), chance.randrange(1, SETS + 1))),
            "version": chance.randrange(2),
            "prune": chance.choice(("report", "disconnect", "delete", "delete")),
            "at_once": chance.choice((1, 2, 2)),
            "killed": chance.choice((None, None, 30, 120, 300)),
        },
    ]


#: How to draw each kind of step, and its weight.
DRAW: Mapping[str, tuple[Callable[[random.Random, Style], Step | list[Step]], float]] = {
    "ensure": (ensure, 14),
    "kill": (kill, 6),
    "retry": (lambda c, _: {"do": "retry", "task": c.randrange(4)}, 3),
    "busy": (lambda c, _: {"do": "busy", "calls": c.choice((8, 12, 20))}, 2),
    "create faults": (create_faults, 9),
    "list faults": (list_fault, 5),
    "update fault": (update_fault, 1),
    "stranger": (lambda c, _: {"do": "stranger", "which": c.randrange(2)}, 1.5),
    "row": (lambda c, _: {"do": "row", "folder": c.choice(FOLDERS)}, 3),
    "people": (people, 12),
    "wait": (wait, 10),
    "watch": (watch, 5),
    "leave": (lambda c, _: {"do": "leave", "which": c.choice((*range(8), "all"))}, 2),
    "triggerer killed": (lambda c, _: {"do": "triggerer", "dead_for": c.choice((0, 0, 100, 400))}, 3),
    "clock": (lambda c, _: {"do": "clock", "by": c.choice((-3600, -60, -5, -1, 1, 5, 60, 3600))}, 3),
    "token": (lambda *_: {"do": "token"}, 2),
    "look-ups fail": (lambda c, _: {"do": "vault", "for": c.choice((100, 300))}, 2),
    "time passes": (lambda c, _: {"do": "pause", "for": c.choice((50, 200, 500, 900))}, 6),
    "slow turn": (slow_turn, 2),
    "old list": (old_list, 2),
    "narrow watch": (narrow_watch, 2),
    "quiet": (lambda *_: {"do": "quiet"}, 3),
}

#: The steps that some seeds have more of, so that rare events coincide.
THEMES: tuple[tuple[str, ...], ...] = (
    (),
    ("ensure", "create faults", "kill"),
    ("ensure", "create faults", "busy"),
    ("wait", "people", "time passes"),
    ("wait", "watch", "list faults"),
    ("watch", "people", "triggerer killed"),
    ("ensure", "stranger", "people"),
    ("wait", "ensure", "clock"),
    ("wait", "people", "leave"),
)


def history(seed: int, *, steps: int) -> list[Step]:
    """Draw a history.

    :param seed: the seed; the same seed gives the same history.
    :param steps: the number of steps, without the quiet at the end.
    """
    chance = random.Random(seed)  # noqa: S311 - steps, not secrets
    theme = THEMES[seed % len(THEMES)]
    style = Style(chance.choice(PALETTES), chance.choice(CONNS))
    names = list(DRAW)
    weights = [DRAW[name][1] * (3 if name in theme else 1) for name in names]
    drawn: list[Step] = []
    while len(drawn) < steps:
        (name,) = chance.choices(names, weights)
        some = DRAW[name][0](chance, style)
        drawn += some if isinstance(some, list) else [some]
    drawn = [{**step, "after": chance.choice((0, 0, 10, 30, 80))} for step in drawn[:steps]]
    # Drawn apart, so that a seed's other steps stay the same.
    for kind, draw in (("fork", fork), ("entries", entries), ("set", declared_set)):
        apart = random.Random(f"{kind} {seed}")  # noqa: S311 - steps, not secrets
        if apart.random() < 0.4:
            where = apart.randrange(len(drawn) + 1)
            drawn[where:where] = draw(apart)
    return [*drawn, {"do": "quiet"}]
