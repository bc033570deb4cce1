"""Creates as the operators make them: with a record of what they remember and tell."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning.create_once import Provisioning, RuntimeUserProvisioning
from airflow_provider_workato.provisioning.record import Outcome, Record
from airflow_provider_workato.provisioning.spec import ConnectionSpec
from airflow_provider_workato.redaction import seal


class Kept(Protocol):
    """What outlives the try of a create."""

    def read(self) -> dict[str, Any]: ...

    def write(self, record: dict[str, Any]) -> None: ...


class Told:
    """What a create told of its connection."""

    def __init__(self) -> None:
        self.connections: list[dict[str, Any]] = []
        self.created: list[bool] = []


class _Record(Record):
    def __init__(self, kept: Kept | None, told: Told | None) -> None:
        self._kept = kept
        self._told = told or Told()

    def read(self) -> dict[str, Any]:
        return self._kept.read() if self._kept else {}

    def write(self, record: dict[str, Any]) -> None:
        if self._kept:
            self._kept.write(record)

    def known(self, connection: dict[str, Any], *, outcome: Outcome) -> None:
        self._told.connections.append(connection)
        self._told.created.append(outcome == "created")


def ensure(
    hook: WorkatoConnectionsHook,
    *,
    record: Kept | None = None,
    told: Told | None = None,
    if_exists: Any = "reuse",
    input: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Find or create a connection; without a provider, one of a runtime user.

    :param hook: the workspace.
    :param record: what outlives the try.
    :param told: receives what the create tells.
    :param if_exists: what to do if it exists.
    :param input: its credentials.
    :param fields: its fields.
    """
    kind = Provisioning if "provider" in fields else RuntimeUserProvisioning
    return kind(
        transport=hook.transport,
        spec=ConnectionSpec.checked(credentials=seal(input), **fields),
        if_exists=if_exists,
        record=_Record(record, told),
    ).run()
