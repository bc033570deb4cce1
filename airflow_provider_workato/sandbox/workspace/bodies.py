"""Bodies and queries of the API's requests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter


def _as_web_url(text: str) -> str:
    TypeAdapter(HttpUrl).validate_python(text)
    return text


#: An http or https URL, kept as it was sent.
WebUrl = Annotated[str, AfterValidator(_as_web_url)]


class CreateConnection(BaseModel):
    """Body of ``POST /api/connections``."""

    name: Annotated[str, Field(min_length=1)]
    provider: Annotated[str, Field(min_length=1)]
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None
    custom_oauth_profile_id: int | None = None
    shell_connection: bool | None = None
    input: dict[str, Any] | None = None


class UpdateConnection(BaseModel):
    """Body of ``PUT /api/connections/{id}``. Only the fields that are sent change."""

    name: Annotated[str, Field(min_length=1)] | None = None
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None
    custom_oauth_profile_id: int | None = None
    shell_connection: bool | None = None
    input: dict[str, Any] | None = None


class DisconnectConnection(BaseModel):
    """Body of ``POST /api/connections/{id}/disconnect``."""

    force: bool = False


class GetPicklist(BaseModel):
    """Body of ``POST /api/connections/{id}/pick_list``."""

    pick_list_name: Annotated[str, Field(min_length=1)]
    pick_list_params: dict[str, Any] | None = None


class CreateRuntimeUserConnection(BaseModel):
    """Body of ``POST /api/connections/runtime_user_connections``."""

    parent_id: int
    folder_id: int
    external_id: Annotated[str, Field(min_length=1)]
    name: str | None = None
    callback_url: WebUrl | None = None
    redirect_url: WebUrl | None = None


class ListFilter(BaseModel):
    """Query of ``GET /api/connections``."""

    model_config = ConfigDict(frozen=True)

    folder_id: int | None = None
    project_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None
    provider: str | None = None
    updated_after: datetime | None = None
    with_runtime_users: bool = False
    with_tags: bool = False


class CreateFolder(BaseModel):
    """Body of ``POST /api/folders``."""

    name: Annotated[str, Field(min_length=1)]
    parent_id: int | None = None


class UpdateFolder(BaseModel):
    """Body of ``PUT /api/folders/{id}``. Only the fields that are sent change."""

    name: Annotated[str, Field(min_length=1)] | None = None
    parent_id: int | None = None


class UpdateProject(BaseModel):
    """Body of ``PUT /api/projects/{id}``. Only the fields that are sent change."""

    name: Annotated[str, Field(min_length=1)] | None = None
    description: str | None = None
