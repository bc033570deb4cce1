"""Checks of arguments, before any request is made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from airflow_provider_workato.exceptions import WorkatoConfigurationError

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def to_id(value: object, *, what: str = "connection_id") -> int:
    """Return *value* as the number that Workato uses as an id.

    :param value: an integer or a text of digits (as templates give).
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: for everything else, before any request is made.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value) and int(value) > 0:
        return int(value)
    raise WorkatoConfigurationError(
        f"{what} must be a connection's number such as 36, not {_shown(value)}."
        if what == "connection_id"
        else f"{what} must be a number such as 1892, not {_shown(value)}."
    )


def to_optional_id(value: object, *, what: str) -> int | None:
    """Like :func:`to_id`, with ``None`` for an argument that was not given.

    :param value: an integer, a text of digits, or ``None``.
    :param what: the argument's name, for the error.
    """
    return None if value is None else to_id(value, what=what)


def to_flag(value: object, *, what: str) -> bool:
    """Return a boolean, as it is or as a template gives it.

    :param value: a boolean, or one of the strings true, false, yes, no, 1 and 0 in any case.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: for everything else, before any request is made.
    """
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if flag is None:
        raise WorkatoConfigurationError(
            f"{what} must be true or false (also yes, no, 1 or 0), not {_shown(value)}."
        )
    return flag


def to_optional_flag(value: object, *, what: str) -> bool | None:
    """Like :func:`to_flag`, with ``None`` for an argument that was not given.

    :param value: a boolean, a string as for :func:`to_flag`, or ``None``.
    :param what: the argument's name, for the error.
    """
    return None if value is None else to_flag(value, what=what)


def one_of(value: object, choices: Sequence[str], *, what: str) -> None:
    """Check an argument that has a closed set of values.

    :param value: what was given.
    :param choices: the values there are.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is none of them.
    """
    if value not in choices:
        raise WorkatoConfigurationError(f"{what} must be one of {', '.join(choices)}, not {_shown(value)}.")


def connection_ids(value: int | str | Sequence[int | str]) -> list[int]:
    """Return the numbers of the connections to wait for.

    :param value: one id, or a list of them.
    :raises WorkatoConfigurationError: if there is none or one is no number.
    """
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return [to_id(value)]
    # The output of mapped tasks is a lazy sequence: a slice is one call to Airflow, a loop one per item.
    items = value if isinstance(value, (list, tuple)) else value[:]
    if not items:
        raise WorkatoConfigurationError(
            "connection_id is an empty list: there is nothing to wait for. Check the task that gives the ids."
        )
    return [to_id(item) for item in items]


def to_timestamp(value: datetime | str, *, what: str = "updated_after") -> str:
    """Return a point in time as Workato's filters want it, such as ``2026-01-31T08:00:00Z``.

    :param value: an aware datetime, or ISO 8601 text with an offset.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if it is no time or has no time zone.
    """
    moment = parse_time(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise WorkatoConfigurationError(
            f"{what} must be a datetime with a time zone or ISO 8601 text such as 2026-01-31T08:00:00Z."
        )
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(value: object) -> datetime | None:
    """Return the time that *value* stands for, ``None`` if it is none.

    :param value: a timestamp from an answer, with ``Z`` or the workspace's offset.
    """
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _shown(value: object) -> str:
    shown = repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
    return shown[:80]
