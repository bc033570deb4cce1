"""One call of Workato's API: its endpoint, query and body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.redaction import HiddenBytes, Sealed

if TYPE_CHECKING:
    from airflow_provider_workato.client.endpoints import Endpoint

#: Runs right before a call is sent. The function it returns runs at the moment of sending, so must be fast.
BeforeSend: TypeAlias = Callable[[], Callable[[], None] | None]


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of Workato's API.

    :param endpoint: the endpoint.
    :param connection_id: the connection's id, if the endpoint's path contains one.
    :param query: the query string's parameters.
    :param body: the JSON body's bytes (see :func:`json_body`); sealed, because they can hold credentials.
    :param secrets: the credentials in the body, which no error may quote.
    :param before_send: called when the rate limiter lets the call start, right before each attempt is sent.
        If it takes too long, the call waits for the next start; it is called again only if that start is
        late. An exception from it ends the call unsent. It must not raise a :class:`WorkatoError`, since the
        call might then be retried.
    """

    endpoint: Endpoint
    connection_id: int | None = None
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Sealed | None = None
    secrets: Sealed | None = None
    before_send: BeforeSend | None = None
    #: Seconds spent waiting for the rate limiter, over all attempts.
    waited: float = 0.0
    #: Whether an earlier attempt may have been carried out although its answer was lost.
    answer_lost: bool = False

    def path(self) -> str:
        """Return the path and query string to request."""
        path = self.endpoint.path.format(id=self.connection_id)
        return f"{path}?{urlencode(self.query)}" if self.query else path


def json_body(payload: Mapping[str, Any], *, secrets: Sealed | None = None) -> Sealed:
    """Encode a request's body as JSON.

    :param payload: the body's keys and values, without the credentials.
    :param secrets: the credentials, sent under ``input``.
    :raises WorkatoConfigurationError: if a value cannot be encoded as JSON.
    """
    body = None
    try:
        credentials = {} if secrets is None else {"input": secrets.reveal()}
        body = Sealed(HiddenBytes(json.dumps({**payload, **credentials}, allow_nan=False).encode()))
    except (TypeError, ValueError, RecursionError):
        pass
    finally:
        credentials = {}
    if body is None:
        raise WorkatoConfigurationError(
            f"{'input' if secrets else 'The arguments'} must contain only strings, finite numbers, booleans, "
            "None, lists and dicts."
        )
    return body
