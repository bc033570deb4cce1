"""The connections at start, and connections to seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_workato.sandbox.workspace.connection import StoredConnection
from airflow_provider_workato.sandbox.workspace.folders import ROOT_FOLDER_ID

PARENT_CONNECTION_ID = 36
FIRST_NEW_ID = 18009027


def initial_connections() -> Iterator[StoredConnection]:
    """Return the connections at start: one established OAuth connection that can be a parent."""
    stamp = "2015-05-26T15:53:52.532-07:00"
    yield StoredConnection(
        id=PARENT_CONNECTION_ID,
        name="ACME Production Salesforce connection",
        provider="salesforce",
        folder_id=4515,
        project_id=302,
        authorized_at=stamp,
        authorization_status="success",
        created_at=stamp,
        updated_at=stamp,
        tags=["tag-ANgeffPL-3gxQwA"],
    )


class SeedRow(BaseModel):
    """A connection to add, with any status, even one that Workato does not have."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[int, Field(gt=0)] | None = None
    name: str = "Seeded connection"
    provider: str = "jira"
    folder_id: int = ROOT_FOLDER_ID
    description: str | None = None
    parent_id: int | None = None
    custom_oauth_profile_id: int | None = None
    external_id: str | None = None
    authorized_at: str | None = None
    authorization_status: str | None = None
    authorization_error: str | None = None
    connection_lost_at: str | None = None
    connection_lost_reason: str | None = None
    tags: list[str] = []
    is_runtime_user: bool = False
    active_recipes: int = 0
    audit_log_streaming: bool = False


def generated_rows(*, count: int, like: SeedRow) -> Iterator[dict[str, Any]]:
    """Return many rows that differ in name and external id.

    :param count: number of rows.
    :param like: the values that they have in common.
    """
    common = like.model_dump(exclude={"id", "name", "external_id"})
    for number in range(1, count + 1):
        yield {
            **common,
            "name": f"{like.name} {number}",
            "external_id": f"{like.external_id or 'seeded'}-{number}",
        }
