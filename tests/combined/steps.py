"""The histories: what happens in a play, step by step, drawn from a seed.

A step is a dict of JSON values that can be played whatever happened before, so that any part of a history is
a history, too: one that fails can be cut down to what it takes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

Step = dict[str, Any]

#: What the processes agree on, so that what takes a minute at Workato takes a moment here.
READ_TIMEOUT = 0.7
SERVER_TIMEOUT = 1.5
RETRY_BUDGET = 6.0
FRESH = 1.0
CALLS_PER_SECOND = 8
LISTS_PER_MINUTE = 600
#: A call that Workato is slow with is carried out within this time, be its client there or not.
LATEST = 1.1

FOLDERS = (1892, 4515)
INTERVALS = (0.1, 0.1, 0.2, 0.2, 0.4, 3.0, 60.0)

#: What may go wrong with a create: (fault, whether it is carried out, parameters).
CREATE_FAULTS: tuple[tuple[str, bool | None, dict[str, Any]], ...] = (
    ("slow_server", False, {"max_seconds": 1.1}),
    ("slow_server", False, {"max_seconds": 1.0}),
    ("slow_server", True, {"max_seconds": 1.0}),
    ("rate_limited_seconds", None, {"seconds": 2}),
    ("rate_limited_seconds", None, {"seconds": 1}),
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

#: What may go wrong with a list.
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

UPDATE_FAULTS = CREATE_FAULTS[5:7] + CREATE_FAULTS[10:12] + CREATE_FAULTS[16:17]


def ensure(chance: random.Random) -> Step:
    kind = chance.choice(("external", "external", "named", "named", "anywhere", "runtime"))
    return {
        "do": "ensure",
        "kind": kind,
        "which": chance.randrange(2),
        "if_exists": chance.choice(("reuse", "reuse", "reuse", "update", "update", "fail", "duplicate")),
        "ledger": chance.random() < 0.7,
        "credentials": chance.choice(("right", "right", "right", "wrong", "none")),
        "at_once": chance.choice((1, 1, 1, 2, 3)),
    }


def kill(chance: random.Random) -> Step:
    if chance.random() < 0.4:
        return {"do": "kill", "task": chance.randrange(4), "when": "held"}
    return {"do": "kill", "task": chance.randrange(4), "when": chance.choice((0, 5, 15, 30, 60, 120))}


def create_faults(chance: random.Random) -> Step:
    how_many = chance.choice((1, 1, 2))
    return {"do": "faults", "on": "create", "which": [chance.choice(CREATE_FAULTS) for _ in range(how_many)]}


def list_fault(chance: random.Random) -> Step:
    return {
        "do": "faults",
        "on": "list",
        "which": [chance.choice(LIST_FAULTS)] * chance.choice((1, 1, 2, 3)),
    }


def update_fault(chance: random.Random) -> Step:
    return {"do": "faults", "on": "update", "which": [chance.choice(UPDATE_FAULTS)]}


def people(chance: random.Random) -> Step:
    return {
        "do": "people",
        "what": chance.choice(("authorize", "authorize", "authorize", "fail", "lose", "lose", "delete")),
        "row": chance.randrange(1000),
    }


def wait(chance: random.Random) -> Step:
    step: Step = {
        "do": "wait",
        "rows": [chance.randrange(1000) for _ in range(chance.choice((1, 1, 1, 2)))],
        "interval": chance.choice(INTERVALS),
        "upstream": chance.random() < 0.4,
        "fail_fast": chance.random() < 0.8,
        "conn": chance.choice(("workato_default", "workato_quick")),
        "filter": chance.choice((None, None, None, None, "folder_id", "project_id", "external_id")),
    }
    if chance.random() < 0.1:
        step["timeout"] = 2.0
    return step


def watch(chance: random.Random) -> Step:
    return {
        "do": "watch",
        "filter": chance.choice((None, "connection_id", "folder_id", "folder_id", "external_id", "provider")),
        "row": chance.randrange(1000),
        "changes": chance.choice((["authorized", "failed", "lost"], ["lost"], ["authorized"])),
        "interval": chance.choice((0.1, 0.1, 0.2, 0.4)),
        "store": chance.random() < 0.8,
        "conn": chance.choice(("workato_default", "workato_quick")),
    }


#: How to draw each kind of step, and how often.
DRAW: Mapping[str, tuple[Callable[[random.Random], Step], float]] = {
    "ensure": (ensure, 14),
    "kill": (kill, 6),
    "retry": (lambda c: {"do": "retry", "task": c.randrange(4)}, 3),
    "busy": (lambda c: {"do": "busy", "calls": c.choice((4, 8, 12))}, 2),
    "create faults": (create_faults, 9),
    "list faults": (list_fault, 5),
    "update fault": (update_fault, 1),
    "stranger": (lambda c: {"do": "stranger", "which": c.randrange(2)}, 1.5),
    "row": (lambda c: {"do": "row", "folder": c.choice(FOLDERS)}, 3),
    "people": (people, 12),
    "wait": (wait, 10),
    "watch": (watch, 5),
    "leave": (lambda c: {"do": "leave", "which": c.randrange(8)}, 2),
    "triggerer killed": (lambda c: {"do": "triggerer", "dead_for": c.choice((0, 0, 100, 400))}, 3),
    "clock": (lambda c: {"do": "clock", "by": c.choice((-3600, -60, -5, -1, 1, 5, 60, 3600))}, 3),
    "token": (lambda _: {"do": "token"}, 2),
    "look-ups fail": (lambda c: {"do": "vault", "for": c.choice((100, 300))}, 2),
    "time passes": (lambda c: {"do": "pause", "for": c.choice((50, 200, 500, 900))}, 6),
    "quiet": (lambda _: {"do": "quiet"}, 3),
}

#: What some seeds have more of, so that rare things meet each other.
THEMES: tuple[tuple[str, ...], ...] = (
    (),
    ("ensure", "create faults", "kill"),
    ("ensure", "create faults", "busy"),
    ("wait", "people", "time passes"),
    ("wait", "watch", "list faults"),
    ("watch", "people", "triggerer killed"),
    ("ensure", "stranger", "people"),
    ("wait", "ensure", "clock"),
)


def history(seed: int, *, steps: int) -> list[Step]:
    """
    Draw a history.

    :param seed: the same seed gives the same history
    :param steps: how long it is, apart from the quiet at its end
    """
    chance = random.Random(seed)  # noqa: S311
    theme = THEMES[seed % len(THEMES)]
    names = list(DRAW)
    weights = [DRAW[name][1] * (3 if name in theme else 1) for name in names]
    drawn = [DRAW[name][0](chance) for name in chance.choices(names, weights, k=steps)]
    return [*({**step, "after": chance.choice((0, 0, 10, 30, 80))} for step in drawn), {"do": "quiet"}]
