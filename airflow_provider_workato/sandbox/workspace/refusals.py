"""Responses other than a plain success, in the shapes that the developer API uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
