"""The calls that list, create and change connections. Nothing in their answers quotes a credential."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.answers import check_answer, decode_connections, parse_connection
from airflow_provider_workato.client.calls import Call
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.filters import ListFilters, ListQuery
from airflow_provider_workato.redaction import Sealed

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.client.transport import Transport


def list_connections(
    transport: Transport, filters: ListFilters, *, secrets: Sealed | None = None
) -> list[WorkatoConnection]:
    """Return the connections that match.

    :param transport: sends the call.
    :param filters: what to ask for.
    :param secrets: credentials that an app may have quoted in a message of an earlier change.
    :raises WorkatoError: if the call fails.
    """
    unseen = transport.secrets_of(Call(endpoint=endpoints.LIST, secrets=secrets))
    return list(matching(transport, filters, lambda body: decode_connections(body, secrets=unseen)))


def matching(
    transport: Transport, filters: ListFilters, parse: Callable[[memoryview], Iterable[Any]]
) -> Iterator[Any]:
    """Yield what *parse* makes of the list, without what the filters exclude.

    :param transport: sends the call.
    :param filters: what to ask for.
    :param parse: makes rows of the answer's bytes.
    :raises WorkatoError: if the call fails.
    """
    query = ListQuery.of(filters)
    rows = parse(transport.send_raw(Call(endpoint=endpoints.LIST, query=query.parameters)).body)
    return filter(query.selects, rows) if query.check_in_answer else iter(rows)


def change(transport: Transport, call: Call) -> WorkatoConnection:
    """Send a create or an update, and return the connection of its answer.

    :param transport: sends the call.
    :param call: the call.
    :raises WorkatoError: if the call fails, or if the answer shows another connection.
    """
    answer = Sealed(transport.send_raw(call).body)
    return connection_in(answer, call, secrets=transport.secrets_of(call))


def connection_in(answer: Sealed, call: Call, *, secrets: Sealed) -> WorkatoConnection:
    """Return the connection in the answer to a create or an update.

    :param answer: the answer's bytes, sealed because a wrong answer may quote what it must not.
    :param call: the call.
    :param secrets: the strings that neither the connection nor an error may quote, longest first.
    :raises WorkatoResponseError: if it is not a connection.
    :raises WorkatoMismatchError: if it is another connection.
    """
    operation = call.endpoint.operation
    payload = Sealed(decode(answer.reveal(), operation=operation))
    row = Sealed(parse_connection(payload.reveal(), operation=operation, secrets=secrets))
    check_answer(
        row, sent=call.payload, operation=operation, connection_id=call.connection_id, secrets=secrets
    )
    connection: WorkatoConnection = row.reveal()
    return connection
