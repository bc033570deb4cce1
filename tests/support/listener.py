"""A web server that records its requests. It plays a foreign host, a proxy or a server with TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One request, as it was received."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class Listener:
    """The answer to give, and the requests received."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"[]"
    #: The bodies of the first answers.
    first_bodies: list[bytes] = field(default_factory=list)
    #: Requests with another token get a 401; if empty, every request is accepted.
    token: str = ""
    heard: list[Heard] = field(default_factory=list)


@contextmanager
def listening(
    *,
    certificate: Path | None = None,
    client_ca: Path | None = None,
    newest_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    **answer: object,
) -> Iterator[Listener]:
    """Listen on a free port while the block runs.

    :param certificate: a PEM file with certificate and key, to speak TLS.
    :param client_ca: a PEM file with the authority of the certificates that clients must show.
    :param newest_tls: the newest version of TLS to speak.
    :param answer: fields of :class:`Listener`.
    """
    listener = Listener(**answer)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            listener.heard.append(
                Heard(
                    method=self.command,
                    path=self.path,
                    headers=dict(self.headers),
                    body=self.rfile.read(length),
                )
            )
            body = listener.first_bodies.pop(0) if listener.first_bodies else listener.body
            known = self.headers.get("Authorization") == f"Bearer {listener.token}"
            if (mark := listener.headers.get("ETag")) and self.headers.get("If-None-Match") == mark:
                self.send_response(304)
                self.send_header("ETag", mark)
                self.end_headers()
                return
            self.send_response(listener.status if known or not listener.token else 401)
            for name, value in ({"Content-Type": "application/json"} | listener.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """Ignore clients that close the connection, for example because they reject the certificate."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.maximum_version = newest_tls
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    listener.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
