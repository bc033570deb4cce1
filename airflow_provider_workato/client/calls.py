"""One call of Workato's API: its endpoint, query and body."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.redaction import HiddenBytes, Sealed, redact

if TYPE_CHECKING:
    from airflow_provider_workato.client.endpoints import Endpoint


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of Workato's API.

    :param endpoint: the endpoint.
    :param connection_id: the connection's id, if the endpoint's path contains one.
    :param query: the query string's parameters.
    :param body: the JSON body's bytes (see :func:`json_body`); sealed, because they can hold credentials.
    :param payload: what the body holds beside the credentials.
    :param etag: the mark of an answer that is known: Workato may answer that nothing changed (304).
    :param secrets: the credentials in the body, which no error may quote.
    """

    endpoint: Endpoint
    connection_id: int | None = None
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Sealed | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    etag: str = ""
    secrets: Sealed | None = None
    #: Seconds spent waiting for the rate limiter, over all attempts.
    waited: float = 0.0
    #: Whether an earlier attempt may have been carried out although its answer was lost.
    answer_lost: bool = False

    @classmethod
    def of(
        cls,
        endpoint: Endpoint,
        payload: Mapping[str, Any],
        *,
        connection_id: int | None = None,
        secrets: Sealed | None = None,
    ) -> Self:
        """Return a call with a JSON body.

        :param endpoint: the endpoint.
        :param payload: the body's keys and values, without the credentials.
        :param connection_id: the connection's id, if the endpoint's path contains one.
        :param secrets: the credentials, sent under ``input``.
        :raises WorkatoConfigurationError: naming the key of a value for which JSON has no form.
        """
        body = json_body(payload, secrets=secrets)
        return cls(
            endpoint=endpoint, connection_id=connection_id, body=body, payload=payload, secrets=secrets
        )

    def path(self) -> str:
        """Return the path and query string to request."""
        path = self.endpoint.path.format(id=self.connection_id)
        return f"{path}?{urlencode(self.query)}" if self.query else path


def json_body(payload: Mapping[str, Any], *, secrets: Sealed | None = None) -> Sealed:
    """Encode a request's body as JSON. Any mapping becomes an object, a tuple an array.

    :param payload: the body's keys and values, without the credentials.
    :param secrets: the credentials, sent under ``input``.
    :raises WorkatoConfigurationError: naming the key of a value for which JSON has no form.
    """
    problem = ""
    try:
        credentials = {} if secrets is None else {"input": secrets.reveal()}
        plain = _as_json({**payload, **credentials}, ())
        return Sealed(HiddenBytes(json.dumps(plain, allow_nan=False).encode()))
    except _NotJson as error:
        problem = f"{error.where} is {error.what}. "
    except (TypeError, ValueError, RecursionError):
        pass
    finally:
        # A traceback that prints local variables would show them.
        credentials = plain = {}
    raise WorkatoConfigurationError(
        f"{problem}{'input' if secrets else 'The arguments'} must contain only strings, finite numbers, "
        "booleans, None, lists and dicts."
    )


class _NotJson(Exception):
    """A value has no form in JSON. It is not quoted, because it can be a credential."""

    def __init__(self, path: tuple[object, ...], what: str) -> None:
        super().__init__()
        self.where = redact(".".join(map(str, path)), [], limit=200)
        self.what = what


def _as_json(value: Any, path: tuple[object, ...]) -> Any:
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [_as_json(item, (*path, number)) for number, item in enumerate(value)]
    if not isinstance(value, Mapping):
        number = isinstance(value, float)
        raise _NotJson(path, "not a finite number" if number else f"of type {type(value).__name__}")
    for key in value:
        if not isinstance(key, (str, int)):
            raise _NotJson(path, f"a dict with a key of type {type(key).__name__}")
    return {key: _as_json(item, (*path, key)) for key, item in value.items()}
