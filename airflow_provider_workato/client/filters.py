"""The filters of the list of connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_workato.arguments import EMPTY, check_field, drop_none

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_workato.client.answers import WorkatoConnection

#: Data centers that do not know one of these filters ignore it, so it is applied to the answer as well.
_FILTERS_CHECKED_IN_ANSWER = ("provider", "external_id", "parent_id", "project_id")


class ListFilters(TypedDict, total=False):
    """The filters of a list of connections, all optional. A connection must match every one that is given.

    :param folder_id: only connections in this folder.
    :param project_id: only connections in this project.
    :param parent_id: only connections with this parent connection.
    :param external_id: only connections with this external id.
    :param provider: only connections to this app, for example ``jira``.
    :param include_runtime_connections: include the connections of runtime users (default false).
    :param include_tags: fill ``tags`` (default false).
    :param updated_after: only connections changed since; a datetime with a time zone or an ISO 8601 string.
    """

    folder_id: int | str | None
    project_id: int | str | None
    parent_id: int | str | None
    external_id: str | None
    provider: str | None
    include_runtime_connections: bool
    include_tags: bool
    updated_after: datetime | str | None


LIST_FILTERS: tuple[str, ...] = tuple(ListFilters.__annotations__)

#: The parameters that stand for a filter that is true. One that is false is not sent.
_FLAGS = {
    "include_runtime_connections": ("include_runtime_connections", "true"),
    "include_tags": ("includes[]", "tags"),
}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list of connections to ask for, its filters checked.

    :param parameters: the query string's parameters.
    :param check_in_answer: the filters that :meth:`selects` checks, by name.
    """

    parameters: list[tuple[str, str]]
    check_in_answer: dict[str, Any]

    @classmethod
    def of(cls, filters: ListFilters) -> ListQuery:
        """Check the filters.

        :param filters: the filters as the caller gave them.
        :raises TypeError: if there is no such filter.
        :raises WorkatoConfigurationError: if a value is not valid.
        """
        for name in filters:
            if name not in LIST_FILTERS:
                raise TypeError(f"unknown list filter {name!r}; the filters are {', '.join(LIST_FILTERS)}")
        wanted = drop_none(**{name: _checked(name, filters.get(name)) for name in LIST_FILTERS})
        parameters = [
            _FLAGS.get(name, (name, str(value))) for name, value in wanted.items() if value is not False
        ]
        return cls(parameters, {key: wanted[key] for key in _FILTERS_CHECKED_IN_ANSWER if key in wanted})

    def selects(self, row: WorkatoConnection) -> bool:
        """Tell whether *row* belongs in the answer. A key that the answer leaves out proves nothing.

        :param row: a connection of the answer.
        """
        return all(row.get(key, value) == value for key, value in self.check_in_answer.items())


def _checked(name: str, value: object) -> Any:
    # Unlike a create, a list may look for what was named "None" by mistake.
    is_name = name in ("external_id", "provider")
    return value if is_name and value in EMPTY[1:] else check_field(name, value)
