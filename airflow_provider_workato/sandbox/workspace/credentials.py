"""How the app behind a connection responds to credentials. Words in the credentials decide."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class CredentialOutcome(IntEnum):
    """The outcome of testing credentials. The highest of several counts."""

    ACCEPTED = 0
    FAILED = 1
    EXCEPTION = 2
    MALFORMED = 3


#: A string in ``input``, at any depth, that starts with one of these words has this outcome.
CREDENTIAL_WORDS: Mapping[str, CredentialOutcome] = {
    "wrong-credentials": CredentialOutcome.FAILED,
    "raise-exception": CredentialOutcome.EXCEPTION,
    "malformed-credentials": CredentialOutcome.MALFORMED,
}


def check_credentials(value: Any) -> CredentialOutcome:
    """Test credentials by the strings in them, without keeping any.

    :param value: any JSON value.
    """
    worst = CredentialOutcome.ACCEPTED
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


def _check_string(text: str) -> CredentialOutcome:
    return max(
        (outcome for word, outcome in CREDENTIAL_WORDS.items() if text.startswith(word)),
        default=CredentialOutcome.ACCEPTED,
    )


def authorization_error(*, provider: str, outcome: CredentialOutcome) -> str | None:
    """Return the ``authorization_error`` of an outcome, None if the credentials were accepted.

    :param provider: the connection's provider.
    :param outcome: how the app responded.
    """
    if outcome is CredentialOutcome.FAILED:
        return f"{provider}: 401 Unauthorized, the app refused the credentials"
    if outcome is CredentialOutcome.EXCEPTION:
        return f"{provider}: the connection test raised an exception"
    return None
