"""The common base of the triggers: which list they poll, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_workato.arguments import check_field, to_seconds
from airflow_provider_workato.version_compat import BaseEventTrigger

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_workato.triggers.shared_list import ListKey


class ConnectionListTrigger(BaseEventTrigger):
    """A trigger that polls the list of connections.

    All triggers of a triggerer with the same Airflow connection and list filters share one poll. If their
    intervals differ, the shortest decides.

    :param workato_conn_id: the Airflow connection with the API token.
    :param poke_interval: seconds between two lists, greater than 0; also a string or a ``timedelta``.
    :raises WorkatoConfigurationError: if *poke_interval* is none of these.
    """

    #: The arguments that filter the list itself. All others select rows of it.
    list_filters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, workato_conn_id: str, poke_interval: timedelta | float | str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.workato_conn_id = workato_conn_id
        self.poke_interval = to_seconds(poke_interval, what="poke_interval")

    @classmethod
    def list_key(cls, kwargs: Mapping[str, Any]) -> ListKey:
        """Return the key of a trigger's list: triggers with the same key share one.

        :param kwargs: a trigger's arguments.
        :raises WorkatoConfigurationError: if a filter is not an id.
        """
        given = {name: kwargs[name] for name in cls.list_filters if kwargs.get(name) is not None}
        filters = (
            (name, value if name == "external_id" else check_field(name, value))
            for name, value in given.items()
        )
        return kwargs["workato_conn_id"], tuple(filters)
