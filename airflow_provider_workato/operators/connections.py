"""Operators for the connections of a Workato workspace.

https://docs.workato.com/en/workato-api/connections.html describes the calls behind them. All raise
:class:`~airflow_provider_workato.exceptions.WorkatoError`; an error that a retry cannot fix fails the task at
once. A boolean may be a string: true, false, yes, no, 1 or 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow_provider_workato.arguments import check_field, one_of, to_flag, to_id
from airflow_provider_workato.authorization import Advice, failure, status_text
from airflow_provider_workato.client.answers import display_name
from airflow_provider_workato.client.connections import list_connections
from airflow_provider_workato.client.filters import LIST_FILTERS
from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoError,
    WorkatoNotFoundError,
)
from airflow_provider_workato.hooks.connections import MISSING
from airflow_provider_workato.links.connections import (
    WorkatoConnectionLink,
    WorkatoOAuthLink,
    push_connection_url,
    push_folder_url,
    push_link,
)
from airflow_provider_workato.operators.asking import CONNECTION_KEY, LoginAskingOperator
from airflow_provider_workato.operators.base import (
    CredentialsOperator,
    DictArgument,
    FlagArgument,
    IdArgument,
    StringArgument,
    TargetOperator,
    WorkatoOperator,
    check_choice,
    check_flag,
    remembers_arguments,
)
from airflow_provider_workato.operators.ensure import EnsureOperator, creates_that_may_mean, outcomes
from airflow_provider_workato.provisioning.create_once import (
    IF_EXISTS,
    Provisioning,
    RuntimeUserProvisioning,
)
from airflow_provider_workato.provisioning.spec import ConnectionSpec, check_no_password
from airflow_provider_workato.redaction import secret_texts

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_provider_workato.client.answers import PicklistItem, WorkatoConnection
    from airflow_provider_workato.provisioning.create_once import IfExists

OnRefused = Literal["fail", "return"]
ON_REFUSED: tuple[OnRefused, ...] = get_args(OnRefused)


@remembers_arguments
class WorkatoCreateConnectionOperator(EnsureOperator, CredentialsOperator):
    """Make sure that a connection exists, with these credentials.

    Safe to retry, clear and run again: the operator looks for an existing connection first, by *external_id*
    and *provider* if an external id is given, else by *name*, *provider*, *folder_id* and *parent_id*. Below
    Airflow 3.3 a retry has no record of earlier tries, so ``fail`` and ``duplicate`` are not safe to retry
    there.

    On one machine, tasks that create the same connection wait for each other. Between machines nothing
    prevents two DAG runs from creating it twice: give the create a pool with one slot. ``max_active_runs=1``
    on the DAG does the same for one DAG, but not in a backfill, which ignores it on Airflow 3.

    Returns the connection's id. Pushes the whole connection under the XCom key ``workato_connection``, and
    under ``workato_outcome`` what the task ``did`` to it: ``created``, ``changed`` or ``reused``. All XComs
    are pushed even if the app refuses *input* and the task fails. Below Airflow 3.3 only the try that created
    the connection pushes ``created``.

    :param name: the connection's name (templated).
    :param provider: the app, for example ``jira``; ``rest`` for plain HTTP (templated).
    :param folder_id: the folder or project to put it in (templated).
    :param parent_id: the parent connection, of the same provider (templated).
    :param external_id: your own id for it (templated).
    :param custom_oauth_profile_id: the OAuth profile of your own app that people log in with (templated).
        Without effect in a workspace without custom OAuth profiles.
    :param input: the connection's parameters, which are credentials (templated, hidden everywhere). Without
        them the connection stays disconnected until a person authorizes it.
    :param public_input_keys: the keys of *input* whose values are not secret, for example
        ``["host_name", "auth_type"]``; for nested dicts a path such as ``advanced_settings.host``. Their
        values may be shown. All others are secret.
    :param shell_connection: store the credentials without testing them (templated).
    :param if_exists: ``reuse`` it as it is (one that is not authorized is repaired with *input*),
        ``update`` it with what is given here, ``fail``, or create a ``duplicate`` (templated). An update
        empties *parent_id* or *custom_oauth_profile_id* if it is ``"unset"``.
    :param on_refused: what to do if the app refuses *input*: ``fail`` the task, or ``return`` the id of the
        unauthorized connection, so that one bad tenant does not stop the others (templated). In both
        cases the task does not wait.
    :param wait_for_authorization: wait until a person has authorized the connection in Workato (templated).
        Of use without *input*, or with *shell_connection*. *ask_again*, *notifiers*, *deferrable*,
        *poke_interval*, *timeout* and *max_failed_polls* say how.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoAuthorizationError: if the app refuses *input*; the next try repairs the connection. While
        waiting, if a login failed or the connection was lost, without *ask_again*.
    :raises AirflowSensorTimeout: if nobody has authorized the connection within *timeout*.
    :raises WorkatoExistsError: if it exists and must not, if several match, or if the one to change
        matches by its name alone, without *folder_id* or *external_id*.
    :raises WorkatoBusyError: if another process on this machine keeps creating the same connection.
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "name",
        "provider",
        "folder_id",
        "parent_id",
        "external_id",
        "custom_oauth_profile_id",
        "input",
        "shell_connection",
        "if_exists",
        "on_refused",
        "wait_for_authorization",
    )
    operator_extra_links = (WorkatoConnectionLink(),)
    ui_color = "#b9f2a1"

    def __init__(
        self,
        *,
        name: StringArgument,
        provider: StringArgument,
        folder_id: IdArgument | None = None,
        parent_id: IdArgument | None = None,
        external_id: StringArgument | None = None,
        custom_oauth_profile_id: IdArgument | None = None,
        input: DictArgument | None = None,
        shell_connection: FlagArgument | None = None,
        if_exists: IfExists | StringArgument = "reuse",
        on_refused: OnRefused | StringArgument = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(input=input, **kwargs)
        check_flag(shell_connection, what="shell_connection")
        check_choice(if_exists, IF_EXISTS, what="if_exists")
        check_choice(on_refused, ON_REFUSED, what="on_refused")
        self.name: Any = name
        self.provider: Any = provider
        self.folder_id: Any = folder_id
        self.parent_id: Any = parent_id
        self.external_id: Any = external_id
        self.custom_oauth_profile_id: Any = custom_oauth_profile_id
        self.shell_connection: Any = shell_connection
        self.if_exists: Any = if_exists
        self.on_refused: Any = on_refused

    def execute(self, context: Context) -> int:
        """Find or create the connection."""
        self._check_given()
        one_of(self.on_refused, ON_REFUSED, what="on_refused")
        to_flag(self.wait_for_authorization, what="wait_for_authorization")
        spec = ConnectionSpec.checked("name", "provider", credentials=self.credentials, **self._fields())
        try:
            connection = Provisioning(
                transport=self.hook.transport,
                spec=spec,
                if_exists=self.if_exists,
                record=self._record(context),
            ).run()
        except WorkatoAuthorizationError as error:
            if self.on_refused == "fail" or error.connection_id is None:
                raise
            self.log.warning("%s Returning its id, since on_refused is 'return'.", error)
            return error.connection_id
        number: int = self.ask_and_wait(context, [connection])
        return number

    def _secrets(self) -> Sequence[str]:
        return secret_texts(self.credentials.leaves()) if self.credentials else ()

    def _list(self) -> list[WorkatoConnection]:
        if self.credentials is None:
            return super()._list()
        # Before anything else shortens or masks a message: a part of a secret could not be found any more.
        return list_connections(
            self.hook.transport, {"include_runtime_connections": True}, secrets=self.credentials
        )


#: What an update can change.
_CHANGEABLE = (
    "name",
    "folder_id",
    "parent_id",
    "external_id",
    "custom_oauth_profile_id",
    "input",
    "shell_connection",
)


@remembers_arguments
class WorkatoUpdateConnectionOperator(CredentialsOperator):
    """Change a connection.

    Only the arguments given to the task itself are sent, not those in ``default_args``.

    Returns the connection.

    :param connection_id: the connection (templated).
    :param name: its new name (templated).
    :param folder_id: the folder or project to move it to (templated).
    :param parent_id: its new parent connection; ``"unset"`` leaves it without one (templated).
    :param external_id: your own id for it (templated).
    :param custom_oauth_profile_id: the OAuth profile of your own app that people log in with; ``"unset"``
        leaves it without one (templated).
    :param input: the parameters to change, which are credentials (templated, hidden everywhere). Leave it out
        for a connection that a person authorized: it would replace what the login set.
    :param public_input_keys: the keys of *input* whose values are not secret, for example
        ``["host_name", "auth_type"]``; for nested dicts a path such as ``advanced_settings.host``. Their
        values may be shown. All others are secret.
    :param shell_connection: store the credentials without testing them (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoAuthorizationError: if the app refuses *input*.
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connection_id",
        *_CHANGEABLE,
    )
    _never_default: ClassVar[frozenset[str]] = frozenset(_CHANGEABLE)
    operator_extra_links = (WorkatoConnectionLink(),)
    ui_color = "#ffe08a"

    def __init__(
        self,
        *,
        connection_id: IdArgument,
        name: StringArgument | None = None,
        folder_id: IdArgument | None = None,
        parent_id: IdArgument | None = None,
        external_id: StringArgument | None = None,
        custom_oauth_profile_id: IdArgument | None = None,
        input: DictArgument | None = None,
        shell_connection: FlagArgument | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(input=input, **kwargs)
        check_flag(shell_connection, what="shell_connection")
        self.connection_id: Any = connection_id
        self.name: Any = name
        self.folder_id: Any = folder_id
        self.parent_id: Any = parent_id
        self.external_id: Any = external_id
        self.custom_oauth_profile_id: Any = custom_oauth_profile_id
        self.shell_connection: Any = shell_connection

    def execute(self, context: Context) -> WorkatoConnection:
        """Change the connection."""
        self._check_given()
        # The hook takes them sealed, too.
        credentials: Any = self.credentials
        shell_connection = check_field("shell_connection", self.shell_connection)
        number = to_id(self.connection_id)
        push_connection_url(context, self.hook.settings, number)
        if credentials is not None and credentials.has_key("password"):
            check_no_password(credentials, self._provider_of(number))
        connection = self.hook.update_connection(number, input=credentials, **self._fields())
        changed = [name for name in _CHANGEABLE if getattr(self, name) is not None]
        self.log.info(
            "Updated %s of %s; status: %s.",
            ", ".join(changed),
            display_name(connection),
            status_text(connection),
        )
        if credentials is not None and not shell_connection:
            refused = failure(
                connection,
                advice=Advice.REFUSED,
                # Not in a variable, which a traceback can print.
                secrets=secret_texts(credentials.leaves()),
            )
            if refused is not None:
                raise refused
        return connection

    def _provider_of(self, number: int) -> str | None:
        # The update says what is wrong with the connection, if anything is.
        with suppress(WorkatoError):
            return self.hook.find_connection(number).get("provider")
        return None


class WorkatoDisconnectConnectionOperator(TargetOperator):
    """Disconnect a connection. One that is already disconnected stays so.

    Returns the API's answer, with ``"status": "missing"`` if the connection does not exist and
    *ignore_missing* is set.

    :param connection_id: the connection (templated). Leave it out to give *external_id* or *name*.
    :param external_id: your own id for it (templated); needs *provider* or, for a runtime user's connection,
        *parent_id*.
    :param name: its name (templated); needs *provider* and *folder_id*.
    :param provider: the app, for example ``jira`` (templated).
    :param folder_id: the folder or project it is in (templated).
    :param parent_id: its parent connection (templated).
    :param force: disconnect it even if active recipes use it (templated).
    :param ignore_missing: succeed if the connection does not exist, or if an upstream task gave no id
        (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoRejectedError: if active recipes use it and *force* is not set.
    :raises WorkatoNotFoundError: if it does not exist and *ignore_missing* is not set.
    :raises WorkatoExistsError: if several connections match.
    """

    template_fields: Sequence[str] = (*TargetOperator.template_fields, "force")
    operator_extra_links = (WorkatoConnectionLink(),)
    ui_color = "#ffc49b"

    def __init__(self, *, force: FlagArgument = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_flag(force, what="force")
        self.force: Any = force

    def execute(self, context: Context) -> dict[str, Any]:
        """Disconnect the connection."""
        force = to_flag(self.force, what="force")
        target = self.find_target()
        if target is None:
            return MISSING.copy()
        push_connection_url(context, self.hook.settings, target["id"])
        said = self.hook.disconnect_connection(
            target["id"], force=force, ignore_missing=to_flag(self.ignore_missing, what="ignore_missing")
        )
        if said == MISSING:
            self.log.info("Connection %s does not exist; nothing to disconnect.", target["id"])
        else:
            self.log.info("Disconnected %s.", display_name(target))
        return said


class WorkatoDeleteConnectionOperator(TargetOperator):
    """Delete a connection, authorized or not.

    A connection that a create of this DAG run only reused or changed is kept; so is one given by
    *external_id* or *name* that a create of the DAG may have meant but did not create. Any other is deleted,
    such as one whose id is a literal. Below Airflow 3.3 a retried create does not know what an earlier try
    created, so the delete keeps that too.

    Returns the API's answer, with ``"status": "missing"`` if the connection does not exist and
    *ignore_missing* is set, or ``"status": "kept"``. From the task's second try on, a missing connection
    counts as deleted: the answer to an earlier try may have been lost.

    To clean up even if the create fails, use a teardown without setups:
    ``create >> use >> delete.as_teardown()``. With ``as_teardown(setups=create)`` Airflow skips the delete
    then.

    :param connection_id: the connection (templated). Leave it out to give *external_id* or *name*.
    :param external_id: your own id for it (templated); needs *provider* or, for a runtime user's connection,
        *parent_id*.
    :param name: its name (templated); needs *provider* and *folder_id*.
    :param provider: the app, for example ``jira`` (templated).
    :param folder_id: the folder or project it is in (templated).
    :param parent_id: its parent connection (templated).
    :param delete_reused: delete it even if it existed before this DAG run (templated).
    :param ignore_missing: succeed if the connection does not exist, or if an upstream task gave no id
        (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoRejectedError: if active recipes or audit log streaming use it.
    :raises WorkatoNotFoundError: if it does not exist and *ignore_missing* is not set.
    :raises WorkatoExistsError: if several connections match.
    """

    template_fields: Sequence[str] = (*TargetOperator.template_fields, "delete_reused")
    operator_extra_links = (WorkatoConnectionLink(),)
    ui_color = "#ffa8a8"

    def __init__(self, *, delete_reused: FlagArgument = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_flag(delete_reused, what="delete_reused")
        self.delete_reused: Any = delete_reused

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the connection."""
        ignore_missing = to_flag(self.ignore_missing, what="ignore_missing")
        delete_reused = to_flag(self.delete_reused, what="delete_reused")
        # In every Airflow version, try_number is 1 while the first try runs.
        is_first_try = context["ti"].try_number <= 1
        try:
            target = self.find_target()
        except WorkatoNotFoundError as error:
            # With a status, the list call itself got a 404.
            if is_first_try or error.status is not None:
                raise
            self.log.info("%s An earlier try of this task probably deleted it.", error)
            return {"success": True, "status": "deleted"}
        if target is None:
            return MISSING.copy()
        number = target["id"]
        push_connection_url(context, self.hook.settings, number)
        if not delete_reused and self._is_to_keep(context, target):
            self.log.info(
                "Keeping connection %s: this DAG run did not create it. To delete it all the same, set "
                "delete_reused=True.",
                number,
            )
            return {"success": True, "status": "kept"}
        said = self.hook.delete_connection(number, ignore_missing=ignore_missing or not is_first_try)
        push_folder_url(context, self.hook.settings, target.get("folder_id"))
        if said == MISSING and not ignore_missing:
            self.log.info(
                "Connection %s does not exist; an earlier try of this task probably deleted it.", number
            )
            return {"success": True, "status": "deleted"}
        if said == MISSING:
            self.log.info("Connection %s does not exist; nothing to delete.", number)
        else:
            self.log.info("Deleted %s.", display_name(target))
        return said

    def _is_to_keep(self, context: Context, target: WorkatoConnection) -> bool:
        """Tell whether the creates of this DAG run found the connection instead of creating it."""
        told = outcomes(context, target["id"], of=target)
        if any(each["did"] == "created" for each in told):
            return False
        # An id that no create gave is meant. By its fields, a create that failed may have meant it, too.
        return bool(told) or (not self._by_id and bool(creates_that_may_mean(context, target)))


@remembers_arguments
class WorkatoGetPicklistOperator(WorkatoOperator):
    """Fetch the values that an app offers for a field.

    Returns ``[{"label": …, "value": …}, …]``.

    :param connection_id: an authorized connection to the app (templated).
    :param pick_list_name: the list, for example ``get_project_issuetypes`` (templated).
    :param pick_list_params: the parameters of the list, for example ``{"project": "OPS"}`` (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connection_id",
        "pick_list_name",
        "pick_list_params",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"pick_list_params": "json"}
    _object_fields: ClassVar[frozenset[str]] = frozenset({"pick_list_params"})
    operator_extra_links = (WorkatoConnectionLink(),)
    ui_color = "#cdd9ff"

    def __init__(
        self,
        *,
        connection_id: IdArgument,
        pick_list_name: StringArgument,
        pick_list_params: DictArgument | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection_id: Any = connection_id
        self.pick_list_name: Any = pick_list_name
        self.pick_list_params: Any = pick_list_params

    def execute(self, context: Context) -> list[PicklistItem]:
        """Fetch the values."""
        self._check_given()
        number = to_id(self.connection_id)
        push_connection_url(context, self.hook.settings, number)
        items = self.hook.get_picklist(number, self.pick_list_name, self.pick_list_params)
        self.log.info(
            "Fetched picklist %r of connection %s; values: %d.", self.pick_list_name, number, len(items)
        )
        return items


@remembers_arguments
class WorkatoListConnectionsOperator(WorkatoOperator):
    """List the connections that the token can see.

    Returns the connections. They become an XCom, so narrow the list in a large workspace.

    :param folder_id: only connections in this folder (templated).
    :param project_id: only connections in this project (templated).
    :param parent_id: only connections with this parent connection (templated).
    :param external_id: only connections with this external id (templated).
    :param provider: only connections to this app, for example ``jira`` (templated).
    :param include_runtime_connections: include the connections of runtime users (templated).
    :param include_tags: fill ``tags`` (templated).
    :param updated_after: only connections changed since; a datetime with a time zone or an ISO 8601 string
        (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = (*WorkatoOperator.template_fields, *LIST_FILTERS)
    _never_none: ClassVar[frozenset[str]] = frozenset(LIST_FILTERS)
    ui_color = "#a9d8ff"

    # Spelled out, unlike the hook's filters: Airflow applies a DAG's default_args to named parameters only.
    def __init__(
        self,
        *,
        folder_id: IdArgument | None = None,
        project_id: IdArgument | None = None,
        parent_id: IdArgument | None = None,
        external_id: StringArgument | None = None,
        provider: StringArgument | None = None,
        include_runtime_connections: FlagArgument = False,
        include_tags: FlagArgument = False,
        updated_after: datetime | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_flag(include_runtime_connections, what="include_runtime_connections")
        check_flag(include_tags, what="include_tags")
        self.folder_id: Any = folder_id
        self.project_id: Any = project_id
        self.parent_id: Any = parent_id
        self.external_id: Any = external_id
        self.provider: Any = provider
        self.include_runtime_connections: Any = include_runtime_connections
        self.include_tags: Any = include_tags
        self.updated_after = updated_after

    def execute(self, context: Context) -> list[WorkatoConnection]:  # noqa: ARG002
        """List the connections."""
        # Without one of its filters, the list would be of the whole workspace.
        self._check_given()
        filters = self._fields()
        rows = self.hook.list_connections(**filters)
        given = [f"{name}={value}" for name, value in filters.items() if value not in (None, False)]
        self.log.info("Listed connections (%s); found: %d.", ", ".join(given) or "no filter", len(rows))
        return rows


@remembers_arguments
class WorkatoCreateRuntimeUserConnectionOperator(EnsureOperator, LoginAskingOperator):
    """Make sure that an end user has a connection to log in to.

    Safe to retry, clear and run again: the operator looks for the user's connection first, by *parent_id* and
    *external_id*. The limits of :class:`WorkatoCreateConnectionOperator` apply.

    Returns the connection's id. Pushes the whole connection, with the login URL under ``url``, under the XCom
    key ``workato_connection``, and under ``workato_outcome`` what the task ``did`` to it. The task's page
    gets a button that opens the login.

    :param parent_id: an established OAuth connection of the same app (templated).
    :param folder_id: the folder or project to put it in (templated).
    :param external_id: your own id for the user (templated).
    :param name: the connection's name (templated).
    :param callback_url: URL that Workato calls after the login (templated).
    :param redirect_url: URL that the user is sent to after the login (templated).
    :param if_exists: ``reuse`` it, ``update`` its name and folder, ``fail``, or create a ``duplicate``
        (templated).
    :param wait_for_authorization: wait until the user has logged in (templated). *ask_again*, *notifiers*,
        *deferrable*, *poke_interval*, *timeout* and *max_failed_polls* say how.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoExistsError: if it exists and must not, or if several match.
    :raises WorkatoAuthorizationError: while waiting, if a login failed or the connection was lost, without
        *ask_again*.
    :raises AirflowSensorTimeout: if nobody has logged in within *timeout*.
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "parent_id",
        "folder_id",
        "external_id",
        "name",
        "callback_url",
        "redirect_url",
        "if_exists",
        "wait_for_authorization",
    )
    operator_extra_links = (WorkatoConnectionLink(), WorkatoOAuthLink())
    ui_color = "#dccbff"

    def __init__(
        self,
        *,
        parent_id: IdArgument,
        folder_id: IdArgument,
        external_id: StringArgument,
        name: StringArgument | None = None,
        callback_url: StringArgument | None = None,
        redirect_url: StringArgument | None = None,
        if_exists: IfExists | StringArgument = "reuse",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice(if_exists, IF_EXISTS, what="if_exists")
        self.parent_id: Any = parent_id
        self.folder_id: Any = folder_id
        self.external_id: Any = external_id
        self.name: Any = name
        self.callback_url: Any = callback_url
        self.redirect_url: Any = redirect_url
        self.if_exists: Any = if_exists

    def execute(self, context: Context) -> int:
        """Find or create the connection."""
        self._check_given()
        waits = to_flag(self.wait_for_authorization, what="wait_for_authorization")
        spec = ConnectionSpec.checked("parent_id", "folder_id", "external_id", **self._fields())
        connection = RuntimeUserProvisioning(
            transport=self.hook.transport,
            spec=spec,
            if_exists=self.if_exists,
            record=self._record(context),
        ).run()
        # A wait fetches the URL itself, if it needs one.
        if not waits and not connection.get("url"):
            connection["url"] = self._login_url(connection)
        if "url" in connection:
            push_link(context, WorkatoOAuthLink(), connection["url"])
            self._push_if_new(context, CONNECTION_KEY, connection)
        number: int = self.ask_and_wait(context, [connection])
        return number


@remembers_arguments
class WorkatoGetOAuthUrlOperator(WorkatoOperator):
    """Fetch the URL at which a person authorizes a runtime user connection, for the first time or again.

    Returns the URL. The task's page gets a button that opens it.

    :param connection_id: the runtime user connection (templated).
    :param callback_url: URL that Workato calls after the login (templated); see
        :meth:`~airflow_provider_workato.hooks.connections.WorkatoConnectionsHook.get_oauth_url`.
    :param redirect_url: URL that the user is sent to after the login (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connection_id",
        "callback_url",
        "redirect_url",
    )
    operator_extra_links = (WorkatoConnectionLink(), WorkatoOAuthLink())
    ui_color = "#f7c6ef"

    def __init__(
        self,
        *,
        connection_id: IdArgument,
        callback_url: StringArgument | None = None,
        redirect_url: StringArgument | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection_id: Any = connection_id
        self.callback_url: Any = callback_url
        self.redirect_url: Any = redirect_url

    def execute(self, context: Context) -> str:
        """Fetch the URL."""
        self._check_given()
        number = to_id(self.connection_id)
        push_connection_url(context, self.hook.settings, number)
        url = self.hook.get_oauth_url(number, **self._fields())
        push_link(context, WorkatoOAuthLink(), url)
        self.log.info(
            "Fetched a login URL for connection %s. The button %r on this task's page (tab Details) opens "
            "it.",
            number,
            WorkatoOAuthLink.name,
        )
        return url
