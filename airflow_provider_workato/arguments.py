"""Checks of arguments, before a request is sent."""

from __future__ import annotations

import copy
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from airflow_provider_workato.exceptions import WorkatoConfigurationError

T = TypeVar("T")

#: Where people find an id.
_ADDRESSES = {
    "connection_id": "the address of the connection's page in Workato: /connections/36",
    "parent_id": "the address of the connection's page in Workato: /connections/36",
    "folder_id": "the address of the folder's page in Workato: /?fid=1892",
}

#: What a template renders for a missing value: nothing, Jinja's None, and the default of Airflow 3's ``var``.
EMPTY = ("", "None", "NOTSET")

#: Empties a field of an existing connection. ``None`` cannot mean that: it stands for an argument left out.
UNSET = "unset"

#: The fields that it empties.
UNSETTABLE = ("parent_id", "custom_oauth_profile_id")

#: The longest name that Workato documents, in characters.
_LONGEST = 255

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def to_id(value: object, *, what: str = "connection_id") -> int:
    """Return *value* as the number that Workato uses as an id.

    :param value: an integer or a string of digits, which is what a template gives.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value) and int(value) > 0:
        return int(value)
    is_connection = what in ("connection_id", "parent_id")
    kind = "a connection's number such as 36" if is_connection else "a number such as 1892"
    raise WorkatoConfigurationError(f"{what} must be {kind}, not {_shown(value)}.{_hint(value, what=what)}")


def _hint(value: object, *, what: str) -> str:  # noqa: PLR0911 - one for each mistake
    """Return what the error for an invalid id advises, with a leading space."""
    if value is None or (isinstance(value, str) and value.strip() in EMPTY):
        return " The upstream task or template gave no id: check whether it succeeded and what it returned."
    if isinstance(value, str) and what in UNSETTABLE and value.strip().lower() in (UNSET, "none", "null"):
        return f" To empty it, write {UNSET!r}; to leave it as it is, leave it out."
    if isinstance(value, str) and (value.startswith("[") or "," in value) and not _is_object(value):
        return (
            " It is the text of a list. A sensor takes lists: pass the task's output, or one template alone, "
            "such as '{{ params.ids }}'."
        )
    if isinstance(value, str) and (found := re.fullmatch(r"([\w.-]+)\.output", value)):
        return (
            " It is a string, not the output of a task. Where there is no Python, use the template "
            f"{{{{ ti.xcom_pull(task_ids='{found[1]}') }}}}."
        )
    if hasattr(value, "task_id") and hasattr(value, "output"):
        return f" It is the task {value.task_id!r}: pass its output, as in create.output."
    if is_output(value):
        return (
            " It is the output of a task, inside something in which Airflow does not look for one. Pass it "
            "alone or in a list."
        )
    if _is_object(value) and what != "folder_id":
        where = "It is a whole connection: pass its id, as in create.output"
    else:
        where = f"It is in {_ADDRESSES[what]}" if what in _ADDRESSES else ""
    return f" {where}." if where else ""


def to_flag(value: object, *, what: str) -> bool:
    """Return *value* as a boolean.

    :param value: a boolean, or true, false, yes, no, 1 or 0 in any case, as a template gives them.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is anything else.
    """
    flag = parse_flag(value) if isinstance(value, (str, int)) else None
    if flag is None:
        raise WorkatoConfigurationError(
            f"{what} must be true or false (also yes, no, 1 or 0), not {_shown(value)}."
        )
    return flag


def parse_flag(value: object) -> bool | None:
    """Return the boolean that *value* stands for, ``None`` if it stands for none.

    :param value: a boolean, or true, false, yes, no, 1 or 0 in any case.
    """
    return _FLAGS.get(str(value).strip().lower())


def to_string(value: object, *, what: str) -> str:
    """Return *value*, a string that names something.

    :param value: a non-empty string.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if it is among :data:`EMPTY`, or not a string.
    """
    if isinstance(value, str) and value.strip() in EMPTY:
        # Two connections with the external id "None" would be taken for one.
        raise WorkatoConfigurationError(
            f"{what} is {value!r}: probably a template rendered a value that is None or empty. Nothing was "
            "sent. Correct the template, or leave the argument out."
        )
    if not isinstance(value, str):
        advice = f" Write {str(value)!r}." if type(value) in (int, float) else ""
        raise WorkatoConfigurationError(f"{what} must be a string, not {type(value).__name__}.{advice}")
    return value


def is_plain(text: str) -> bool:
    """Tell whether a server has no reason to store *text* in another form.

    :param text: a name or an external id.
    """
    return text == unicodedata.normalize("NFC", text.strip()) and len(text) <= _LONGEST


def is_stored_form(shown: str, sent: str) -> bool:
    """Tell whether *shown* is *sent* as a server may store it: trimmed, normalised or cut.

    :param shown: a name or an external id, as an answer shows it.
    :param sent: the text that was sent.
    """
    if shown == sent or is_plain(sent):
        return shown == sent
    stored, whole = (unicodedata.normalize("NFD", text.strip()) for text in (shown, sent))
    return stored == whole or is_cut(shown, sent)


def is_cut(shown: str, sent: str) -> bool:
    """Tell whether *shown* is the beginning of *sent*, cut to the longest text that the server stores.

    :param shown: a name or an external id, as an answer shows it.
    :param sent: the text that was sent.
    """
    stored, whole = (unicodedata.normalize("NFD", text.strip()) for text in (shown, sent))
    return len(shown) >= _LONGEST and stored != whole and whole.startswith(stored)


def drop_none(**arguments: T | None) -> dict[str, T]:
    """Return the arguments that were given, by name.

    :param arguments: arguments, ``None`` for those left out.
    """
    return {name: value for name, value in arguments.items() if value is not None}


def one_of(value: object, choices: Sequence[str], *, what: str) -> None:
    """Check an argument that has a closed set of values.

    :param value: the argument.
    :param choices: the values allowed.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if *value* is not among *choices*.
    """
    if value not in choices:
        raise WorkatoConfigurationError(f"{what} must be one of {', '.join(choices)}, not {_shown(value)}.")


def connection_ids(value: object) -> list[int]:
    """Return the ids of the connections to wait for.

    :param value: an id; or a list, or anything else to iterate over, of ids or further lists, such as the
        outputs of two mapped tasks.
    :raises WorkatoConfigurationError: if there is no id, or an item is not an id.
    """
    ids = [to_id(item) for item in _leaves(value)]
    if not ids:
        raise WorkatoConfigurationError(
            "connection_id is an empty list: there is nothing to wait for. Check the task that gives the ids."
        )
    return ids


def _leaves(value: object) -> Iterator[object]:
    # An output that Airflow has not replaced cannot be iterated over, although it looks as if.
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)) or is_output(value):
        yield value
        return
    for item in _fetched(value):
        yield from _leaves(item)


def _fetched(items: Iterable[object]) -> Iterable[object]:
    """Fetch the output of mapped tasks. A slice costs one call to Airflow, a loop one for each item.

    What Airflow makes of ``concat()``, ``zip()`` and ``map()`` keeps such outputs inside. It takes no slices,
    or passes them on to the function of ``map()``.
    """
    if not isinstance(items, Sequence) or isinstance(items, (list, tuple)):
        return items
    for name in ("values", "value"):
        if isinstance(inside := getattr(items, name, None), (Sequence, Mapping)):
            fetched = copy.copy(items)
            every = [_fetched(each) for each in inside] if name == "values" else _fetched(inside)
            setattr(fetched, name, every)
            return fetched
    try:
        whole: Iterable[object] = items[:]
    except TypeError:
        # A deque, for example.
        return items
    return whole


def is_output(value: object) -> bool:
    """Return whether *value* is the output of a task that Airflow has not replaced by its value.

    :param value: an argument.
    """
    return hasattr(value, "iter_references")


def to_count(value: object, *, what: str) -> int:
    """Return a number of things.

    :param value: an integer, or a string of digits.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if it is neither, or less than 0.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    raise WorkatoConfigurationError(f"{what} must be a whole number such as 5, not {_shown(value)}.")


