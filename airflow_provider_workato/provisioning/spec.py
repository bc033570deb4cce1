"""The fields of a connection as a caller gives them, checked once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_workato.arguments import FIELDS, UNSET, UNSETTABLE, check_field, drop_none
from airflow_provider_workato.authorization import LOGIN_APPS
from airflow_provider_workato.client.calls import json_body
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.provisioning.identity import Identity

if TYPE_CHECKING:
    from airflow_provider_workato.redaction import Sealed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSpec:
    """The fields of a connection to create, find or change.

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
    :param credentials: its parameters, sent as ``input``.
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
    credentials: Sealed | None = None
    unset: frozenset[str] = frozenset()

    @classmethod
    def checked(cls, *required: str, credentials: Sealed | None = None, **given: Any) -> Self:
        """Check the arguments of a call.

        :param required: the names of those that must not be ``None``.
        :param credentials: what the caller gave as ``input``.
        :param given: the arguments; ids may be strings of digits, those of :data:`UNSETTABLE` also
            :data:`UNSET`.
        :raises WorkatoConfigurationError: naming the argument that is not valid.
        """
        for name in ("external_id", "name"):
            if isinstance(value := given.get(name), str) and value != value.strip() != "":
                log.warning("%s is %r: Workato may drop the blanks at its ends.", name, value)
        _check_credentials(credentials, provider=given.get("provider"))
        unset = frozenset(name for name in UNSETTABLE if given.get(name) == UNSET and name not in required)
        return cls(
            credentials=credentials,
            unset=unset,
            **{
                name: FIELDS[name](value, what=name) if name in required else check_field(name, value)
                for name, value in given.items()
                if name not in unset
            },
        )

    def with_credentials(self, credentials: Sealed) -> Self:
        """Return the same with credentials.

        :param credentials: what is sent as ``input``.
        :raises WorkatoConfigurationError: if they are not valid.
        """
        _check_credentials(credentials, provider=self.provider)
        return replace(self, credentials=credentials)

    def payload(self) -> dict[str, Any]:
        """Return what a create sends beside the credentials: the fields that were given."""
        return drop_none(**{name: getattr(self, name) for name in _SENT})

    def changes(self) -> dict[str, Any]:
        """Return what an update sends beside the credentials. The provider of a connection cannot change."""
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


#: The fields that a create sends beside the credentials.
_SENT = tuple(field.name for field in fields(ConnectionSpec) if field.name not in ("credentials", "unset"))


def check_no_password(secrets: Sealed | None, provider: object) -> None:
    """Check that no password is sent to an app that a person logs in to: it would end that login.

    :param secrets: the credentials.
    :param provider: the app.
    :raises WorkatoConfigurationError: if there is one.
    """
    if secrets is None or not isinstance(provider, str) or provider not in LOGIN_APPS:
        return
    if secrets.has_key("password"):
        raise WorkatoConfigurationError(
            f"{provider} takes no password: a person logs in, in Workato or at the login URL of a runtime "
            "user connection. Nothing was sent. Leave 'input' out; wait_for_authorization=True waits for the "
            "login."
        )


def _check_credentials(secrets: Sealed | None, *, provider: object) -> None:
    if secrets is None:
        return
    if isinstance(secrets.reveal(), Mapping):
        if not secrets.reveal():
            raise WorkatoConfigurationError(
                "input is empty: the template or the upstream task that sets it returned nothing. Nothing "
                "was sent. Correct the template or the task, or leave 'input' out if a person authorizes the "
                "connection."
            )
        check_no_password(secrets, provider)
        # Encode it now: the calls before the one that sends it would be in vain.
        json_body({}, secrets=secrets)
        return
    problem = (
        "input must be a dict of parameters such as {'email': '…', 'apitoken': '…'}, not "
        f"{type(secrets.reveal()).__name__}."
    )
    if isinstance(secrets.reveal(), str):
        problem += (
            " Put a template into each value, or give one template alone whose value is a dict, such as "
            "'{{ var.json.jira }}'."
        )
    raise WorkatoConfigurationError(problem)
