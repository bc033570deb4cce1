"""Ways to list connections: this package's, and those one would use instead."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

HOOK = "WorkatoConnectionsHook"
SESSION = "requests.Session"
HTTP_HOOK = "HttpHook"
VENDOR = "workato-platform-cli"
#: What the sandboxes take of the contenders that run in processes of their own.
TOKEN = "benchmark"  # noqa: S105 - the sandbox takes any

List = Callable[[], Any]
_SECONDS = 300


@contextmanager
def contender(name: str, *, url: str, token: str) -> Iterator[List]:
    """Give a function that lists all connections over one client.

    :param name: which client.
    :param url: the server.
    :param token: its API token.
    """
    with _OPEN[name](url, token) as list_connections:
        yield list_connections


@contextmanager
def _hook(url: str, token: str) -> Iterator[List]:
    from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook

    set_connection(url=url, token=token)
    hook = WorkatoConnectionsHook()
    yield hook.list_connections
    hook.close()


@contextmanager
def _session(url: str, token: str) -> Iterator[List]:
    with opened_session(token) as session:
        yield lambda: json.loads(session.get(f"{url}/api/connections", timeout=_SECONDS).content)


@contextmanager
def _http_hook(url: str, token: str) -> Iterator[List]:
    from airflow.providers.http.hooks.http import HttpHook

    os.environ["AIRFLOW_CONN_WORKATO_HTTP"] = http_connection(url=url, token=token)
    hook = HttpHook(method="GET", http_conn_id="workato_http")
    yield lambda: hook.run("api/connections").json()


@contextmanager
def _vendor(url: str, token: str) -> Iterator[List]:
    import asyncio

    from workato_platform_cli import Workato
    from workato_platform_cli.client.workato_api.configuration import Configuration

    with asyncio.Runner() as runner:

        async def open_client() -> Any:
            return Workato(Configuration(host=url, access_token=token))

        # It opens its session where it is made, which takes a running loop.
        client = runner.run(open_client())

        async def list_connections() -> Any:
            return await client.connections_api.list_connections()

        async def close(end: Callable[[], Awaitable[None]]) -> None:
            await end()

        yield lambda: runner.run(list_connections())
        runner.run(close(client.close))


def set_connection(*, url: str, token: str) -> None:
    """Set the Airflow connection with which this package reaches the API.

    :param url: the server.
    :param token: its API token.
    """
    # More than any workspace has, and more than a benchmark calls: what keeps the pace is at work, but
    # nothing waits for a turn.
    extra = {"list_calls_per_minute": 600}
    os.environ["AIRFLOW_CONN_WORKATO_DEFAULT"] = json.dumps(
        {"conn_type": "workato", "host": url, "password": token, "extra": extra}
    )


@contextmanager
def opened_session(token: str) -> Iterator[requests.Session]:
    """Give a session that sends a token.

    :param token: the API token.
    """
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def http_connection(*, url: str, token: str) -> str:
    """Return an Airflow connection with which the HTTP provider reaches the API.

    :param url: the server.
    :param token: its API token.
    """
    # What it does not know in `extra` it sends as a header.
    return json.dumps({"conn_type": "http", "host": url, "extra": {"Authorization": f"Bearer {token}"}})


_OPEN = {HOOK: _hook, SESSION: _session, HTTP_HOOK: _http_hook, VENDOR: _vendor}
