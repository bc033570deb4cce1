"""What can go wrong, by what can be done about it.

The errors that also are an ``AirflowFailException`` fail the task at once: trying again cannot
cure them. All others leave the task to Airflow's ``retries``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException


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

    @property
    def message(self) -> str:
        """What the error says."""
        return str(self)


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


def from_traceback(lines: Sequence[str] | str | None) -> WorkatoError | None:
    """Rebuild the error that ended a trigger from the traceback that Airflow hands to the task.

    A trigger's exception reaches its task as text only; with the type restored, a permanent error
    fails a deferred task at once, exactly as it fails one that waits on a worker.

    :param lines: the traceback, as Airflow stores it.
    """
    text = lines if isinstance(lines, str) else "\n".join(lines or ())
    here = sys.modules[__name__]
    for line in reversed(text.splitlines()):
        name, _, message = line.partition(": ")
        module, _, class_name = name.strip().rpartition(".")
        error = getattr(here, class_name, None) if module == __name__ else None
        if isinstance(error, type) and issubclass(error, WorkatoError):
            return error(message)
    return None
