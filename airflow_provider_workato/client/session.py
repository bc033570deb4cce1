"""The HTTP session, and reading an answer within its deadline."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    import requests

    from airflow_provider_workato.client.route import Route
    from airflow_provider_workato.client.settings import WorkatoSettings
    from airflow_provider_workato.redaction import Sealed

#: How much of a body is read at once, in bytes.
_PIECE = 1 << 20

#: For how many bytes of a large body there is room at first.
_LARGE = 1 << 26

#: How much of the body of an error is read, in bytes.
_MAX_ERROR_BODY = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read completely.

    :param status: the HTTP status.
    :param headers: the headers.
    :param body: the body's bytes, decompressed; empty with status 304.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: memoryview = field(repr=False)

    @property
    def looks_like_a_list(self) -> bool:
        """Whether the body can be a JSON array. Only its reader decodes it: a large one takes long."""
        start, end = bytes(self.body[:64]), bytes(self.body[-64:])
        return start.lstrip()[:1] == b"[" and end.rstrip()[-1:] == b"]"

    def version(self) -> Version:
        """Return what distinguishes this answer from another to the same question."""
        parts = range(0, len(self.body), _PIECE)
        # In parts, since Python's global lock is held for each.
        digest = hash(tuple(hash(self.body[start : start + _PIECE]) for start in parts))
        return Version(etag=self.headers.get("ETag", ""), digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What distinguishes an answer from another to the same question.

    :param etag: Workato's own mark; empty if it sends none.
    :param digest: the hash of the body, in this process. A collision of two bodies is practically impossible.
    """

    etag: str
    digest: int


class TooSlow(OSError):
    """The answer was not complete within the read timeout, although data kept arriving."""


class _BearerAuth:
    """Adds the API token to a request. An explicit auth also keeps ``.netrc`` from replacing the token."""

    def __init__(self, token: Sealed) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


#: The sessions of this process.
_sessions: WeakSet[requests.Session] = WeakSet()


def open_session(settings: WorkatoSettings, route: Route) -> requests.Session:
    """Return a session that adds the API token to every request.

    :param settings: the workspace's settings.
    :param route: how to reach the workspace.
    """
    import requests

    from airflow_provider_workato import __version__

    class Session(requests.Session):
        def resolve_redirects(self, *args: Any, **kwargs: Any) -> Iterator[requests.Response]:
            # Only to prepare `Response.next`, requests would read the body of a redirect without a deadline
            # and fail on an invalid Location.
            return iter(()) if kwargs.get("yield_requests") else super().resolve_redirects(*args, **kwargs)

    session = Session()
    session.auth = _BearerAuth(settings.token)
    # The route has read the environment, once: requests would read its proxies and .netrc for each request.
    session.trust_env = False
    session.verify = route.verify
    session.cert = route.client_certificate
    if route.proxy.reveal():
        session.proxies["all"] = route.proxy.reveal()
    # The token alone says who calls.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers["Accept"] = "application/json"
    session.headers["User-Agent"] = f"airflow-provider-workato/{__version__} requests/{requests.__version__}"
    _sessions.add(session)
    return session


def _after_fork() -> None:
    # Two processes on one socket would read each other's answers.
    for session in _sessions:
        for prefix, adapter in session.adapters.items():
            # As pickling does, a copy keeps the adapter's options and leaves out its connections.
            session.adapters[prefix] = copy(adapter)


os.register_at_fork(after_in_child=_after_fork)


def read_body(response: requests.Response, *, within: float) -> memoryview:
    """Read a body in pieces, within one deadline.

    The socket's own timeout is not enough, because it starts again with each byte.

    :param response: a response whose body has not been read.
    :param within: seconds.
    :raises TooSlow: if the body is not complete after that time.
    """
    import urllib3

    if not isinstance(response.raw, urllib3.HTTPResponse):
        # A recorded or invented answer of someone's test, which has its body at hand.
        return memoryview(response.content)
    deadline = time.monotonic() + within
    limit = None if response.ok else _MAX_ERROR_BODY
    pages = _pages(_PIECE)
    while piece := response.raw.read1(_PIECE, decode_content=True):
        size = pages.tell()
        if size + len(piece) > len(pages):
            larger = _pages(max(_LARGE, 2 * len(pages)))
            larger.write(memoryview(pages)[:size])
            pages = larger
        pages.write(piece)
        if limit is not None and pages.tell() >= limit:
            break
        if time.monotonic() > deadline:
            raise TooSlow
    return memoryview(pages)[: pages.tell()].toreadonly()


def _pages(size: int) -> mmap.mmap:
    """Return memory straight from the system, which gets it back at once: an allocator would keep it.

    Pages that nothing was written to take none.

    :param size: in bytes.
    """
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # Linux alone has it, and may be built without.
    if size >= _LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages
