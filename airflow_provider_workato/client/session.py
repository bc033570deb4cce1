"""The HTTP session, and reading an answer within its deadline."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

    from airflow_provider_workato.client.settings import WorkatoSettings
    from airflow_provider_workato.redaction import Sealed

#: How much of the body of an error is read, in bytes.
_MAX_ERROR_BODY = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read completely.

    :param status: the HTTP status.
    :param headers: the headers.
    :param body: the body's bytes, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def looks_like_a_list(self) -> bool:
        """Whether the body can be a JSON array. Only its reader decodes it: a large one takes long."""
        return self.body[:64].lstrip()[:1] == b"[" and self.body[-64:].rstrip()[-1:] == b"]"


class TooSlow(OSError):
    """The answer was not complete within the read timeout, although data kept arriving."""


class _BearerAuth:
    """Adds the API token to a request. An explicit auth also keeps ``.netrc`` from replacing the token."""

    def __init__(self, token: Sealed) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


def open_session(settings: WorkatoSettings) -> requests.Session:
    """Return a session that adds the API token to every request.

    A loopback host is reached without the environment's proxies.

    :param settings: the workspace's settings.
    """
    import requests

    from airflow_provider_workato import __version__

    session = requests.Session()
    session.auth = _BearerAuth(settings.token)
    session.verify = settings.verify
    if settings.is_local:
        # A proxy of the environment would get the token of a local sandbox, unencrypted. So read only the CA
        # bundle from the environment.
        session.trust_env = False
        if settings.verify is True:
            session.verify = (
                os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or settings.verify
            )
    session.proxies.update(settings.proxies.reveal())
    session.headers["Accept"] = "application/json"
    session.headers["User-Agent"] = f"airflow-provider-workato/{__version__} requests/{requests.__version__}"
    return session


def read_body(response: requests.Response, *, within: float) -> bytes:
    """Read a body in pieces, within one deadline.

    The socket's own timeout is not enough, because it starts again with each byte.

    :param response: a response whose body has not been read.
    :param within: seconds.
    :raises TooSlow: if the body is not complete after that time.
    """
    deadline = time.monotonic() + within
    limit = None if response.ok else _MAX_ERROR_BODY
    pieces: list[bytes] = []
    size = 0
    while piece := response.raw.read1(1 << 20, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if limit is not None and size >= limit:
            break
        if time.monotonic() > deadline:
            raise TooSlow
    return b"".join(pieces)
