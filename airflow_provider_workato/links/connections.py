"""Buttons on a task's page that open Workato."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.version_compat import BaseOperatorLink, push_past_backend, xcom_of

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_workato.client.settings import WorkatoSettings
    from airflow_provider_workato.version_compat import BaseOperator

#: XCom keys of the URLs that the buttons open.
CONNECTION_URL_KEY = "workato_connection_url"
OAUTH_URL_KEY = "workato_oauth_url"


def connection_url(settings: WorkatoSettings, connection_id: int | str) -> str:
    """Return the URL of a connection's page in Workato.

    :param settings: the workspace.
    :param connection_id: the connection.
    """
    return f"{settings.web_url}/connections/{connection_id}"


def push_folder_url(context: Context, settings: WorkatoSettings, folder_id: int | str | None) -> None:
    """Push the URL of a folder for :class:`WorkatoConnectionLink`, once the connection is gone.

    :param settings: the workspace.
    :param folder_id: the folder or project, ``None`` for the workspace's first page.
    """
    url = f"{settings.web_url}/" + (f"?fid={folder_id}#assets" if folder_id else "")
    push_link(context, WorkatoConnectionLink(), url)


def push_connection_url(context: Context, settings: WorkatoSettings, connection_id: int) -> None:
    """Push the URL that :class:`WorkatoConnectionLink` opens.

    :param settings: the workspace.
    :param connection_id: the connection.
    """
    push_link(context, WorkatoConnectionLink(), connection_url(settings, connection_id))


def push_link(context: Context, link: _XComLink, url: str) -> None:
    """Push the URL that a link opens.

    :param link: the link.
    :param url: the URL.
    """
    for key, value in link_xcoms(link, url).items():
        push_past_backend(context["ti"], key=key, value=value)


def link_xcoms(link: _XComLink, url: str) -> dict[str, str]:
    """Return the XComs that make a link work, also while the task is still running.

    :param link: the link.
    :param url: the URL that it opens.
    """
    # Airflow 3 looks under its own key. It copies the URL there, but only when the task leaves its worker.
    own_key = getattr(link, "xcom_key", None)
    return {key: url for key in (link.key, own_key) if key}


def push_login_url(
    context: Context, task: BaseOperator, settings: WorkatoSettings, connection_id: int
) -> None:
    """Push the login URL that an upstream task of this DAG run pushed for the connection, if one did.

    :param task: the task whose context this is.
    :param settings: the workspace.
    :param connection_id: the connection.
    """
    if not task.upstream_task_ids:
        return
    ti, wanted = context["ti"], connection_url(settings, connection_id)
    upstream = [each for each in task.get_flat_relatives(upstream=True) if _has_login(each)]
    # A URL may invalidate those before it: prefer the task that ran last.
    upstream.sort(key=lambda each: len(each.get_flat_relative_ids(upstream=True)), reverse=True)
    for each in upstream:
        for map_index in dict.fromkeys((ti.map_index, -1)):
            pull = partial(ti.xcom_pull, task_ids=each.task_id, map_indexes=map_index)
            # A backend that encrypts cannot read what went past it. A missing button ends no wait.
            with suppress(Exception):
                if pull(key=CONNECTION_URL_KEY) == wanted and (url := pull(key=OAUTH_URL_KEY)):
                    push_link(context, WorkatoOAuthLink(), url)
                    return


def _has_login(task: Any) -> bool:
    return any(isinstance(link, WorkatoOAuthLink) for link in task.operator_extra_links)


class _XComLink(BaseOperatorLink):
    """A link to the URL in an XCom of the task."""

    key: str

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL, an empty string until the task has pushed one.

        :param operator: the task's operator.
        :param ti_key: the task instance.
        """
        return xcom_of(ti_key, key=self.key) or ""


class WorkatoConnectionLink(_XComLink):
    """Opens the connection's page in Workato, or its folder once the connection is deleted."""

    name = "Open in Workato"
    key = CONNECTION_URL_KEY


class WorkatoOAuthLink(_XComLink):
    """Opens the page at which a person authorizes the connection."""

    name = "Authorize"
    key = OAUTH_URL_KEY
