"""The hook for Workato's connections API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_workato import connection_form
from airflow_provider_workato.arguments import to_id, to_optional_id, to_timestamp
from airflow_provider_workato.authorization import not_in_list
from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.answers import (
    PicklistItem,
    RuntimeUserConnection,
    WorkatoConnection,
    decode_connections,
    encode_connection,
    iter_connections,
    parse_connection,
    parse_connections,
    parse_oauth_url,
    parse_outcome,
    parse_picklist,
    parse_runtime_user_connection,
    split_connections,
)
from airflow_provider_workato.client.calls import Call, json_body
from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.client.transport import Transport
from airflow_provider_workato.exceptions import (
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoNotFoundError,
)
from airflow_provider_workato.provisioning import create_once
from airflow_provider_workato.provisioning.identity import Identity
from airflow_provider_workato.redaction import Sealed, seal

if TYPE_CHECKING:
    from datetime import datetime

    import msgspec
    import requests

    from airflow_provider_workato.client.calls import BeforeSend
    from airflow_provider_workato.client.endpoints import Endpoint
    from airflow_provider_workato.provisioning.create_once import IfExists, OnKnown
    from airflow_provider_workato.provisioning.ledger import Ledger

T = TypeVar("T")

#: Filters that are not documented everywhere: a data center that does not know one ignores it.
_EXACT = frozenset({"provider", "external_id", "parent_id", "project_id"})

#: What a delete or disconnect returns that found nothing to do.
MISSING: dict[str, Any] = {"success": True, "status": "missing"}


class WorkatoConnectionsHook(BaseHook):
    """Create, find, change and remove the connections of a Workato workspace.

    Every call is timed, paced to the workspace's quotas and repeated where that is safe; what
    goes wrong is a :class:`~airflow_provider_workato.exceptions.WorkatoError` of the class that
    says what to do about it. Endpoints: https://docs.workato.com/en/workato-api/connections.html

    :param workato_conn_id: the :ref:`Airflow connection <howto/connection:workato>` with the API token.
    """

    conn_name_attr = "workato_conn_id"
    default_conn_name = "workato_default"
    conn_type = "workato"
    hook_name = "Workato"

    def __init__(self, workato_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.workato_conn_id = workato_conn_id

    @classmethod
    def with_settings(cls, settings: WorkatoSettings) -> Self:
        """Return a hook for settings that were read before, so that it never asks Airflow for them.

        :param settings: the fields of the Airflow connection.
        """
        hook = cls(settings.conn_id)
        hook.settings = settings
        return hook

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields, for Airflow below 3.2."""
        return connection_form.form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the form hides and renames, for Airflow below 3.2."""
        return connection_form.ui_field_behaviour()

    @cached_property
    def settings(self) -> WorkatoSettings:
        """The fields of the Airflow connection, checked.

        :raises WorkatoConfigurationError: naming the field as the form labels it.
        """
        return WorkatoSettings.from_airflow(self.get_connection(self.workato_conn_id))

    @cached_property
    def transport(self) -> Transport:
        """The session and its manners."""
        return Transport(self.settings)

    def get_conn(self) -> requests.Session:
        """Return the session that all calls of this hook reuse; it adds the token by itself."""
        return self.transport.session

    def close(self) -> None:
        """Close the session, if one was opened."""
        if "transport" in self.__dict__:
            self.transport.session.close()
            del self.__dict__["transport"]

    def list_connections(
        self,
        *,
        folder_id: int | str | None = None,
        project_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        provider: str | None = None,
        include_runtime_connections: bool = False,
        include_tags: bool = False,
        updated_after: datetime | str | None = None,
    ) -> list[WorkatoConnection]:
        """Return the workspace's connections, as far as the token may see them.

        :param folder_id: only those of this folder.
        :param project_id: only those of this project.
        :param parent_id: only those with this parent connection.
        :param external_id: only those with this external id.
        :param provider: only those of this app, for example ``jira``.
        :param include_runtime_connections: also the connections of runtime users.
        :param include_tags: fill ``tags``.
        :param updated_after: only those changed since; a datetime with a time zone or ISO 8601 text.
        :raises WorkatoError: of the class that says what to do about it.
        """
        return self._list(
            folder_id=folder_id,
            project_id=project_id,
            parent_id=parent_id,
            external_id=external_id,
            provider=provider,
            include_runtime_connections=include_runtime_connections,
            include_tags=include_tags,
            updated_after=updated_after,
        )

    def iter_connections(self, **filters: Any) -> Iterator[WorkatoConnection]:
        """Like :meth:`list_connections`, decoding row by row so that other threads get their turn.

        :param filters: as for :meth:`list_connections`.
        """
        return self._matching(iter_connections, **filters)

    def raw_connections(self, **filters: Any) -> list[msgspec.Raw]:
        """Like :meth:`list_connections`, without decoding the rows: neither checked nor free of credentials.

        :param filters: as for :meth:`list_connections`.
        """
        if _EXACT.isdisjoint(filters):
            return list(self._matching(split_connections, **filters))
        # Only a decoded row can be compared with a filter.
        return [encode_connection(row) for row in self.iter_connections(**filters)]

    def find_connection(self, connection_id: int | str, **filters: Any) -> WorkatoConnection:
        """Return one connection. Workato has no call for that: it is picked from the list.

        :param connection_id: the connection.
        :param filters: what narrows the list, as for :meth:`list_connections`; runtime user
            connections are included unless *include_runtime_connections* says otherwise.
        :raises WorkatoNotFoundError: if the list does not show it.
        """
        wanted = to_id(connection_id)
        filters.setdefault("include_runtime_connections", True)
        for row in self.list_connections(**filters):
            if row["id"] == wanted:
                return row
        raise not_in_list([wanted])

    def create_connection(
        self,
        *,
        name: str,
        provider: str,
        folder_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        shell_connection: bool | None = None,
        input: Mapping[str, Any] | Sealed | None = None,
    ) -> WorkatoConnection:
        """Create a connection. Calling this twice makes two; see :meth:`ensure_connection`.

        :param name: the connection's name.
        :param provider: the app, for example ``jira``; ``rest`` for plain HTTP.
        :param folder_id: the folder or project to put it in.
        :param parent_id: the parent connection, of the same provider.
        :param external_id: your own id for it.
        :param shell_connection: keep the credentials without testing them.
        :param input: the connection's parameters, which are credentials. Without them the
            connection stays disconnected until somebody authorizes it.
        :returns: the connection; see its ``authorization_status`` for whether the app accepted *input*.
        :raises WorkatoError: one for which :func:`~airflow_provider_workato.client.retries.is_ambiguous`
            holds means that the connection may exist all the same.
        """
        secrets = seal(input)
        input = secrets
        return self._create_connection(
            name=name,
            provider=provider,
            folder_id=folder_id,
            parent_id=parent_id,
            external_id=external_id,
            shell_connection=shell_connection,
            secrets=secrets,
        )

    def _create_connection(
        self,
        *,
        name: str,
        provider: str,
        folder_id: int | str | None,
        parent_id: int | str | None,
        external_id: str | None,
        shell_connection: bool | None,
        secrets: Sealed | None,
        before_send: BeforeSend | None = None,
    ) -> WorkatoConnection:
        payload = _given(
            name=_text(name, what="name"),
            provider=_text(provider, what="provider"),
            folder_id=to_optional_id(folder_id, what="folder_id"),
            parent_id=to_optional_id(parent_id, what="parent_id"),
            external_id=_optional_text(external_id, what="external_id"),
            shell_connection=shell_connection,
        )
        return self._change(endpoints.CREATE, payload=payload, secrets=secrets, before_send=before_send)

    def ensure_connection(
        self,
        *,
        name: str,
        provider: str,
        folder_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        shell_connection: bool | None = None,
        input: Mapping[str, Any] | Sealed | None = None,
        if_exists: IfExists = "reuse",
        ledger: Ledger | None = None,
        on_known: OnKnown | None = None,
    ) -> WorkatoConnection:
        """Make sure that a connection exists, once.

        One list call looks for it: by *external_id* and *provider* (and folder and parent, if given)
        or else by *name*, *provider* and parent (and folder, if given). A create whose answer is lost
        is looked for before it is sent again. Of all processes of this user on this machine one at a time
        looks for and makes a connection; those of other machines are not seen: let no two of them make the
        same connection at once.

        :param name: the connection's name.
        :param provider: the app, for example ``jira``.
        :param folder_id: the folder or project to put it in.
        :param parent_id: the parent connection, of the same provider.
        :param external_id: your own id for it.
        :param shell_connection: keep the credentials without testing them.
        :param input: the connection's parameters, which are credentials.
        :param if_exists: ``reuse`` it as it is (one that is not authorized is repaired with *input*),
            ``update`` it with what is given here, ``fail``, or make a ``duplicate``.
        :param ledger: where the attempt is noted so that a later one knows of it. Without one, ``fail`` and
            ``duplicate`` cannot tell what an earlier attempt made from what was there before.
        :param on_known: told as soon as the connection is known to exist, also if *input* is refused then.
        :returns: the connection.
        :raises WorkatoExistsError: if it exists and must not, if more than one matches, or if one to be
            changed matches by its name alone, without *folder_id* or *external_id*.
        :raises WorkatoAuthorizationError: if the app refuses *input*; the connection exists then.
        :raises WorkatoBusyError: if another process of this machine keeps making the same connection.
        """
        secrets = seal(input)
        input = secrets
        identity = Identity(
            name=_text(name, what="name"),
            provider=_text(provider, what="provider"),
            folder_id=to_optional_id(folder_id, what="folder_id"),
            parent_id=to_optional_id(parent_id, what="parent_id"),
            external_id=_optional_text(external_id, what="external_id"),
        )
        changes: dict[str, Any] = {
            "name": name,
            "folder_id": folder_id,
            "parent_id": parent_id,
            "external_id": external_id,
            "shell_connection": shell_connection,
        }
        return create_once.Provisioning(
            identity=identity,
            find=lambda: self._list(secrets=secrets, external_id=identity.external_id),
            create=lambda before_send: self._create_connection(
                provider=provider, secrets=secrets, before_send=before_send, **changes
            ),
            update=lambda connection_id, everything: self.update_connection(
                connection_id, input=secrets, **(changes if everything else {})
            ),
            credentials=secrets,
            tests_credentials=not shell_connection,
            if_exists=if_exists,
            ledger=ledger,
            on_known=on_known,
            settings=self.settings,
        ).run()

    def update_connection(
        self,
        connection_id: int | str,
        *,
        name: str | None = None,
        folder_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        shell_connection: bool | None = None,
        input: Mapping[str, Any] | Sealed | None = None,
    ) -> WorkatoConnection:
        """Change a connection. Only what is given is sent.

        :param connection_id: the connection.
        :param name: its new name.
        :param folder_id: the folder or project to move it to.
        :param parent_id: its new parent connection.
        :param external_id: your own id for it.
        :param shell_connection: keep the credentials without testing them.
        :param input: the parameters to change, which are credentials. Leave it out for a
            connection that a person authorized: it would replace what the login set.
        :returns: the connection; see its ``authorization_status`` for whether the app accepted *input*.
        :raises WorkatoConfigurationError: if nothing is given to change.
        """
        secrets = seal(input)
        input = secrets
        payload = _given(
            name=_optional_text(name, what="name"),
            folder_id=to_optional_id(folder_id, what="folder_id"),
            parent_id=to_optional_id(parent_id, what="parent_id"),
            external_id=_optional_text(external_id, what="external_id"),
            shell_connection=shell_connection,
        )
        number = to_id(connection_id)
        if not payload and secrets is None:
            raise WorkatoConfigurationError(
                f"Nothing to change on connection {number}: give name, folder_id, parent_id, external_id, "
                "shell_connection or input."
            )
        return self._change(endpoints.UPDATE, connection_id=number, payload=payload, secrets=secrets)

    def disconnect_connection(
        self, connection_id: int | str, *, force: bool = False, ignore_missing: bool = False
    ) -> dict[str, Any]:
        """Disconnect a connection; one that is disconnected already stays so.

        :param connection_id: the connection.
        :param force: also if active recipes use it.
        :param ignore_missing: return ``"status": "missing"`` if there is no such connection.
        :returns: what the API said.
        :raises WorkatoRejectedError: if active recipes use it and *force* is not set.
        :raises WorkatoNotFoundError: if there is no such connection and *ignore_missing* is not set.
        """
        body = json_body({"force": True}) if force else None
        call = Call(endpoint=endpoints.DISCONNECT, connection_id=to_id(connection_id), body=body)
        try:
            return parse_outcome(self.transport.send(call), operation=call.endpoint.operation)
        except WorkatoNotFoundError as error:
            if not ignore_missing:
                raise
            not_found = error.with_traceback(None)
        self._confirm_missing(call, not_found)
        return MISSING.copy()

    def delete_connection(self, connection_id: int | str, *, ignore_missing: bool = False) -> dict[str, Any]:
        """Delete a connection, authorized or not.

        :param connection_id: the connection.
        :param ignore_missing: return ``"status": "missing"`` if there is no such connection.
        :returns: what the API said.
        :raises WorkatoRejectedError: if active recipes or audit log streaming use it.
        :raises WorkatoNotFoundError: if there is no such connection and *ignore_missing* is not set.
        """
        call = Call(endpoint=endpoints.DELETE, connection_id=to_id(connection_id))
        try:
            return parse_outcome(self.transport.send(call), operation=call.endpoint.operation)
        except WorkatoNotFoundError as error:
            if not (call.answer_lost or ignore_missing):
                raise
            not_found = error.with_traceback(None)
        self._confirm_missing(call, not_found)
        if not call.answer_lost:
            return MISSING.copy()
        self.log.info("Connection %s was deleted by an attempt whose answer was lost.", call.connection_id)
        return {"success": True, "status": "deleted"}

    def _confirm_missing(self, call: Call, not_found: WorkatoNotFoundError) -> None:
        """Ask the list as well: what is no Workato, behind a wrong base URL, answers 404 to everything."""
        rows = self.list_connections(include_runtime_connections=True)
        if any(row["id"] == call.connection_id for row in rows):
            raise not_found

    def find_matching(
        self,
        *,
        provider: str | None = None,
        name: str | None = None,
        folder_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
    ) -> WorkatoConnection:
        """Return the connection that a create with these arguments would take.

        :param provider: the app, for example ``jira``; leave it out for a runtime user's connection.
        :param name: the connection's name; then *provider* and *folder_id* have to be given.
        :param folder_id: the folder or project it is in.
        :param parent_id: its parent connection.
        :param external_id: your own id for it; then *provider* or *parent_id* has to be given.
        :raises WorkatoConfigurationError: if the arguments could mean somebody else's connection.
        :raises WorkatoNotFoundError: if there is none.
        :raises WorkatoExistsError: if there are several.
        """
        identity = Identity(
            provider=_optional_text(provider, what="provider"),
            name=_optional_text(name, what="name"),
            folder_id=to_optional_id(folder_id, what="folder_id"),
            parent_id=to_optional_id(parent_id, what="parent_id"),
            external_id=_optional_text(external_id, what="external_id"),
        )
        if identity.external_id is None and None in (identity.name, identity.provider, identity.folder_id):
            raise WorkatoConfigurationError(
                "Give external_id and provider, or name, provider and folder_id: a name alone could be "
                "somebody else's connection."
            )
        if identity.provider is None and identity.parent_id is None:
            raise WorkatoConfigurationError(
                "An external_id needs the provider too, or for a runtime user's connection the parent_id."
            )
        matches = [
            row
            for row in self.list_connections(
                external_id=identity.external_id, include_runtime_connections=identity.provider is None
            )
            if identity.matches(row)
        ]
        if not matches:
            raise WorkatoNotFoundError(
                f"No connection matches {identity}: never made, deleted, or not visible to this token.",
                operation="find_connection",
            )
        return create_once.the_one(matches, identity)

    def get_picklist(
        self,
        connection_id: int | str,
        pick_list_name: str,
        pick_list_params: Mapping[str, Any] | None = None,
    ) -> list[PicklistItem]:
        """Return the values that an app offers for one of its fields.

        :param connection_id: an authorized connection to the app.
        :param pick_list_name: the list, for example ``get_project_issuetypes``.
        :param pick_list_params: what the list depends on, for example ``{"project": "OPS"}``.
        :returns: ``[{"label": …, "value": …}, …]``
        """
        if pick_list_params is not None and not isinstance(pick_list_params, Mapping):
            raise WorkatoConfigurationError("pick_list_params must be an object of names and values.")
        payload = {
            "pick_list_name": _text(pick_list_name, what="pick_list_name"),
            "pick_list_params": dict(pick_list_params or {}),
        }
        call = Call(endpoint=endpoints.PICKLIST, connection_id=to_id(connection_id), body=json_body(payload))
        return parse_picklist(self.transport.send(call))

    def create_runtime_user_connection(
        self,
        *,
        parent_id: int | str,
        folder_id: int | str,
        external_id: str,
        name: str | None = None,
        callback_url: str | None = None,
        redirect_url: str | None = None,
    ) -> RuntimeUserConnection:
        """Create a connection for an end user to log in to. Calling this twice makes two.

        :param parent_id: an established OAuth connection of the same app.
        :param folder_id: the folder or project to put it in.
        :param external_id: your own id for the user.
        :param name: the connection's name.
        :param callback_url: called by Workato once the login succeeded.
        :param redirect_url: where the user is sent after the login.
        :returns: its id and the URL at which the user logs in.
        """
        return self._create_runtime_user_connection(
            parent_id=parent_id,
            folder_id=folder_id,
            external_id=external_id,
            name=name,
            callback_url=callback_url,
            redirect_url=redirect_url,
        )

    def _create_runtime_user_connection(
        self,
        *,
        parent_id: int | str,
        folder_id: int | str,
        external_id: str,
        name: str | None,
        callback_url: str | None,
        redirect_url: str | None,
        before_send: BeforeSend | None = None,
    ) -> RuntimeUserConnection:
        payload = _given(
            parent_id=to_id(parent_id, what="parent_id"),
            folder_id=to_id(folder_id, what="folder_id"),
            external_id=_text(external_id, what="external_id"),
            name=_optional_text(name, what="name"),
            callback_url=_optional_text(callback_url, what="callback_url"),
            redirect_url=_optional_text(redirect_url, what="redirect_url"),
        )
        call = Call(endpoint=endpoints.CREATE_RUNTIME_USER, body=json_body(payload), before_send=before_send)
        return parse_runtime_user_connection(self.transport.send(call))

    def ensure_runtime_user_connection(
        self,
        *,
        parent_id: int | str,
        folder_id: int | str,
        external_id: str,
        name: str | None = None,
        callback_url: str | None = None,
        redirect_url: str | None = None,
        if_exists: IfExists = "reuse",
        ledger: Ledger | None = None,
        on_known: OnKnown | None = None,
    ) -> WorkatoConnection:
        """Make sure that an end user has a connection to log in to, once.

        One list call looks for it by *parent_id* and *external_id*.

        :param parent_id: an established OAuth connection of the same app.
        :param folder_id: the folder or project to put it in.
        :param external_id: your own id for the user.
        :param name: the connection's name.
        :param callback_url: called by Workato once the login succeeded.
        :param redirect_url: where the user is sent after the login.
        :param if_exists: ``reuse`` it, ``update`` its name and folder, ``fail``, or make a ``duplicate``.
        :param ledger: where the attempt is noted so that a later one knows of it. Without one, ``fail`` and
            ``duplicate`` cannot tell what an earlier attempt made from what was there before.
        :param on_known: told as soon as the connection is known to exist.
        :returns: the connection, with the login URL under ``url``.
        :raises WorkatoExistsError: if it exists and must not, or if more than one matches.
        :raises WorkatoBusyError: if another process of this machine keeps making the same connection.
        """
        parent = to_id(parent_id, what="parent_id")
        folder = to_id(folder_id, what="folder_id")
        user = _text(external_id, what="external_id")
        name = _optional_text(name, what="name")

        def create(before_send: BeforeSend) -> WorkatoConnection:
            made = self._create_runtime_user_connection(
                parent_id=parent,
                folder_id=folder,
                external_id=user,
                name=name,
                callback_url=callback_url,
                redirect_url=redirect_url,
                before_send=before_send,
            )
            return {"parent_id": parent, "folder_id": folder, "external_id": user, "name": name, **made}

        connection = create_once.Provisioning(
            identity=Identity(provider=None, parent_id=parent, external_id=user),
            find=lambda: self.list_connections(
                external_id=user, parent_id=parent, include_runtime_connections=True
            ),
            create=create,
            update=lambda connection_id, _: self.update_connection(
                connection_id, name=name, folder_id=folder
            ),
            if_exists=if_exists,
            ledger=ledger,
            on_known=on_known,
            settings=self.settings,
        ).run()
        if not connection.get("url"):
            connection["url"] = self.get_oauth_url(connection["id"])
        return connection

    def get_oauth_url(self, connection_id: int | str) -> str:
        """Return the URL at which a person authorizes a runtime user connection, for the first time or again.

        :param connection_id: the runtime user connection.
        """
        call = Call(endpoint=endpoints.OAUTH_URL, connection_id=to_id(connection_id))
        return parse_oauth_url(self.transport.send(call))

    def test_connection(self) -> tuple[bool, str]:
        """Tell whether the Airflow connection works, by one call with the privilege that everything needs."""
        # Next to nothing has this external id; a whole list can be large.
        call = Call(endpoint=endpoints.LIST, query=[("external_id", "airflow-provider-workato")])
        try:
            # Somebody waits in front of a screen.
            transport = Transport(replace(self.settings, retry_budget=min(10, self.settings.retry_budget)))
            with transport.session:
                parse_connections(transport.send(call))
        except WorkatoError as error:
            return False, str(error)
        return True, f"Workato at {self.settings.place} accepts the API token and lets it list connections."

    def _list(self, *, secrets: Sealed | None = None, **filters: Any) -> list[WorkatoConnection]:
        """List connections, of which none quotes *secrets*: an app may have refused them before."""
        call = Call(endpoint=endpoints.LIST, secrets=secrets)

        def parse(body: bytes) -> list[WorkatoConnection]:
            unseen = Sealed(self.transport.failures.secrets_of(call))
            return decode_connections(body, operation=call.endpoint.operation, secrets=unseen)

        return list(self._matching(parse, **filters))

    def _matching(
        self,
        parse: Callable[[bytes], Iterable[Any]],
        *,
        folder_id: int | str | None = None,
        project_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        provider: str | None = None,
        include_runtime_connections: bool = False,
        include_tags: bool = False,
        updated_after: datetime | str | None = None,
    ) -> Iterator[Any]:
        wanted = _given(
            folder_id=to_optional_id(folder_id, what="folder_id"),
            project_id=to_optional_id(project_id, what="project_id"),
            parent_id=to_optional_id(parent_id, what="parent_id"),
            external_id=_optional_filter(external_id, what="external_id"),
            provider=_optional_filter(provider, what="provider"),
        )
        query = [(key, str(value)) for key, value in wanted.items()]
        if include_runtime_connections:
            query.append(("include_runtime_connections", "true"))
        if include_tags:
            query.append(("includes[]", "tags"))
        if updated_after is not None:
            query.append(("updated_after", to_timestamp(updated_after)))
        rows = parse(self.transport.send_raw(Call(endpoint=endpoints.LIST, query=query)))
        exact = {key: value for key, value in wanted.items() if key in _EXACT}
        if not exact:
            return iter(rows)
        return (row for row in rows if all(row.get(key, value) == value for key, value in exact.items()))

    def _change(
        self,
        endpoint: Endpoint,
        *,
        payload: dict[str, Any],
        secrets: Sealed | None,
        connection_id: int | None = None,
        before_send: BeforeSend | None = None,
    ) -> WorkatoConnection:
        if secrets is not None and not isinstance(secrets.reveal(), Mapping):
            raise WorkatoConfigurationError(
                f"input must be an object of parameters, not {type(secrets.reveal()).__name__}."
            )
        call = Call(
            endpoint=endpoint,
            connection_id=connection_id,
            body=json_body(payload, secrets=secrets),
            secrets=secrets,
            before_send=before_send,
        )
        return parse_connection(
            self.transport.send(call),
            operation=endpoint.operation,
            secrets=Sealed(self.transport.failures.secrets_of(call)),
        )


def _given(**arguments: T | None) -> dict[str, T]:
    return {name: value for name, value in arguments.items() if value is not None}


def _text(value: object, *, what: str) -> str:
    if isinstance(value, str) and value.strip() in ("", "None"):
        # Two connections of the external id "None" would be taken for the same one.
        raise WorkatoConfigurationError(
            f"{what} is {value!r}: probably a template rendered a value that is None or empty. Nothing was "
            "sent. Correct the template, or leave the argument out."
        )
    if not isinstance(value, str):
        raise WorkatoConfigurationError(f"{what} must be a string, not {type(value).__name__}.")
    return value


def _optional_text(value: object, *, what: str) -> str | None:
    return None if value is None else _text(value, what=what)


def _optional_filter(value: object, *, what: str) -> str | None:
    # A list may well be narrowed to what was named "None" by mistake.
    return "None" if value == "None" else _optional_text(value, what=what)
