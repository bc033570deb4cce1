"""What the triggers have in common: one poll of a workspace's list for all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger

from airflow_provider_workato.models import to_optional_id
from airflow_provider_workato.triggers.snapshots import ListKey, PollFailed, Snapshot, follow

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent


class ConnectionListTrigger(BaseEventTrigger):
    """A trigger that looks at the list of connections again and again.

    On Airflow 3.3 and later, triggers with the same Airflow connection, filters and interval share one
    poll, whatever each of them looks for. Subclasses say that in ``filter_shared_stream``.

    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists.
    :param folder_id: list this folder only.
    :param project_id: list this project only.
    :param external_id: list only the connections with this external id.
    """

    def __init__(
        self,
        *,
        workato_conn_id: str,
        poke_interval: float,
        folder_id: int | str | None = None,
        project_id: int | str | None = None,
        external_id: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.workato_conn_id = workato_conn_id
        self.poke_interval = poke_interval
        self.folder_id = folder_id
        self.project_id = project_id
        self.external_id = external_id

    def list_arguments(self) -> dict[str, Any]:
        """Return the arguments that decide which list is fetched, and how often."""
        return {
            "workato_conn_id": self.workato_conn_id,
            "poke_interval": self.poke_interval,
            "folder_id": self.folder_id,
            "project_id": self.project_id,
            "external_id": self.external_id,
        }

    def shared_stream_key(self) -> Hashable | None:
        """Share the poll with every trigger that wants the same list as often."""
        return ("workato", list_key(self.list_arguments()), self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[Snapshot | PollFailed, None]:
        """Poll the list for all triggers of the group.

        A poll that a later one can make up for is passed on as such; an error that none can
        cure ends the stream and with it every trigger of the group.

        :param kwargs: the arguments of one trigger of the group.
        :raises WorkatoError: for example if the token is not accepted.
        """
        async with aclosing(follow(list_key(kwargs), interval=kwargs["poke_interval"])) as items:
            async for item in items:
                yield item

    @abstractmethod
    def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncGenerator[TriggerEvent, None]:
        """Turn the lists into this trigger's events.

        :param shared_stream: the lists.
        """

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Do the same with a poll of its own, where Airflow does not share one."""
        async with (
            aclosing(type(self).open_shared_stream(self.list_arguments())) as stream,
            aclosing(self.filter_shared_stream(stream)) as events,
        ):
            async for event in events:
                yield event


def list_key(kwargs: Mapping[str, Any]) -> ListKey:
    """Return what makes two triggers want the same list.

    :param kwargs: a trigger's arguments.
    """
    filters: list[tuple[str, Any]] = [
        (name, to_optional_id(kwargs[name], what=name))
        for name in ("folder_id", "project_id")
        if kwargs.get(name) is not None
    ]
    if kwargs.get("external_id") is not None:
        filters.append(("external_id", kwargs["external_id"]))
    return kwargs["workato_conn_id"], tuple(filters)
