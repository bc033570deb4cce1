"""Operators for the connections of a Workato workspace.

https://docs.workato.com/en/workato-api/connections.html describes the calls behind them. All raise a
:class:`~airflow_provider_workato.exceptions.WorkatoError`; one that a retry cannot cure fails the
task at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_workato.authorization import failure
from airflow_provider_workato.exceptions import WorkatoNotFoundError
from airflow_provider_workato.links.connections import (
    OAUTH_URL_KEY,
    WorkatoConnectionLink,
    WorkatoOAuthLink,
    leave_connection_url,
)
from airflow_provider_workato.models import to_id
from airflow_provider_workato.operators.base import CredentialsOperator, Id, Object, Text, WorkatoOperator
from airflow_provider_workato.operators.task_state import TaskStateLedger
from airflow_provider_workato.redaction import secret_texts

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_workato.hooks.provisioning import IfExists
    from airflow_provider_workato.models import Connection, PicklistItem

#: XCom key of the whole connection, beside the id that a create returns.
CONNECTION_KEY = "connection"


class WorkatoCreateConnectionOperator(CredentialsOperator):
    """Make sure that a connection exists, with these credentials.

    Safe to retry, clear and run again: a connection that is there is taken, by *external_id* and
    *provider* if an external id is given, else by *name*, *provider*, *folder_id* and *parent_id*.

    Returns the connection's id and pushes the whole object under the XCom key ``connection``.

    :param name: the connection's name (templated).
    :param provider: the app, for example ``jira``; ``rest`` for plain HTTP (templated).
    :param folder_id: the folder or project to put it in (templated).
    :param parent_id: the parent connection, of the same provider (templated).
    :param external_id: your own id for it (templated).
    :param input: the connection's parameters, which are credentials (templated, shown nowhere). Without
        them the connection stays disconnected until somebody authorizes it.
    :param shell_connection: keep the credentials without testing them.
    :param if_exists: ``reuse`` it as it is (one that is not authorized is repaired with *input*),
        ``update`` it with what is given here, ``fail``, or make a ``duplicate``.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoAuthorizationError: if the app refuses *input*; the next try repairs the connection.
    :raises WorkatoExistsError: if it exists and must not, or if more than one matches.
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "name",
        "provider",
        "folder_id",
        "parent_id",
        "external_id",
        "input",
        "if_exists",
    )
    operator_extra_links = (WorkatoConnectionLink(),)

    def __init__(
        self,
        *,
        name: Text,
        provider: Text,
        folder_id: Id | None = None,
        parent_id: Id | None = None,
        external_id: Text | None = None,
        input: Object | None = None,
        shell_connection: bool | None = None,
        if_exists: IfExists = "reuse",
        **kwargs: Any,
    ) -> None:
        super().__init__(input=input, **kwargs)
        self.name: Any = name
        self.provider: Any = provider
        self.folder_id: Any = folder_id
        self.parent_id: Any = parent_id
        self.external_id: Any = external_id
        self.shell_connection = shell_connection
        self.if_exists = if_exists

    def execute(self, context: Context) -> int:
        """Find or make the connection.

        :param context: the task's execution context.
        """
        connection = self.hook.ensure_connection(
            name=self.name,
            provider=self.provider,
            folder_id=self.folder_id,
            parent_id=self.parent_id,
            external_id=self.external_id,
            shell_connection=self.shell_connection,
            input=self.credentials,
            if_exists=self.if_exists,
            ledger=TaskStateLedger(context),
        )
        leave_connection_url(context, self.hook.settings, connection["id"])
        context["ti"].xcom_push(key=CONNECTION_KEY, value=connection)
        return int(connection["id"])


