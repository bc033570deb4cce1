"""Where the credentials of a declared set come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.provisioning.manifest import SOURCES
from airflow_provider_workato.redaction import Sealed
from airflow_provider_workato.version_compat import AirflowNotFoundException, BaseHook

if TYPE_CHECKING:
    from airflow_provider_workato.provisioning.manifest import Declared


def with_credentials(declared: Sequence[Declared]) -> list[Declared]:
    """Return the entries with their credentials, sealed; an entry whose credentials cannot be had says why.

    :param declared: the entries of a manifest. Each Airflow connection is read once.
    """
    read: dict[str, Sealed | str] = {}
    return [_with_credentials(entry, read) for entry in declared]


def _with_credentials(entry: Declared, read: dict[str, Sealed | str]) -> Declared:
    given = Sealed(dict(entry.input))
    if entry.source is not None:
        conn_id = entry.source.conn_id
        if conn_id not in read:
            read[conn_id] = _fields(conn_id)
        fields = read[conn_id]
        if isinstance(fields, str):
            return replace(entry, problem=fields)
        for key, name in entry.source.keys.items():
            if fields.reveal().get(name) in (None, ""):
                return replace(
                    entry,
                    problem=f"Airflow connection {conn_id!r} has no {name}, which is to be input.{key}.",
                )
            given.reveal()[key] = fields.reveal()[name]
    if not given.reveal():
        return entry
    try:
        credentials = Sealed(given.reveal(), public=Sealed(entry.input).paths())
        return replace(entry, spec=entry.spec.with_credentials(credentials))
    except WorkatoConfigurationError as error:
        return replace(entry, problem=str(error))


def _fields(conn_id: str) -> Sealed | str:
    """Return the fields of an Airflow connection by the names of a manifest, or why there are none."""
    with suppress(AirflowNotFoundException):
        # No variable for it: a traceback that prints local variables would show its password.
        return _named(Sealed(BaseHook.get_connection(conn_id)))
    return f"Airflow has no connection {conn_id!r}."


def _named(connection: Sealed) -> Sealed:
    # Airflow logs an error if the extra is not JSON. It can be JSON without names, such as a list.
    extra = Sealed(connection.reveal().extra_dejson)
    if not isinstance(extra.reveal(), Mapping):
        extra = Sealed({})
    # In one expression: a variable would show its fields in a traceback that prints local variables.
    return Sealed(
        {f"extra.{name}": value for name, value in extra.reveal().items()}
        | {name: getattr(connection.reveal(), name) for name in SOURCES}
    )
