"""Calls to the control API over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests


class ControlCaller:
    """Call the control API.

    :param url: the sandbox's URL.
    :param certificate: path of the certificate of a sandbox with ``--certificate``.
    """

    def __init__(self, url: str, *, certificate: str | None = None) -> None:
        self.url = url
        self.certificate = certificate

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Call the control API and return the JSON body of the response.

        :param method: HTTP method.
        :param path: path below ``/sandbox/``.
        :param arguments: further arguments of ``requests.request``.
        :raises RuntimeError: if the sandbox refuses the call; the message quotes the response.
        """
        with self.session() as session:
            response = session.request(method, f"{self.url}/sandbox/{path}", timeout=60, **arguments)
        if not response.ok:
            raise RuntimeError(f"{method} /sandbox/{path}: {response.status_code} {response.text[:500]}")
        body: dict[str, Any] = response.json()
        return body

    def session(self) -> requests.Session:
        """Return a session that ignores the environment's proxies, because they cannot reach this machine."""
        import requests

        session = requests.Session()
        session.trust_env = False
        session.verify = self.certificate or True
        return session