class WorkatoUpdateConnectionOperator(CredentialsOperator):
    """Change a connection; only what is given is sent.

    Returns the connection.

    :param connection_id: the connection (templated).
    :param name: its new name (templated).
    :param folder_id: the folder or project to move it to (templated).
    :param parent_id: its new parent connection (templated).
    :param external_id: your own id for it (templated).
    :param input: the parameters to change, which are credentials (templated, shown nowhere).
    :param shell_connection: keep the credentials without testing them.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoAuthorizationError: if the app refuses *input*.
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connection_id",
        "name",
        "folder_id",
        "parent_id",
        "external_id",
        "input",
    )
    operator_extra_links = (WorkatoConnectionLink(),)

    def __init__(
        self,
        *,
        connection_id: Id,
        name: Text | None = None,
        folder_id: Id | None = None,
        parent_id: Id | None = None,
        external_id: Text | None = None,
        input: Object | None = None,
        shell_connection: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(input=input, **kwargs)
        self.connection_id: Any = connection_id
        self.name: Any = name
        self.folder_id: Any = folder_id
        self.parent_id: Any = parent_id
        self.external_id: Any = external_id
        self.shell_connection = shell_connection

    def execute(self, context: Context) -> Connection:
        """Change the connection.

        :param context: the task's execution context.
        """
        credentials = self.credentials
        connection = self.hook.update_connection(
            self.connection_id,
            name=self.name,
            folder_id=self.folder_id,
            parent_id=self.parent_id,
            external_id=self.external_id,
            shell_connection=self.shell_connection,
            input=credentials,
        )
        leave_connection_url(context, self.hook.settings, connection["id"])
        if credentials is not None and not self.shell_connection:
            refused = failure(connection, secrets=secret_texts(credentials.leaves()))
            if refused is not None:
                raise refused
        return connection


class WorkatoDisconnectConnectionOperator(WorkatoOperator):
    """Disconnect a connection; one that is disconnected already stays so.

    Returns what the API said.

    :param connection_id: the connection (templated).
    :param force: also if active recipes use it.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoRejectedError: if active recipes use it and *force* is not set.
    """

    template_fields: Sequence[str] = (*WorkatoOperator.template_fields, "connection_id")
    operator_extra_links = (WorkatoConnectionLink(),)

    def __init__(self, *, connection_id: Id, force: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection_id: Any = connection_id
        self.force = force

    def execute(self, context: Context) -> dict[str, Any]:
        """Disconnect the connection.

        :param context: the task's execution context.
        """
        said = self.hook.disconnect_connection(self.connection_id, force=self.force)
        leave_connection_url(context, self.hook.settings, to_id(self.connection_id))
        return said


class WorkatoDeleteConnectionOperator(WorkatoOperator):
    """Delete a connection, authorized or not.

    Returns what the API said.

    :param connection_id: the connection (templated).
    :param ignore_missing: succeed if there is no such connection.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoRejectedError: if active recipes or audit log streaming use it.
    :raises WorkatoNotFoundError: if there is no such connection and *ignore_missing* is not set.
    """

    template_fields: Sequence[str] = (*WorkatoOperator.template_fields, "connection_id")

    def __init__(self, *, connection_id: Id, ignore_missing: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection_id: Any = connection_id
        self.ignore_missing = ignore_missing

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Delete the connection.

        :param context: the task's execution context.
        """
        try:
            return self.hook.delete_connection(self.connection_id)
        except WorkatoNotFoundError:
            if not self.ignore_missing:
                raise
        self.log.info("Connection %s is not there; nothing to delete.", self.connection_id)
        return {"success": True, "status": "missing"}


