"""How the app behind a connection responds to credentials: words in them decide."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Outcome(IntEnum):
    """The outcome of testing credentials. The highest of several counts."""

    ACCEPTED = 0
    FAILED = 1
    EXCEPTION = 2
    MALFORMED = 3


#: A string in ``input``, at any depth, that starts with one of these words has this outcome.
CREDENTIAL_WORDS: Mapping[str, Outcome] = {
    "wrong-credentials": Outcome.FAILED,
    "raise-exception": Outcome.EXCEPTION,
    "malformed-credentials": Outcome.MALFORMED,
}


def check_credentials(value: Any) -> Outcome:
    """Test credentials by the strings in them. None of them is kept.

    :param value: any JSON value.
    """
    worst = Outcome.ACCEPTED
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            worst = max(worst, _check_string(item))
    return worst


def _check_string(text: str) -> Outcome:
    return max(
        (outcome for word, outcome in CREDENTIAL_WORDS.items() if text.startswith(word)),
        default=Outcome.ACCEPTED,
    )


def authorization_error(*, provider: str, outcome: Outcome) -> str | None:
    """Return the ``authorization_error`` of an outcome, None if the credentials were accepted.

    :param provider: the connection's provider.
    :param outcome: how the app responded.
    """
    if outcome is Outcome.FAILED:
        return f"{provider}: 401 Unauthorized, the app refused the credentials"
    if outcome is Outcome.EXCEPTION:
        return f"{provider}: the connection test raised an exception"
    return None
