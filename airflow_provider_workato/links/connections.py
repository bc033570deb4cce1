"""Buttons on a task's page that lead to Workato."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_workato.client.settings import WorkatoSettings

#: XCom keys under which a task leaves the addresses for its links.
CONNECTION_URL_KEY = "workato_connection_url"
OAUTH_URL_KEY = "workato_oauth_url"


def connection_url(settings: WorkatoSettings, connection_id: int | str) -> str:
    """Return the page of a connection in Workato.

    :param settings: the workspace.
    :param connection_id: the connection.
    """
    return f"{settings.web_url}/connections/{connection_id}"


def push_connection_url(context: Context, settings: WorkatoSettings, connection_id: int) -> None:
    """Push what :class:`WorkatoConnectionLink` shows.

    :param context: the task's execution context.
    :param settings: the workspace.
    :param connection_id: the connection.
    """
    context["ti"].xcom_push(key=CONNECTION_URL_KEY, value=connection_url(settings, connection_id))


class _XComLink(BaseOperatorLink):
    """A link whose address the task left in an XCom."""

    key: str

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address, empty as long as the task left none.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        return XCom.get_value(ti_key=ti_key, key=self.key) or ""


class WorkatoConnectionLink(_XComLink):
    """Opens the connection's page in Workato."""

    name = "Open in Workato"
    key = CONNECTION_URL_KEY


class WorkatoOAuthLink(_XComLink):
    """Opens the page at which a person authorizes the connection."""

    name = "Authorize"
    key = OAUTH_URL_KEY