def to_optional_count(value: object, *, what: str) -> int | None:
    """Like :func:`to_count`, with ``None`` for no limit.

    :param value: an integer, a string of digits, or ``None``.
    :param what: the argument's name, for the error.
    """
    return None if value is None else to_count(value, what=what)


def to_seconds(value: object, *, what: str) -> float:
    """Return an interval in seconds.

    :param value: a number, a string with a number, or a ``timedelta``.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if it is none of these, not finite, or not greater than 0.
    """
    seconds = math.nan
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            seconds = float(value)
    if not math.isfinite(seconds) or seconds <= 0:
        raise WorkatoConfigurationError(f"{what} must be a number of seconds greater than 0, such as 60.")
    return seconds


def to_timestamp(value: datetime | str, *, what: str) -> str:
    """Return a time as Workato's filters expect it, such as ``2026-01-31T08:00:00Z``.

    :param value: an aware datetime, or an ISO 8601 string with an offset.
    :param what: the argument's name, for the error.
    :raises WorkatoConfigurationError: if it is not a time or has no time zone.
    """
    moment = parse_time(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise WorkatoConfigurationError(
            f"{what} must be a datetime with a time zone, or an ISO 8601 string such as 2026-01-31T08:00:00Z."
        )
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


#: How each field of a connection is checked, and each filter of the list of connections.
FIELDS: dict[str, Callable[..., Any]] = {
    "name": to_string,
    "provider": to_string,
    "folder_id": to_id,
    "parent_id": to_id,
    "external_id": to_string,
    "custom_oauth_profile_id": to_id,
    "shell_connection": to_flag,
    "callback_url": to_string,
    "redirect_url": to_string,
    "project_id": to_id,
    "include_runtime_connections": to_flag,
    "include_tags": to_flag,
    "updated_after": to_timestamp,
}


def check_field(name: str, value: object) -> Any:
    """Return the value of a field or filter as Workato takes it, ``None`` for one that was not given.

    :param name: one of :data:`FIELDS`.
    :param value: what the caller gave.
    :raises WorkatoConfigurationError: if *value* is not valid.
    """
    return None if value is None else FIELDS[name](value, what=name)


def parse_time(value: object) -> datetime | None:
    """Parse a timestamp of an answer; return ``None`` if it is not one.

    :param value: a timestamp with ``Z`` or the workspace's offset.
    """
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _is_object(value: object) -> bool:
    """Tell whether *value* is a JSON object, or what a template makes of one."""
    return isinstance(value, Mapping) or (isinstance(value, str) and value.startswith("{"))


def _shown(value: object) -> str:
    if _is_object(value):
        # It may hold a login URL.
        return "a dict"
    shown = repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
    return shown[:80]
