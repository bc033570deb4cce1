"""Answers that are not a plain success, in the shapes the developer API uses for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOT_FOUND_BODY = {"message": "Not found"}
UNAUTHORIZED_BODY = {"message": "Unauthorized"}
BAD_REQUEST_BODY = {"message": "Bad request"}
TOO_MANY_REQUESTS_BODY = {"message": "Too many requests"}

#: Field name to what is wrong with it.
FieldErrors = Mapping[str, Sequence[str]]


class Refused(Exception):
    """
    The workspace says no; the HTTP layer turns this into the answer.

    :param status: HTTP status of the answer
    :param body: JSON body of the answer
    """

    def __init__(self, *, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("message"))
        self.status = status
        self.body = dict(body)


def not_found() -> Refused:
    """Say that there is no such connection."""
    return Refused(status=404, body=NOT_FOUND_BODY)


def bad_request(message: str) -> Refused:
    """
    Say that the request cannot be carried out.

    :param message: why
    """
    return Refused(status=400, body={"message": message})


def invalid(errors: FieldErrors) -> Refused:
    """
    Say which fields are wrong, as the vendor's ``ValidationError``.

    :param errors: field name to messages
    """
    return Refused(
        status=400,
        body={
            "message": "Validation failed",
            "errors": {field: list(texts) for field, texts in errors.items()},
        },
    )


def rejected(message: str) -> Refused:
    """
    Say no the way Workato does for things in use: HTTP 200 and ``success: false``.

    :param message: why
    """
    return Refused(status=200, body={"success": False, "status": "rejected", "message": message})
