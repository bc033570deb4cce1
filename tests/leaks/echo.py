"""A server that plays Workato with an app whose errors repeat the request in several spellings."""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote_plus

#: The path's prefix before ``/api`` selects the answer.
Answer = tuple[int, dict[str, str], str]
JSON = {"Content-Type": "application/json"}


def _refused(said: str) -> Answer:
    row = {"id": 7, "authorization_status": "failed", "authorization_error": said}
    return 200, JSON, json.dumps(row)


def _invalid(said: str) -> Answer:
    body = {"message": said, "errors": {"input": [said], said: "is not valid"}}
    return 400, JSON, json.dumps(body)


def _broken(said: str) -> Answer:
    return 500, JSON, json.dumps({"message": said, "id": said[-70:]})


def _html(said: str) -> Answer:
    return 200, {"Content-Type": "text/html"}, f"<html>{html.escape(said)}</html>"


def _unauthorized(said: str) -> Answer:
    return 401, JSON, json.dumps({"message": said})


ANSWERS: dict[str, Callable[[str], Answer]] = {
    "refused": _refused,
    "invalid": _invalid,
    "broken": _broken,
    "html": _html,
    "unauthorized": _unauthorized,
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, JSON, "[]")

    def _echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        texts = list(_leaves(json.loads(body).get("input")))
        # Short strings first: only the beginning of a long message is quoted.
        told = [*(f"[{text}]" for text in texts), *map(quote_plus, texts), *map(html.escape, texts), body]
        answer = ANSWERS[self.path.split("/")[1]]
        self._answer(*answer(f"{' '.join(told)} {self.headers['Authorization']}"))

    do_POST = do_PUT = _echo  # noqa: N815 - the base class looks for them

    def _answer(self, status: int, headers: dict[str, str], body: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Keep quiet."""


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield str(value)


@contextmanager
def running_echo() -> Iterator[str]:
    """Run the server while the block runs, and yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
