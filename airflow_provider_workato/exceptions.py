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
    ├── WorkatoBusyError
    └── WorkatoSetError                 some connections of a declared set
        └── WorkatoSetRefusedError *

    * fails the task at once
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_workato.version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

#: The longest attribute of an error that an event holds, in characters.
_MAX_DETAIL = 2000


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


class WorkatoSetError(WorkatoError):
    """Some connections of a declared set are not as declared; all others are done.

    :param message: what failed, for each connection.
    """


class WorkatoSetRefusedError(WorkatoSetError, AirflowFailException):
    """A retry would fail the same way for each of them."""


def to_data(error: BaseException) -> dict[str, Any]:
    """Return what a trigger's event tells of an error, from which :func:`from_data` makes it again.

    A task never receives its trigger's exception itself. The class is kept, so that the error has the same
    effect as on a worker.

    :param error: the error that ended a wait.
    """
    short = {name: value for name, value in vars(error).items() if len(repr(value)) <= _MAX_DETAIL}
    return {"type": type(error).__name__, "message": str(error), "details": short}


def from_data(data: object) -> BaseException | None:
    """Return the error that :func:`to_data` described, ``None`` if *data* is something else.

    :param data: what it returned.
    """
    if not isinstance(data, dict) or not isinstance(details := data.get("details"), dict):
        return None
    known = (*_kinds(WorkatoError), AirflowSensorTimeout, AirflowTaskTimeout)
    kind = next((each for each in known if each.__name__ == data.get("type")), None)
    if kind is None:
        return None
    error: BaseException = kind(str(data.get("message")))
    vars(error).update({name: details[name] for name in vars(error).keys() & details.keys()})
    return error


def _kinds(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == __name__:
            yield from _kinds(each)
