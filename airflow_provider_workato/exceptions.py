"""What can go wrong, by what can be done about it.

The errors that also are an ``AirflowFailException`` fail the task at once: trying again cannot
cure them. All others leave the task to Airflow's ``retries``.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

#: Starts the line of a traceback that holds an error's attributes.
_DETAILS = "details: "

#: The longest attribute that such a line carries, in characters of JSON.
_MAX_DETAIL = 2000

E = TypeVar("E", bound="WorkatoError")


class WorkatoError(AirflowException):
    """The base of all errors of this provider."""


class WorkatoConfigurationError(WorkatoError, AirflowFailException):
    """An argument or a field of the Airflow connection is missing or wrong. No request was sent."""


class WorkatoTransportError(WorkatoError):
    """No answer came: the network, the TLS handshake or the time limit got in between.

    :param message: what failed, the likely cause and what to do.
    :param operation: the call, for example ``create_connection``.
    :param request_sent: whether the request may have reached Workato. When it may, a create
        can have happened although no answer came.
    """

    def __init__(self, message: str, *, operation: str = "", request_sent: bool = True) -> None:
        super().__init__(message)
        self.operation = operation
        self.request_sent = request_sent


class WorkatoBusyError(WorkatoError):
    """Another process of this machine is making the same connection, and does not come to an end."""


class WorkatoTLSError(WorkatoTransportError, AirflowFailException):
    """No request was sent: the server's certificate is not trusted, or it does not speak TLS."""


class WorkatoApiError(WorkatoError):
    """Workato answered, and the answer is not the one asked for.

    :param message: what failed, the likely cause and what to do.
    :param status: the HTTP status.
    :param operation: the call, for example ``create_connection``.
    :param detail: what the server said, bounded and redacted.
    :param field_errors: the server's complaints by field name.
    :param support_id: the id that Workato's support asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        operation: str = "",
        detail: str = "",
        field_errors: Mapping[str, Sequence[str]] | None = None,
        support_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.operation = operation
        self.detail = detail
        self.field_errors = {name: list(texts) for name, texts in (field_errors or {}).items()}
        self.support_id = support_id


class WorkatoAuthError(WorkatoApiError, AirflowFailException):
    """401: the token is not accepted, or its role lacks the privilege."""


class WorkatoPermissionError(WorkatoApiError, AirflowFailException):
    """403: the token is valid, but not for this project, environment or action."""


class WorkatoNotFoundError(WorkatoApiError, AirflowFailException):
    """404, or not in the list of connections."""


class WorkatoValidationError(WorkatoApiError, AirflowFailException):
    """400 or 422: the server refused what was sent."""


class WorkatoRejectedError(WorkatoApiError, AirflowFailException):
    """The server answered ``success: false``, for example because active recipes use the connection."""


class WorkatoRateLimitError(WorkatoApiError):
    """429: the workspace's quota is used up.

    :param retry_after: seconds after which Workato asked to be called again, if it said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class WorkatoServerError(WorkatoApiError):
    """5xx: Workato, or something in front of it, failed."""


class WorkatoResponseError(WorkatoApiError):
    """The answer is not what the API documents: HTML, torn JSON, a wrong type or a redirect."""


class WorkatoAuthorizationError(WorkatoError, AirflowFailException):
    """A connection is not authorized, and waiting longer does not change that.

    :param message: which connection, what the app said and what to do.
    :param connection_id: the connection.
    :param authorization_status: ``failed``, ``exception``, or what the server says of a lost one.
    :param authorization_error: what the app said, bounded and redacted.
    """

    def __init__(
        self,
        message: str,
        *,
        connection_id: int | None = None,
        authorization_status: str | None = None,
        authorization_error: str | None = None,
    ) -> None:
        super().__init__(message)
        self.connection_id = connection_id
        self.authorization_status = authorization_status
        self.authorization_error = authorization_error


class WorkatoExistsError(WorkatoError, AirflowFailException):
    """The connection exists already, or more than one could be meant.

    :param message: what exists and what to do.
    :param connection_ids: the connections found.
    """

    def __init__(self, message: str, *, connection_ids: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.connection_ids = list(connection_ids)


def for_traceback(error: E) -> E:
    """Return a copy of *error* for a trigger to raise, with no traceback and its attributes as a note.

    Airflow hands a trigger's exception to the task as the text of its traceback. One that many waits
    raised would hold the frames of them all.

    :param error: what went wrong.
    """
    fresh = copy.copy(error)
    fresh.__dict__.pop("__notes__", None)
    details = {name: json.dumps(value, default=str) for name, value in vars(fresh).items()}
    short = [f'"{name}": {text}' for name, text in details.items() if len(text) <= _MAX_DETAIL]
    if short:
        fresh.add_note(f"{_DETAILS}{{{', '.join(short)}}}")
    return fresh


def from_traceback(lines: Sequence[str] | str | None) -> WorkatoError | None:
    """Rebuild the error that ended a trigger from the traceback that Airflow hands to the task.

    A trigger's exception reaches its task as text only; with the type restored, a permanent error
    fails a deferred task at once, exactly as it fails one that waits on a worker. The attributes come
    from the note that :func:`for_traceback` left.

    :param lines: the traceback, as Airflow stores it.
    """
    text = lines if isinstance(lines, str) else "\n".join(lines or ())
    here = sys.modules[__name__]
    details: dict[str, Any] = {}
    for line in reversed(text.splitlines()):
        if line.startswith(_DETAILS):
            details = _parsed(line.removeprefix(_DETAILS))
            continue
        name, _, message = line.partition(": ")
        module, _, class_name = name.strip().rpartition(".")
        kind = getattr(here, class_name, None) if module == __name__ else None
        if isinstance(kind, type) and issubclass(kind, WorkatoError):
            error = kind(message)
            for attribute in vars(error).keys() & details.keys():
                setattr(error, attribute, details[attribute])
            return error
    return None


def _parsed(text: str) -> dict[str, Any]:
    try:
        details = json.loads(text)
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}
