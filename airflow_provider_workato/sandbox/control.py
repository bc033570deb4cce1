"""The control API at ``/sandbox/``: seed, break and watch the sandbox. It needs no token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_provider_workato.sandbox.faults import FAULTS, UnknownFault
from airflow_provider_workato.sandbox.folders import ROOT_FOLDER_ID, Folder
from airflow_provider_workato.sandbox.sandbox import TheSandbox
from airflow_provider_workato.sandbox.traffic import Operation, QuotaLimits


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SeedRow(_Body):
    """A connection to add, with any status, even one that Workato does not have."""

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


Limit = Annotated[int, Field(ge=1)] | Literal["off"]


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


router = APIRouter(prefix="/sandbox", tags=["control"])


@router.post("/reset")
async def reset(sandbox: TheSandbox) -> dict[str, Any]:
    """Restore workspace, quotas, faults and request log to their state at start."""
    sandbox.reset()
    return {"reset": True}


@router.get("/state")
async def state(sandbox: TheSandbox, *, connections: bool = True) -> dict[str, Any]:
    """Return the workspace. ``connections=false`` leaves the connections out."""
    return sandbox.workspace.describe(with_connections=connections)


@router.post("/seed")
async def seed(sandbox: TheSandbox, wanted: Seed) -> dict[str, Any]:
    """Add connections and folders."""
    sandbox.workspace.folders.add(Folder(**row.model_dump()) for row in wanted.folders)
    ids = sandbox.external_changes.seed(row.model_dump() for row in wanted.connections)
    like = SeedRow(**wanted.model_dump(exclude={"connections", "folders", "count"}))
    ids += sandbox.external_changes.seed(generated_rows(count=wanted.count, like=like))
    return {"ids": ids}


@router.post("/connections/authorize")
async def authorize_many(sandbox: TheSandbox, wanted: AuthorizeMany | None = None) -> dict[str, Any]:
    """Authorize many connections at the same instant."""
    ids = wanted.ids if wanted is not None else None
    if ids is None:
        waiting = sandbox.workspace.connections.values()
        ids = [connection.id for connection in waiting if connection.authorization_status is None]
    for connection_id in ids:
        sandbox.external_changes.authorize(connection_id)
    return {"ids": ids}


@router.post("/connections/{connection_id}/authorize")
async def authorize(sandbox: TheSandbox, connection_id: int) -> dict[str, Any]:
    """Authorize a connection, as a person would."""
    return sandbox.external_changes.authorize(connection_id).describe()


@router.post("/connections/{connection_id}/fail")
async def fail(
    sandbox: TheSandbox, connection_id: int, wanted: FailConnection | None = None
) -> dict[str, Any]:
    """Let an attempt to authorize fail."""
    how = wanted or FailConnection()
    return sandbox.external_changes.fail(connection_id, **how.model_dump()).describe()


@router.post("/connections/{connection_id}/lose")
async def lose(
    sandbox: TheSandbox, connection_id: int, wanted: LoseConnection | None = None
) -> dict[str, Any]:
    """Lose a connection, as a refused token refresh does."""
    how = wanted or LoseConnection()
    return sandbox.external_changes.lose(connection_id, **how.model_dump()).describe()


@router.post("/connections/{connection_id}/delete")
async def delete(sandbox: TheSandbox, connection_id: int) -> dict[str, Any]:
    """Delete a connection as a person would, unless something uses it."""
    sandbox.calls.delete(connection_id)
    return {"deleted": connection_id}


@router.post("/connections/{connection_id}/use")
async def use(sandbox: TheSandbox, connection_id: int, wanted: UseConnection) -> dict[str, Any]:
    """Set what uses a connection."""
    return sandbox.external_changes.use(connection_id, **wanted.model_dump()).describe()


@router.get("/requests")
async def requests(sandbox: TheSandbox, operation: Operation | None = None, since: int = 0) -> dict[str, Any]:
    """Return the logged calls to ``/api/``, and the counts of all calls."""
    return {
        "requests": list(sandbox.log.entries(operation=operation, since=since)),
        "counts": sandbox.log.counts(),
    }


@router.get("/requests/counts")
async def request_counts(sandbox: TheSandbox) -> dict[str, Any]:
    """Return the counts of the calls to ``/api/`` since the log was cleared."""
    return sandbox.log.counts()


@router.delete("/requests")
async def clear_requests(sandbox: TheSandbox) -> dict[str, Any]:
    """Clear the request log."""
    sandbox.log.clear()
    return {"cleared": True}


@router.get("/changes")
async def changes(sandbox: TheSandbox, since: int = 0) -> dict[str, Any]:
    """Return every state of every connection, with the time it began. A deleted connection is null."""
    return {"changes": list(sandbox.workspace.changes.entries(since=since))}


@router.post("/tokens")
async def change_tokens(sandbox: TheSandbox, wanted: Tokens) -> dict[str, Any]:
    """Accept other API tokens, as after a rotation."""
    sandbox.tokens = set(wanted.accept)
    return {"accepted": len(sandbox.tokens)}


@router.get("/quota")
async def quota(sandbox: TheSandbox) -> dict[str, Any]:
    """Return the limits."""
    return {name: "off" if limit is None else limit for name, limit in asdict(sandbox.quota.limits).items()}


@router.post("/quota")
async def change_quota(sandbox: TheSandbox, wanted: QuotaChange) -> dict[str, Any]:
    """Set the limits."""
    given = wanted.model_dump(exclude_none=True)
    changes: dict[str, int | None] = {
        name: None if limit == "off" else limit for name, limit in given.items()
    }
    current: QuotaLimits = replace(sandbox.quota.limits, **changes)
    sandbox.quota.change(current)
    return await quota(sandbox)


@router.get("/faults")
async def faults(sandbox: TheSandbox) -> dict[str, Any]:
    """Return the active rules and all known faults."""
    return {
        "rules": [asdict(rule) for rule in sandbox.faults.rules],
        "faults": {name: asdict(fault) for name, fault in FAULTS.items()},
    }


@router.post("/faults")
async def add_fault(sandbox: TheSandbox, wanted: NewFaultRule) -> dict[str, Any]:
    """Add a fault rule."""
    try:
        rule = sandbox.faults.add(
            operation=wanted.operation,
            fault=wanted.fault,
            times=wanted.times,
            skip=wanted.skip,
            performed=wanted.performed,
            parameters=wanted.model_extra or {},
        )
    except UnknownFault as error:
        raise HTTPException(status_code=422, detail=str(error)) from error
    return asdict(rule)


@router.delete("/faults")
async def clear_faults(sandbox: TheSandbox) -> dict[str, Any]:
    """Remove all fault rules. Held calls stay held."""
    sandbox.faults.clear()
    return {"cleared": True}


@router.get("/held")
async def held(sandbox: TheSandbox) -> dict[str, Any]:
    """Return the held calls."""
    return {"held": sandbox.holds.describe()}


@router.post("/release")
async def release(sandbox: TheSandbox) -> dict[str, Any]:
    """Let the held calls go on."""
    return {"released": sandbox.holds.release()}
