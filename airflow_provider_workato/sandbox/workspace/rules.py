"""The documented rules by which the sandbox accepts or refuses credentials and providers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

#: Providers whose connections only a person can authorize, on the consent page.
OAUTH_ONLY_PROVIDERS = frozenset({"gmail", "google_drive", "google_sheets", "salesforce", "slack"})

#: Providers that can be authorized on the consent page.
OAUTH_PROVIDERS = OAUTH_ONLY_PROVIDERS | {"github", "hubspot", "jira", "zendesk"}

#: A provider name that is well-formed and yet refused.
NO_SUCH_PROVIDER = "no_such_app"
_PROVIDER = re.compile(r"[a-z0-9_]{1,100}")


class Verdict(IntEnum):
    """What the app behind a connection says to credentials; the highest of several counts."""

    ACCEPTED = 0
    FAILED = 1
    EXCEPTION = 2
    MALFORMED = 3


#: A text in ``input``, at any depth, that starts with one of these words decides the verdict.
CREDENTIAL_WORDS: Mapping[str, Verdict] = {
    "wrong-credentials": Verdict.FAILED,
    "raise-exception": Verdict.EXCEPTION,
    "malformed-credentials": Verdict.MALFORMED,
}


def is_known_provider(provider: str) -> bool:
    """
    Say whether a provider name is accepted.

    :param provider: name as sent
    """
    return provider != NO_SUCH_PROVIDER and _PROVIDER.fullmatch(provider) is not None


def judge(value: Any) -> Verdict:
    """
    Judge credentials by their leaves; nothing of them is kept.

    :param value: any JSON value
    """
    worst = Verdict.ACCEPTED
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            worst = max(worst, _judge_text(item))
    return worst


def _judge_text(text: str) -> Verdict:
    return max(
        (verdict for word, verdict in CREDENTIAL_WORDS.items() if text.startswith(word)),
        default=Verdict.ACCEPTED,
    )


def refusal_text(*, provider: str, verdict: Verdict) -> str | None:
    """
    Return the ``authorization_error`` for a verdict, or None when the credentials were accepted.

    :param provider: provider of the connection
    :param verdict: what the app said
    """
    if verdict is Verdict.FAILED:
        return f"{provider}: 401 Unauthorized, the app refused the credentials"
    if verdict is Verdict.EXCEPTION:
        return f"{provider}: the connection test raised an exception"
    return None
