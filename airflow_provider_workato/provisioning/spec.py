"""The fields of a connection as a caller gives them, checked once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_workato.arguments import UNSET, UNSETTABLE, drop_none, to_flag, to_id, to_string
from airflow_provider_workato.provisioning.identity import Identity

log = logging.getLogger(__name__)

#: Checks of the arguments that are not strings.
_CHECKS: dict[str, Callable[..., Any]] = {
    "folder_id": to_id,
    "parent_id": to_id,
    "custom_oauth_profile_id": to_id,
    "shell_connection": to_flag,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSpec:
    """The fields of a connection to create, find or change, without its credentials.

    Build it with :meth:`checked`. A field that is ``None`` was not given and is not sent.

    :param name: the connection's name.
    :param provider: the app, for example ``jira``.
    :param folder_id: its folder or project.
    :param parent_id: its parent connection.
    :param external_id: the user's own id for it.
    :param custom_oauth_profile_id: the OAuth profile that people log in with.
    :param shell_connection: whether Workato stores the credentials without testing them.
    :param callback_url: called by Workato when a runtime user has logged in.
    :param redirect_url: where a runtime user is sent after the login.
    :param unset: the names of the fields that an update empties.
    """

    name: str | None = None
    provider: str | None = None
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None
    custom_oauth_profile_id: int | None = None
    shell_connection: bool | None = None
    callback_url: str | None = None
    redirect_url: str | None = None
    unset: frozenset[str] = frozenset()

    @classmethod
    def checked(cls, *required: str, **given: Any) -> Self:
        """Check the arguments of a call.

        :param required: the names of those that must not be ``None``.
        :param given: the arguments; ids may be strings of digits, those of :data:`UNSETTABLE` also
            :data:`UNSET`.
        :raises WorkatoConfigurationError: naming the argument that is not valid.
        """
        for name in ("external_id", "name"):
            if isinstance(value := given.get(name), str) and value != value.strip() != "":
                log.warning("%s is %r: Workato may drop the blanks at its ends.", name, value)
        unset = frozenset(name for name in UNSETTABLE if given.get(name) == UNSET and name not in required)
        return cls(
            unset=unset,
            **{
                name: None
                if name in unset or (value is None and name not in required)
                else _CHECKS.get(name, to_string)(value, what=name)
                for name, value in given.items()
            },
        )

    def payload(self) -> dict[str, Any]:
        """Return what a create sends: the fields that were given."""
        given = asdict(self)
        del given["unset"]
        return drop_none(**given)

    def changes(self) -> dict[str, Any]:
        """Return what an update sends. The provider of a connection cannot change."""
        changes = self.payload() | dict.fromkeys(self.unset)
        return {name: value for name, value in changes.items() if name != "provider"}

    def identity(self) -> Identity:
        """Return the fields that identify this connection."""
        return Identity(
            provider=self.provider,
            name=self.name,
            folder_id=self.folder_id,
            parent_id=self.parent_id,
            external_id=self.external_id,
        )