class WorkatoGetPicklistOperator(WorkatoOperator):
    """Fetch the values that an app offers for one of its fields.

    Returns ``[{"label": …, "value": …}, …]``.

    :param connection_id: an authorized connection to the app (templated).
    :param pick_list_name: the list, for example ``get_project_issuetypes`` (templated).
    :param pick_list_params: what the list depends on, for example ``{"project": "OPS"}`` (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "connection_id",
        "pick_list_name",
        "pick_list_params",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"pick_list_params": "json"}

    def __init__(
        self,
        *,
        connection_id: Id,
        pick_list_name: Text,
        pick_list_params: Object | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection_id: Any = connection_id
        self.pick_list_name: Any = pick_list_name
        self.pick_list_params: Any = pick_list_params

    def execute(self, context: Context) -> list[PicklistItem]:  # noqa: ARG002
        """Fetch the values.

        :param context: the task's execution context.
        """
        return self.hook.get_picklist(self.connection_id, self.pick_list_name, self.pick_list_params)


class WorkatoListConnectionsOperator(WorkatoOperator):
    """List the connections that the token may see.

    Returns the connections; narrow the list of a large workspace, since they become an XCom.

    :param folder_id: only those of this folder (templated).
    :param project_id: only those of this project (templated).
    :param parent_id: only those with this parent connection (templated).
    :param external_id: only those with this external id (templated).
    :param provider: only those of this app (templated).
    :param include_runtime_connections: also the connections of runtime users.
    :param include_tags: fill ``tags``.
    :param updated_after: only those changed since, with a time zone (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = (
        *WorkatoOperator.template_fields,
        "folder_id",
        "project_id",
        "parent_id",
        "external_id",
        "provider",
        "updated_after",
    )

    def __init__(
        self,
        *,
        folder_id: Id | None = None,
        project_id: Id | None = None,
        parent_id: Id | None = None,
        external_id: Text | None = None,
        provider: Text | None = None,
        include_runtime_connections: bool = False,
        include_tags: bool = False,
        updated_after: datetime | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.folder_id: Any = folder_id
        self.project_id: Any = project_id
        self.parent_id: Any = parent_id
        self.external_id: Any = external_id
        self.provider: Any = provider
        self.include_runtime_connections = include_runtime_connections
        self.include_tags = include_tags
        self.updated_after = updated_after

    def execute(self, context: Context) -> list[Connection]:  # noqa: ARG002
        """List the connections.

        :param context: the task's execution context.
        """
        return self.hook.list_connections(
            folder_id=self.folder_id,
            project_id=self.project_id,
            parent_id=self.parent_id,
            external_id=self.external_id,
            provider=self.provider,
            include_runtime_connections=self.include_runtime_connections,
            include_tags=self.include_tags,
            updated_after=self.updated_after,
        )


class WorkatoCreateRuntimeUserConnectionOperator(WorkatoOperator):
    """Make sure that an end user has a connection to log in to.

    Safe to retry, clear and run again: the user's connection is found by *parent_id* and *external_id*.

    Returns the connection's id and pushes the whole object, with the login URL under ``url``, under the XCom
    key ``connection``. The task's page gets a button that leads to the login.

    :param parent_id: an established OAuth connection of the same app (templated).
    :param folder_id: the folder or project to put it in (templated).
    :param external_id: your own id for the user (templated).
    :param name: the connection's name (templated).
    :param callback_url: called by Workato once the login succeeded (templated).
    :param redirect_url: where the user is sent after the login (templated).
    :param if_exists: ``reuse`` it, ``update`` its name and folder, ``fail``, or make a ``duplicate``.
    :param workato_conn_id: the Airflow connection with the API token (templated).
    :raises WorkatoExistsError: if it exists and must not, or if more than one matches.
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
    )
    operator_extra_links = (WorkatoConnectionLink(), WorkatoOAuthLink())

    def __init__(
        self,
        *,
        parent_id: Id,
        folder_id: Id,
        external_id: Text,
        name: Text | None = None,
        callback_url: Text | None = None,
        redirect_url: Text | None = None,
        if_exists: IfExists = "reuse",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parent_id: Any = parent_id
        self.folder_id: Any = folder_id
        self.external_id: Any = external_id
        self.name: Any = name
        self.callback_url: Any = callback_url
        self.redirect_url: Any = redirect_url
        self.if_exists = if_exists

    def execute(self, context: Context) -> int:
        """Find or make the connection.

        :param context: the task's execution context.
        """
        connection = self.hook.ensure_runtime_user_connection(
            parent_id=self.parent_id,
            folder_id=self.folder_id,
            external_id=self.external_id,
            name=self.name,
            callback_url=self.callback_url,
            redirect_url=self.redirect_url,
            if_exists=self.if_exists,
            ledger=TaskStateLedger(context),
        )
        leave_connection_url(context, self.hook.settings, connection["id"])
        context["ti"].xcom_push(key=OAUTH_URL_KEY, value=connection["url"])
        context["ti"].xcom_push(key=CONNECTION_KEY, value=connection)
        return int(connection["id"])


class WorkatoGetOAuthUrlOperator(WorkatoOperator):
    """Fetch the URL at which a person authorizes a runtime user connection, for the first time or again.

    Returns the URL; the task's page gets a button that leads there.

    :param connection_id: the runtime user connection (templated).
    :param workato_conn_id: the Airflow connection with the API token (templated).
    """

    template_fields: Sequence[str] = (*WorkatoOperator.template_fields, "connection_id")
    operator_extra_links = (WorkatoConnectionLink(), WorkatoOAuthLink())

    def __init__(self, *, connection_id: Id, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection_id: Any = connection_id

    def execute(self, context: Context) -> str:
        """Fetch the URL.

        :param context: the task's execution context.
        """
        url = self.hook.get_oauth_url(self.connection_id)
        leave_connection_url(context, self.hook.settings, to_id(self.connection_id))
        context["ti"].xcom_push(key=OAUTH_URL_KEY, value=url)
        return url
