"""The errors of this provider, one class per remedy.

An error that is also an ``AirflowFailException`` fails the task at once, because a retry would fail the same
way. Every other error is left to Airflow's ``retries``.

::

    WorkatoError
    ├── WorkatoConfigurationError *     argument, Airflow connection or machine
    ├── WorkatoConnIdError              no such Airflow connection
    ├── WorkatoTransportError           no answer
    │   └── WorkatoTLSError *
    ├── WorkatoApiError                 an answer that reports a failure
    │   ├── WorkatoAuthError *          401
    │   ├── WorkatoPermissionError *    403
    │   ├── WorkatoNotFoundError *      404
    │   ├── WorkatoValidationError *    400, 422
    │   ├── WorkatoRejectedError *      "success": false
    │   ├── WorkatoRateLimitError       429
    │   ├── WorkatoServerError          408, 5xx
    │   └── WorkatoResponseError        not the documented answer
    │       └── WorkatoMismatchError *  the answer shows another connection
    ├── WorkatoAuthorizationError *     the app refused the connection
    ├── WorkatoExistsError *
    └── WorkatoBusyError

    * fails the task at once
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from airflow_provider_workato.version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
)

#: The prefix of the traceback line that holds an error's attributes.
_DETAILS = "details: "

#: The longest attribute on that line, in characters of JSON.
_MAX_DETAIL = 2000

E = TypeVar("E", bound="WorkatoError")


class WorkatoError(AirflowException):
    """The base class of all errors of this provider."""


class WorkatoConfigurationError(WorkatoError, AirflowFailException):
    """An argument, a field of the Airflow connection or a setting of this machine is missing or invalid.

    No request was sent.
    """

    request_sent = False


class WorkatoConnIdError(WorkatoError, AirflowNotFoundException):
    """Airflow has no connection with this id, or its secrets backend could not be reached."""


class WorkatoTransportError(WorkatoError):
    """No answer arrived: the network, the TLS handshake or a timeout prevented it.

    :param message: what failed, the likely cause and what to do.
    :param operation: the call, for example ``create_connection``.
    :param request_sent: whether the request may have reached Workato. If so, a create may have been
        carried out.
    """

    def __init__(self, message: str, *, operation: str = "", request_sent: bool = True) -> None:
        super().__init__(message)
        self.operation = operation
        self.request_sent = request_sent


class WorkatoBusyError(WorkatoError):
    """Another process on this machine has been creating the same connection for too long."""


class WorkatoTLSError(WorkatoTransportError, AirflowFailException):
    """The server's certificate is not trusted, it does not accept ours, or it does not speak TLS.

    Nothing was carried out.
    """


class WorkatoApiError(WorkatoError):
    """Workato's answer reports a failure.

    :param message: what failed, the likely cause and what to do.
    :param status: the HTTP status.
    :param operation: the call, for example ``create_connection``.
    :param detail: the server's message, shortened and redacted.
    :param field_errors: the server's messages by field name.
    :param support_id: the id under which Workato's support finds the failure.
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
    """401: the API token is not valid, or its role lacks the privilege."""


class WorkatoPermissionError(WorkatoApiError, AirflowFailException):
    """403: the API token is valid, but not for this project, environment or action."""


class WorkatoNotFoundError(WorkatoApiError, AirflowFailException):
    """404, or the connection is not in the list."""


class WorkatoValidationError(WorkatoApiError, AirflowFailException):
    """400 or 422: Workato did not accept the values."""


class WorkatoRejectedError(WorkatoApiError, AirflowFailException):
    """Workato answered ``"success": false``, for example because active recipes use the connection."""


class WorkatoRateLimitError(WorkatoApiError):
    """429: the workspace's quota is used up.

    :param retry_after: the seconds of the answer's ``Retry-After`` header, if it has one.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class WorkatoServerError(WorkatoApiError):
    """408 or 5xx: Workato, or a proxy in front of it, failed."""


class WorkatoResponseError(WorkatoApiError):
    """The answer is not what the API documents: HTML, truncated JSON, a wrong type or a redirect."""


class WorkatoMismatchError(WorkatoResponseError, AirflowFailException):
    """The answer shows another connection than the one that was to be created or changed."""


class WorkatoAuthorizationError(WorkatoError, AirflowFailException):
    """The app refused the connection's credentials, or the connection was lost.

    :param message: which connection, the app's reason and what to do.
    :param connection_id: the connection's id.
    :param authorization_status: ``failed``, ``exception``, or the status of a lost connection.
    :param authorization_error: the app's reason, shortened and redacted.
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
    """The connection exists already, or several connections match.

    :param message: which connections match and what to do.
    :param connection_ids: the ids of the matching connections.
    """

    def __init__(self, message: str, *, connection_ids: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.connection_ids = list(connection_ids)


def for_traceback(error: E) -> E:
    """Return a copy of *error* for a trigger to raise, without a traceback and with its attributes in a note.

    Airflow hands a trigger's exception to the task as a formatted traceback. An error raised by many waits
    would collect the frames of all of them.

    :param error: the error to copy.
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

    A task receives its trigger's exception only as a formatted traceback. With the class restored, a
    permanent error fails a deferred task at once, as it does on a worker. The attributes come from the note
    that :func:`for_traceback` adds.

    :param lines: the traceback, as Airflow stores it.
    :returns: the error, or ``None`` if the traceback does not end in an error of this provider.
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
