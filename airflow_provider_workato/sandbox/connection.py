"""A connection of the workspace: how its app takes credentials, and how the API shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

# Real responses carry the workspace's own UTC offset and milliseconds, not a Z.
_WORKSPACE_ZONE = timezone(timedelta(hours=-7))


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
    return max(map(_check_string, strings_in(value)), default=CredentialOutcome.ACCEPTED)


def strings_in(value: Any) -> Iterator[str]:
    """Yield the strings in a JSON value, at any depth.

    :param value: any JSON value.
    """
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            yield item


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


def timestamp() -> str:
    """Return the current time as the API writes it."""
    return datetime.now(tz=_WORKSPACE_ZONE).isoformat(timespec="milliseconds")


@dataclass(slots=True, kw_only=True)
class StoredConnection:
    """A connection of the workspace. It holds no credentials, only the result of testing each of them."""

    id: int
    name: str
    provider: str
    folder_id: int
    project_id: int | None = None
    description: str | None = None
    parent_id: int | None = None
    custom_oauth_profile_id: int | None = None
    external_id: str | None = None
    authorized_at: str | None = None
    authorization_status: str | None = None
    authorization_error: str | None = None
    connection_lost_at: str | None = None
    connection_lost_reason: str | None = None
    created_at: str = field(default_factory=timestamp)
    updated_at: str = field(default_factory=timestamp)
    tags: list[str] = field(default_factory=list)
    is_runtime_user: bool = False
    active_recipes: int = 0
    audit_log_streaming: bool = False
    outcomes: dict[str, CredentialOutcome] = field(default_factory=dict)
    _json: dict[bool, bytes] = field(default_factory=dict, repr=False)

    def body(self, *, with_tags: bool = False) -> dict[str, Any]:
        """Return the connection as the API shows it.

        :param with_tags: whether the caller asked for tags, which are null otherwise.
        """
        return {
            "application": self.provider,
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "authorized_at": self.authorized_at,
            "authorization_status": self.authorization_status,
            "authorization_error": self.authorization_error,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "external_id": self.external_id,
            "folder_id": self.folder_id,
            "project_id": self.project_id,
            "connection_lost_at": self.connection_lost_at,
            "connection_lost_reason": self.connection_lost_reason,
            "parent_id": self.parent_id,
            "custom_oauth_profile_id": self.custom_oauth_profile_id,
            "provider": self.provider,
            "tags": list(self.tags) if with_tags else None,
        }

    def describe(self) -> dict[str, Any]:
        """Return the connection with the fields that the API does not show."""
        return {
            **self.body(with_tags=True),
            "is_runtime_user": self.is_runtime_user,
            "active_recipes": self.active_recipes,
            "audit_log_streaming": self.audit_log_streaming,
        }

    def json(self, *, with_tags: bool) -> bytes:
        """Return the connection as JSON. It is cached until the connection changes.

        :param with_tags: as in :meth:`body`.
        """
        if with_tags not in self._json:
            self._json[with_tags] = json.dumps(self.body(with_tags=with_tags), separators=(",", ":")).encode()
        return self._json[with_tags]

    def touch(self) -> None:
        """Update the time stamp and drop the cached JSON."""
        self.updated_at = timestamp()
        self._json.clear()

    def set_status(self, status: str | None, *, error: str | None = None) -> None:
        """Set the status after an attempt to authorize, or clear it.

        :param status: ``success``, ``failed``, ``exception`` or None.
        :param error: the reason of a failure.
        """
        self.authorization_status = status
        self.authorization_error = error
        self.connection_lost_at = None
        self.connection_lost_reason = None
        # Recorded responses stamp this on failed attempts too.
        self.authorized_at = None if status is None else timestamp()
        self.touch()

    @property
    def is_established(self) -> bool:
        """Whether the connection is authorized and not lost."""
        return self.authorization_status == "success" and self.connection_lost_at is None

    @property
    def is_in_use(self) -> bool:
        """Whether something uses the connection, so that it cannot be deleted."""
        return self.active_recipes > 0 or self.audit_log_streaming
