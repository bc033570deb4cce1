"""Bodies of the control API's requests."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_provider_workato.sandbox.workspace.seeds import SeedRow

Limit = Annotated[int, Field(ge=1)] | Literal["off"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FolderRow(_Body):
    """A folder to add."""

    id: int
    name: str
    parent_id: int | None = None
    project_id: int | None = None


class Seed(SeedRow):
    """Connections to add as they are, and ``count`` more that share the other fields."""

    connections: list[SeedRow] = Field(default_factory=list)
    folders: list[FolderRow] = Field(default_factory=list)
    count: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    @field_validator("connections")
    @classmethod
    def _no_id_twice(cls, rows: list[SeedRow]) -> list[SeedRow]:
        for connection_id, count in Counter(row.id for row in rows if row.id is not None).items():
            if count > 1:
                raise ValueError(f"{count} connections have the id {connection_id}")
        return rows


class AuthorizeMany(_Body):
    """Connections to authorize, by default all without a status."""

    ids: list[int] | None = None


class LoseConnection(_Body):
    """How a connection is lost."""

    reason: str = "Account credentials refresh failed"
    status: Literal["failed", "exception"] | None = None


class FailConnection(_Body):
    """How an attempt to authorize fails."""

    error: str = "Authorization failed"
    status: Literal["failed", "exception"] = "failed"


class UseConnection(_Body):
    """What uses a connection."""

    active_recipes: Annotated[int, Field(ge=0)] = 0
    audit_log_streaming: bool = False


class QuotaChange(_Body):
    """New limits. Omitted limits do not change."""

    list_per_minute: Limit | None = None
    calls_per_second: Limit | None = None


class Tokens(_Body):
    """The API tokens to accept from now on."""

    accept: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class NewFaultRule(BaseModel):
    """A fault rule to add. Other keys are parameters of the fault."""

    model_config = ConfigDict(extra="allow")

    fault: str
    operation: str = "*"
    times: Annotated[int, Field(ge=1)] | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    performed: bool | None = None
