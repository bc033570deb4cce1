"""The hook for Workato's connections API."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, Unpack

from airflow_provider_workato import connection_form
from airflow_provider_workato.arguments import check_field, to_id, to_string
from airflow_provider_workato.authorization import not_in_list
from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.answers import (
    PicklistItem,
    RuntimeUserConnection,
    WorkatoConnection,
    decode_connection,
    iter_connections,
    parse_oauth_url,
    parse_outcome,
    parse_picklist,
    parse_runtime_user_connection,
    split_connections,
)
from airflow_provider_workato.client.calls import Call
from airflow_provider_workato.client.connections import change, list_connections, matching
from airflow_provider_workato.client.filters import ListFilters, ListQuery
from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.client.transport import Transport
from airflow_provider_workato.exceptions import (
    WorkatoConfigurationError,
    WorkatoConnIdError,
    WorkatoError,
    WorkatoNotFoundError,
)
from airflow_provider_workato.provisioning.create_once import (
    Provisioning,
    RuntimeUserProvisioning,
    only_match,
)
from airflow_provider_workato.provisioning.manifest import Scope, read_manifest
from airflow_provider_workato.provisioning.plan import DeclaredSet, Plan
from airflow_provider_workato.provisioning.spec import ConnectionSpec
from airflow_provider_workato.redaction import seal
from airflow_provider_workato.version_compat import AirflowNotFoundException, BaseHook

if TYPE_CHECKING:
    import msgspec
    import requests

    from airflow_provider_workato.client.session import Version
    from airflow_provider_workato.provisioning.create_once import IfExists

#: What the names of environment variables with Airflow connections start with.
_VARIABLE = "AIRFLOW_CONN_"

#: What delete and disconnect return if the connection does not exist.
MISSING: dict[str, Any] = {"success": True, "status": "missing"}


class WorkatoConnectionsHook(BaseHook):
    """Create, find, change and remove the connections of a Workato workspace.

    Every call has a time limit, keeps to the workspace's quotas and is repeated where that is safe. A call
    that fails raises a :class:`~airflow_provider_workato.exceptions.WorkatoError`; its class says what to do.
    Endpoints: https://docs.workato.com/en/workato-api/connections.html

    Use it in a ``with`` statement, or call :meth:`close` at the end.

    :param workato_conn_id: the Airflow connection with the API token.
    """

    conn_name_attr = "workato_conn_id"
    default_conn_name = "workato_default"
    conn_type = connection_form.CONN_TYPE
    hook_name = "Workato"

    def __init__(self, workato_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.workato_conn_id = workato_conn_id

    @classmethod
    def with_settings(cls, settings: WorkatoSettings) -> Self:
        """Return a hook that uses these settings instead of reading its Airflow connection.

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
        """Return which standard fields the form hides or renames, for Airflow below 3.2."""
        return connection_form.ui_field_behaviour()

    @cached_property
    def settings(self) -> WorkatoSettings:
        """The fields of the Airflow connection, checked.

        :raises WorkatoConfigurationError: naming the field as the form labels it.
        :raises WorkatoConnIdError: if there is no such Airflow connection.
        """
        with suppress(AirflowNotFoundException):
            # No variable for it: a traceback that prints local variables would show its password.
            return WorkatoSettings.from_airflow(self.get_connection(self.workato_conn_id))
        raise _no_such_connection(self.workato_conn_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # A copy in another process reads its own Airflow connection and opens its own session.
        left_out = ("settings", "transport", "_log")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    @cached_property
    def transport(self) -> Transport:
        """The HTTP session with rate limiting, retries and error mapping."""
        return Transport(self.settings)

    def get_conn(self) -> requests.Session:
        """Return the session that all calls of this hook share. It adds the token to each request."""
        return self.transport.session

    def close(self) -> None:
        """Close the session, if one was opened."""
        if "transport" in self.__dict__:
            self.transport.session.close()
            del self.__dict__["transport"]

    def list_connections(self, **filters: Unpack[ListFilters]) -> list[WorkatoConnection]:
        """Return the connections that the token can see.

        :param filters: see :class:`~airflow_provider_workato.client.filters.ListFilters`.
        :raises WorkatoError: if the call fails.
        """
        return list_connections(self.transport, filters)

    def iter_connections(self, **filters: Unpack[ListFilters]) -> Iterator[WorkatoConnection]:
        """Yield what :meth:`list_connections` returns, decoded row by row so that other threads can run.

        :param filters: see :class:`~airflow_provider_workato.client.filters.ListFilters`.
        :raises WorkatoError: if the call fails.
        """
        return matching(self.transport, filters, iter_connections)

    def poll_connections(
        self, known: Version | None, **filters: Unpack[ListFilters]
    ) -> tuple[Version, Iterator[list[msgspec.Raw]] | None]:
        """Return a list's version and, unless it is *known*, its rows, some thousands at a time.

        They are undecoded: neither checked nor free of credentials.

        :meta private:
        :param known: the version that the caller has.
        :param filters: see :class:`~airflow_provider_workato.client.filters.ListFilters`.
        :raises WorkatoError: if the call fails.
        """
        query = ListQuery.of(filters)
        call = Call(endpoint=endpoints.LIST, query=query.parameters, etag=known.etag if known else "")
        answer = self.transport.send_raw(call)
        if known and answer.status == HTTPStatus.NOT_MODIFIED:
            return known, None
        version = answer.version()
        if known and known.digest == version.digest:
            return version, None
        parts = split_connections(answer.body)
        if query.check_in_answer:
            # Only a decoded row can be compared with a filter.
            parts = ([row for row in part if query.selects(decode_connection(row))] for part in parts)
        return version, parts

    def find_connection(self, connection_id: int | str, **filters: Unpack[ListFilters]) -> WorkatoConnection:
        """Return one connection. Workato has no call for that, so it is picked from the list.

        :param connection_id: the connection.
        :param filters: see :class:`~airflow_provider_workato.client.filters.ListFilters`; here
            *include_runtime_connections* is true by default.
        :raises WorkatoNotFoundError: if the list does not contain it.
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
        custom_oauth_profile_id: int | str | None = None,
        shell_connection: bool | None = None,
        input: Mapping[str, Any] | None = None,
    ) -> WorkatoConnection:
        """Create a connection. A second call creates a second one; see :meth:`ensure_connection`.

        :param name: the connection's name.
        :param provider: the app, for example ``jira``; ``rest`` for plain HTTP.
        :param folder_id: the folder or project to put it in.
        :param parent_id: the parent connection, of the same provider.
        :param external_id: your own id for it.
        :param custom_oauth_profile_id: the OAuth profile of your own app that people log in with. Without
            effect in a workspace without custom OAuth profiles.
        :param shell_connection: store the credentials without testing them.
        :param input: the connection's parameters, which are credentials. Without them the
            connection stays disconnected until a person authorizes it.
        :returns: the connection. Its ``authorization_status`` tells whether the app accepted *input*.
        :raises WorkatoError: if the call fails. If
            :func:`~airflow_provider_workato.client.retries.is_ambiguous` holds for the error, the connection
            may exist all the same.
        """
        secrets = seal(input)
        # A traceback that prints local variables would show it.
        del input
        spec = ConnectionSpec.checked(
            "name",
            "provider",
            name=name,
            provider=provider,
            folder_id=folder_id,
            parent_id=parent_id,
            external_id=external_id,
            custom_oauth_profile_id=custom_oauth_profile_id,
            shell_connection=shell_connection,
            credentials=secrets,
        )
        return change(self.transport, Call.of(endpoints.CREATE, spec.payload(), secrets=secrets))

    def ensure_connection(
        self,
        *,
        name: str,
        provider: str,
        folder_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        custom_oauth_profile_id: int | str | None = None,
        shell_connection: bool | None = None,
        input: Mapping[str, Any] | None = None,
        if_exists: IfExists = "reuse",
    ) -> WorkatoConnection:
        """Make sure that a connection exists, once.

        One list call looks for it: by *external_id* and *provider* (and folder and parent, if given),
        or without an external id by *name*, *provider* and parent (and folder, if given). After a create
        whose answer was lost, the list is searched before the create is sent again. On one machine, one
        process of this user at a time searches for and creates a given connection. Processes on other
        machines are not seen: do not let two of them create the same connection at once.

        :param name: the connection's name.
        :param provider: the app, for example ``jira``.
        :param folder_id: the folder or project to put it in.
        :param parent_id: the parent connection, of the same provider.
        :param external_id: your own id for it.
        :param custom_oauth_profile_id: the OAuth profile of your own app that people log in with. Without
            effect in a workspace without custom OAuth profiles.
        :param shell_connection: store the credentials without testing them.
        :param input: the connection's parameters, which are credentials.
        :param if_exists: ``reuse`` it as it is (one that is not authorized is repaired with *input*),
            ``update`` it with what is given here, ``fail``, or create a ``duplicate``.
            Called again after its process ended, ``fail`` and ``duplicate`` cannot tell a connection of
            the earlier attempt from one that existed before; the operator can, on Airflow 3.3 and later.
        :returns: the connection.
        :raises WorkatoExistsError: if it exists and must not, if several match, or if the one to change
            matches by its name alone, without *folder_id* or *external_id*.
        :raises WorkatoAuthorizationError: if the app refuses *input*; the connection then exists.
        :raises WorkatoBusyError: if another process on this machine keeps creating the same connection.
        """
        secrets = seal(input)
        del input  # see create_connection
        spec = ConnectionSpec.checked(
            "name",
            "provider",
            name=name,
            provider=provider,
            folder_id=folder_id,
            parent_id=parent_id,
            external_id=external_id,
            custom_oauth_profile_id=custom_oauth_profile_id,
            shell_connection=shell_connection,
            credentials=secrets,
        )
        return Provisioning(transport=self.transport, spec=spec, if_exists=if_exists).run()

    def update_connection(
        self,
        connection_id: int | str,
        *,
        name: str | None = None,
        folder_id: int | str | None = None,
        parent_id: int | str | None = None,
        external_id: str | None = None,
        custom_oauth_profile_id: int | str | None = None,
        shell_connection: bool | None = None,
        input: Mapping[str, Any] | None = None,
    ) -> WorkatoConnection:
        """Change a connection. Only the arguments given are sent.

        :param connection_id: the connection.
        :param name: its new name.
        :param folder_id: the folder or project to move it to.
        :param parent_id: its new parent connection; ``"unset"`` leaves it without one.
        :param external_id: your own id for it.
        :param custom_oauth_profile_id: the OAuth profile of your own app that people log in with;
            ``"unset"`` leaves it without one.
        :param shell_connection: store the credentials without testing them.
        :param input: the parameters to change, which are credentials. Leave it out for a
            connection that a person authorized: it would replace what the login set.
        :returns: the connection. Its ``authorization_status`` tells whether the app accepted *input*.
        :raises WorkatoConfigurationError: if there is nothing to change.
        """
        secrets = seal(input)
        del input  # see create_connection
        spec = ConnectionSpec.checked(
            name=name,
            folder_id=folder_id,
            parent_id=parent_id,
            external_id=external_id,
            custom_oauth_profile_id=custom_oauth_profile_id,
            shell_connection=shell_connection,
            credentials=secrets,
        )
        number, changes = to_id(connection_id), spec.changes()
        if not changes and secrets is None:
            raise WorkatoConfigurationError(
                f"Nothing to change on connection {number}: give name, folder_id, parent_id, external_id, "
                "custom_oauth_profile_id, shell_connection or input."
            )
        call = Call.of(endpoints.UPDATE, changes, connection_id=number, secrets=secrets)
        return change(self.transport, call)

    def disconnect_connection(
        self, connection_id: int | str, *, force: bool = False, ignore_missing: bool = False
    ) -> dict[str, Any]:
        """Disconnect a connection. One that is already disconnected stays so.

        :param connection_id: the connection.
        :param force: disconnect it even if active recipes use it.
        :param ignore_missing: return ``"status": "missing"`` if it does not exist.
        :returns: the API's answer.
        :raises WorkatoRejectedError: if active recipes use it and *force* is not set.
        :raises WorkatoNotFoundError: if it does not exist and *ignore_missing* is not set.
        """
        number = to_id(connection_id)
        call = (
            Call.of(endpoints.DISCONNECT, {"force": True}, connection_id=number)
            if force
            else Call(endpoint=endpoints.DISCONNECT, connection_id=number)
        )
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
        :param ignore_missing: return ``"status": "missing"`` if it does not exist.
        :returns: the API's answer.
        :raises WorkatoRejectedError: if active recipes or audit log streaming use it.
        :raises WorkatoNotFoundError: if it does not exist and *ignore_missing* is not set.
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
        self.log.info("An earlier attempt deleted connection %s; its answer was lost.", call.connection_id)
        return {"success": True, "status": "deleted"}

    def _confirm_missing(self, call: Call, not_found: WorkatoNotFoundError) -> None:
        """Check the list, too: behind a wrong base URL, another server answers 404 to every call."""
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
        """Return the connection that a create with these arguments would reuse.

        :param provider: the app, for example ``jira``; leave it out for a runtime user's connection.
        :param name: the connection's name; needs *provider* and *folder_id*.
        :param folder_id: the folder or project it is in.
        :param parent_id: its parent connection.
        :param external_id: your own id for it; needs *provider* or *parent_id*.
        :raises WorkatoConfigurationError: if the arguments could mean a connection of another owner.
        :raises WorkatoNotFoundError: if no connection matches.
        :raises WorkatoExistsError: if several match.
        """
        identity = ConnectionSpec.checked(
            provider=provider,
            name=name,
            folder_id=folder_id,
            # Without what empties it: there is nothing to change.
            parent_id=check_field("parent_id", parent_id),
            external_id=external_id,
        ).identity()
        if identity.external_id is None and None in (identity.name, identity.provider, identity.folder_id):
            raise WorkatoConfigurationError(
                "Give external_id and provider, or name, provider and folder_id: a name alone could match "
                "a connection of another owner."
            )
        if identity.provider is None and identity.parent_id is None:
            raise WorkatoConfigurationError(
                "An external_id needs the provider too, or for a runtime user's connection the parent_id."
            )
        matches = identity.among(
            self.list_connections(
                external_id=identity.list_filter, include_runtime_connections=identity.provider is None
            )
        )
        if not matches:
            raise WorkatoNotFoundError(
                f"No connection matches {identity}: never created, deleted, or not visible to this token.",
                operation="find_connection",
            )
        return only_match(matches, identity)

    def get_picklist(
        self,
        connection_id: int | str,
        pick_list_name: str,
        pick_list_params: Mapping[str, Any] | None = None,
    ) -> list[PicklistItem]:
        """Return the values that an app offers for a field.

        :param connection_id: an authorized connection to the app.
        :param pick_list_name: the list, for example ``get_project_issuetypes``.
        :param pick_list_params: the parameters of the list, for example ``{"project": "OPS"}``.
        :returns: ``[{"label": …, "value": …}, …]``
        """
        if pick_list_params is not None and not isinstance(pick_list_params, Mapping):
            raise WorkatoConfigurationError(
                "pick_list_params must be a dict such as {'project': 'OPS'}, not "
                f"{type(pick_list_params).__name__}."
            )
        payload = {
            "pick_list_name": to_string(pick_list_name, what="pick_list_name"),
            "pick_list_params": dict(pick_list_params or {}),
        }
        call = Call.of(endpoints.PICKLIST, payload, connection_id=to_id(connection_id))
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
        """Create a connection for an end user to log in to. A second call creates a second one.

        :param parent_id: an established OAuth connection of the same app.
        :param folder_id: the folder or project to put it in.
        :param external_id: your own id for the user.
        :param name: the connection's name.
        :param callback_url: URL that Workato calls after the login.
        :param redirect_url: URL that the user is sent to after the login.
        :returns: its id and the URL at which the user logs in.
        """
        spec = ConnectionSpec.checked(
            "parent_id",
            "folder_id",
            "external_id",
            parent_id=parent_id,
            folder_id=folder_id,
            external_id=external_id,
            name=name,
            callback_url=callback_url,
            redirect_url=redirect_url,
        )
        call = Call.of(endpoints.CREATE_RUNTIME_USER, spec.payload())
        return parse_runtime_user_connection(self.transport.send(call), sent=call.payload)

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
        with_url: bool = True,
    ) -> WorkatoConnection:
        """Make sure that an end user has a connection to log in to, once.

        One list call looks for it by *parent_id* and *external_id*.

        :param parent_id: an established OAuth connection of the same app.
        :param folder_id: the folder or project to put it in.
        :param external_id: your own id for the user.
        :param name: the connection's name.
        :param callback_url: URL that Workato calls after the login.
        :param redirect_url: URL that the user is sent to after the login.
        :param if_exists: ``reuse`` it, ``update`` its name and folder, ``fail``, or create a ``duplicate``.
            See :meth:`ensure_connection` on what *fail* and *duplicate* cannot tell.
        :param with_url: fetch the login URL of a connection that exists. Without it, only a connection that
            was just created has one.
        :returns: the connection, with the login URL under ``url``.
        :raises WorkatoExistsError: if it exists and must not, or if several match.
        :raises WorkatoBusyError: if another process on this machine keeps creating the same connection.
        """
        spec = ConnectionSpec.checked(
            "parent_id",
            "folder_id",
            "external_id",
            parent_id=parent_id,
            folder_id=folder_id,
            external_id=external_id,
            name=name,
            callback_url=callback_url,
            redirect_url=redirect_url,
        )

        connection = RuntimeUserProvisioning(transport=self.transport, spec=spec, if_exists=if_exists).run()
        if with_url and not connection.get("url"):
            connection["url"] = self.get_oauth_url(
                connection["id"], callback_url=spec.callback_url, redirect_url=spec.redirect_url
            )
        return connection

    def plan_connections(
        self,
        connections: str | Sequence[Mapping[str, Any]],
        *,
        folder_id: int | str | None = None,
        external_id_prefix: str | None = None,
        reauthenticate: bool = False,
    ) -> Plan:
        """Compare a declared set of connections with those that exist, with one list call.

        Outside a task, Airflow 3 does not show the variable that tells which credentials were sent before.
        There, the plan sends all.

        :param connections: a manifest's entries, or the text of a manifest in YAML or JSON.
        :param folder_id: the set is about the connections in this folder.
        :param external_id_prefix: or about those whose external id begins like this. Give one of the two.
        :param reauthenticate: plan to send all credentials again.
        :returns: what an apply would change; see
            :class:`~airflow_provider_workato.operators.sets.WorkatoPlanConnectionsOperator`.
        :raises WorkatoConfigurationError: naming every mistake of the manifest.
        :raises WorkatoError: if the call fails.
        """
        scope = Scope.checked(folder_id=folder_id, external_id_prefix=external_id_prefix)
        entries = read_manifest(connections, scope=scope, file="manifest")
        return DeclaredSet(self.transport, entries, scope).plan(reauthenticate=reauthenticate)

    def get_oauth_url(
        self, connection_id: int | str, *, callback_url: str | None = None, redirect_url: str | None = None
    ) -> str:
        """Return the URL at which a person authorizes a runtime user connection, for the first time or again.

        Workato documents the two URLs only for creating the connection. They are sent here, too, as Workato's
        own Terraform provider does.

        :param connection_id: the runtime user connection.
        :param callback_url: URL that Workato calls after the login.
        :param redirect_url: URL that the user is sent to after the login.
        """
        after = ConnectionSpec.checked(callback_url=callback_url, redirect_url=redirect_url)
        call = Call(
            endpoint=endpoints.OAUTH_URL,
            connection_id=to_id(connection_id),
            query=list(after.payload().items()),
        )
        return parse_oauth_url(self.transport.send(call))

    def test_connection(self) -> tuple[bool, str]:
        """Test the Airflow connection with one list call, whose privilege every use needs.

        The message calls it "this connection": Airflow's Test button gives it a random id.
        """
        try:
            # A person is waiting for the Test button.
            transport = Transport(replace(self.settings, retry_budget=min(10, self.settings.retry_budget)))
            with transport.session:
                answer = transport.send_raw(Call(endpoint=endpoints.LIST))
                visible = sum(1 for _ in iter_connections(answer.body))
        except WorkatoError as error:
            said = str(error).replace(f"Airflow connection {self.workato_conn_id!r}", "this connection")
            return False, said[:1].upper() + said[1:] if said.startswith("this") else said
        said = (
            f"Workato at {self.settings.place} accepts the API token. Visible connections: {visible}."
            f"{self.settings.assumption}"
        )
        if not visible:
            said += " If there should be some, give the API client access to their projects."
        return True, said


def _no_such_connection(conn_id: str) -> WorkatoConnIdError:
    # A worker can see the ids in its environment, but not those in Airflow's database.
    variables = [name for name in os.environ if name.startswith(_VARIABLE)]
    if (own := _VARIABLE + conn_id.upper()) in variables:
        return WorkatoConnIdError(
            f"The environment variable {own} is set, but Airflow cannot read it. It must be a URI, or JSON "
            'with Airflow\'s own fields, such as {"conn_type": "workato", "password": "API token", "extra": '
            '{"data_center": "eu"}}.'
        )
    known = {name.removeprefix(_VARIABLE).lower() for name in variables}
    close = difflib.get_close_matches(conn_id, {*known, WorkatoConnectionsHook.default_conn_name} - {conn_id})
    advice = f"Did you mean {' or '.join(map(repr, close))}? Otherwise create" if close else "Create"
    example = f"""{_VARIABLE}{conn_id.upper()}='{{"conn_type": "workato", "password": "API token"}}'"""
    return WorkatoConnIdError(
        f"Airflow has no connection {conn_id!r}. {advice} it in the UI (Admin → Connections, type Workato), "
        f"or set an environment variable where the tasks run: {example}. If a secrets backend holds it, "
        "check that the tasks can reach the backend."
    )
