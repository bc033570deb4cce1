"""What to ask of Workato in one call."""

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

#: What to do right before a call leaves. What it returns is called at the very moment, so must not take time.
BeforeSend: TypeAlias = Callable[[], Callable[[], None] | None]


@dataclass(slots=True, kw_only=True)
class Call:
    """What to ask of Workato.

    :param endpoint: the endpoint.
    :param connection_id: the number in the endpoint's path, if it has one.
    :param query: the query string's parameters.
    :param body: the JSON body's bytes (see :func:`json_body`); sealed, because they can hold credentials.
    :param secrets: the credentials in the body, which no error may quote.
    :param before_send: called once the call has its turn, right before each attempt leaves. One that outlasts
        the turn gets the next one, and is called again only if that comes late. What it raises ends the call
        unsent; let it be no :class:`WorkatoError`, which might be repeated.
    """

    endpoint: Endpoint
    connection_id: int | None = None
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Sealed | None = None
    secrets: Sealed | None = None
    before_send: BeforeSend | None = None
    #: Seconds spent waiting for turns, all attempts together.
    waited: float = 0.0
    #: Whether an earlier attempt may have been carried out although no answer came.
    answer_lost: bool = False

    def path(self) -> str:
        """Return the path and query string to request."""
        path = self.endpoint.path.format(id=self.connection_id)
        return f"{path}?{urlencode(self.query)}" if self.query else path


def json_body(payload: Mapping[str, Any], *, secrets: Sealed | None = None) -> Sealed:
    """Return a request's body.

    :param payload: its keys and values, without the credentials.
    :param secrets: the credentials, sent under ``input``.
    :raises WorkatoConfigurationError: if something is no JSON value.
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
            f"{'input' if secrets else 'The arguments'} must consist of texts, numbers, booleans, lists and "
            "objects."
        )
    return body
