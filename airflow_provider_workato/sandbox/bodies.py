"""Bodies of the API's requests, and of the answers that are no plain success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter


def _as_web_url(text: str) -> str:
    TypeAdapter(HttpUrl).validate_python(text)
    return text


#: An http or https URL, kept as it was sent.
WebUrl = Annotated[str, AfterValidator(_as_web_url)]


class _Connection(BaseModel):
    folder_id: int | None = None
    parent_id: int | None = None
    external_id: str | None = None
    custom_oauth_profile_id: int | None = None
    shell_connection: bool | None = None
    input: dict[str, Any] | None = None


class CreateConnection(_Connection):
    """Body of ``POST /api/connections``."""

    name: Annotated[str, Field(min_length=1)]
    provider: Annotated[str, Field(min_length=1)]


class UpdateConnection(_Connection):
    """Body of ``PUT /api/connections/{id}``. Only the fields that are sent change."""

    name: Annotated[str, Field(min_length=1)] | None = None


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


NOT_FOUND_BODY = {"message": "Not found"}
UNAUTHORIZED_BODY = {"message": "Unauthorized"}
BAD_REQUEST_BODY = {"message": "Bad request"}
TOO_MANY_REQUESTS_BODY = {"message": "Too many requests"}

#: Field name to messages.
FieldErrors = Mapping[str, Sequence[str]]


class Refused(Exception):
    """Workato refuses a call. The HTTP layer turns this into the response.

    :param status: HTTP status of the response.
    :param body: JSON body of the response.
    """

    def __init__(self, *, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("message"))
        self.status = status
        self.body = dict(body)


def not_found() -> Refused:
    """Return a 404: there is no such thing."""
    return Refused(status=404, body=NOT_FOUND_BODY)


def bad_request(message: str) -> Refused:
    """Return a 400 with a message.

    :param message: the reason.
    """
    return Refused(status=400, body={"message": message})


def forbidden(message: str) -> Refused:
    """Return a 403 with a message.

    :param message: the reason.
    """
    return Refused(status=403, body={"message": message})


def invalid(errors: FieldErrors) -> Refused:
    """Return a 400 with field errors, the vendor's ``ValidationError``.

    :param errors: field name to messages.
    """
    return Refused(
        status=400,
        body={
            "message": "Validation failed",
            "errors": {field: list(texts) for field, texts in errors.items()},
        },
    )


def rejected(message: str) -> Refused:
    """Return a 200 with ``success: false``, Workato's refusal for things in use.

    :param message: the reason.
    """
    return Refused(status=200, body={"success": False, "status": "rejected", "message": message})
