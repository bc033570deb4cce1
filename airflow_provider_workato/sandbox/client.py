"""Start a sandbox and steer it from Python, for tests, demos and benchmarks."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import IO, Any, BinaryIO, Literal, TypeVar
from urllib.parse import urljoin

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, deadline: float = 30.0, what: str = "the condition") -> T:
    """
    Ask again and again until the answer is true, and return it.

    :param condition: what to ask
    :param deadline: seconds after which to give up
    :param what: what is waited for, for the error
    """
    end = time.monotonic() + deadline
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {deadline:g} s")
        time.sleep(0.02)


class SandboxProcess:
    """
    A sandbox in a process of its own, on a free port.

    :param args: options of ``workato-sandbox``, ``--no-quota`` for instance
    :param deadline: seconds within which it must be ready
    """

    def __init__(self, *args: str, deadline: float = 30.0) -> None:
        self._args = args
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: BinaryIO | None = None
        self._last_words = ""
        self.url = ""
        self.token = ""
        self.airflow_conn = ""

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "airflow_provider_workato.sandbox", "--port=0", "--exit-with-stdin"]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(  # noqa: S603 - the options are the caller's own
            [*command, *self._args],
            # Our end of this pipe closes with us, however we end; the sandbox ends then.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            # Ctrl-C at a terminal is for us; we stop it then.
            start_new_session=True,
        )
        try:
            ready = json.loads(_first_line(self._process.stdout, deadline=self._deadline))
        except ValueError as error:
            code = self.stop()
            raise RuntimeError(f"the sandbox did not start (exit code {code}): {self.stderr}") from error
        except BaseException:
            self.stop()
            raise
        self.url = ready["url"]
        self.token = ready["token"]
        self.airflow_conn = ready["airflow_conn"]

    def stop(self) -> int | None:
        """End it and return its exit code; a second time does nothing more."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._last_words = self.stderr
        for stream in (process.stdin, process.stdout, self._stderr):
            if stream is not None:
                stream.close()
        return process.returncode

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return None if self._process is None else self._process.pid

    @property
    def control(self) -> SandboxControl:
        """Its control API."""
        return SandboxControl(self.url)

    @property
    def stderr(self) -> str:
        """What it wrote to standard error so far."""
        if self._stderr is None or self._stderr.closed:
            return self._last_words
        # Not by seek and read: the sandbox writes at the same position in the file.
        size = os.fstat(self._stderr.fileno()).st_size
        return os.pread(self._stderr.fileno(), size, 0).decode(errors="replace")


def _first_line(stdout: IO[bytes] | None, *, deadline: float) -> bytes:
    if stdout is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        return stdout.readline() if selector.select(timeout=deadline) else b""


@contextmanager
def running_sandbox(*args: str, deadline: float = 30.0) -> Iterator[SandboxProcess]:
    """
    Run a sandbox while the block runs.

    :param args: options of ``workato-sandbox``
    :param deadline: seconds within which it must be ready
    """
    process = SandboxProcess(*args, deadline=deadline)
    process.start()
    try:
        yield process
    finally:
        process.stop()


class SandboxControl:
    """
    The control API of a sandbox.

    :param url: its address
    """

    def __init__(self, url: str) -> None:
        self.url = url

    # The workspace

    def reset(self) -> None:
        """Put workspace, quota, faults and request log back to how they were at start."""
        self._call("POST", "reset")

    def state(self, *, connections: bool = True) -> dict[str, Any]:
        """
        Return ``counts``, ``folders`` and ``connections``.

        :param connections: False leaves the rows out
        """
        return self._call("GET", "state", params={"connections": str(connections).lower()})

    def connections(self) -> list[dict[str, Any]]:
        """Return every connection, runtime user connections included, oldest first."""
        rows: list[dict[str, Any]] = self.state()["connections"]
        return rows

    def connection(self, connection_id: int) -> dict[str, Any]:
        """
        Return one connection.

        :param connection_id: its id
        """
        return next(row for row in self.connections() if row["id"] == connection_id)

    def seed(
        self, connections: Sequence[Mapping[str, Any]] = (), *, count: int = 0, **like: Any
    ) -> list[int]:
        """
        Put connections in and return their ids.

        :param connections: rows as given
        :param count: how many rows to make beside
        :param like: what the made rows are like, and ``folders``
        """
        body = {"connections": [dict(row) for row in connections], "count": count, **like}
        ids: list[int] = self._call("POST", "seed", json=body)["ids"]
        return ids

    def authorize(self, connection_id: int) -> dict[str, Any]:
        """
        Authorize a connection as a person would.

        :param connection_id: its id
        """
        return self._call("POST", f"connections/{connection_id}/authorize")

    def authorize_all(self, connection_ids: Sequence[int] | None = None) -> list[int]:
        """
        Authorize many connections at one instant and return their ids.

        :param connection_ids: their ids, None for all without a status
        """
        body = {"ids": None if connection_ids is None else list(connection_ids)}
        ids: list[int] = self._call("POST", "connections/authorize", json=body)["ids"]
        return ids

    def fail(
        self,
        connection_id: int,
        *,
        error: str = "Authorization failed",
        status: Literal["failed", "exception"] = "failed",
    ) -> dict[str, Any]:
        """
        Let an attempt to authorize end badly.

        :param connection_id: its id
        :param error: ``authorization_error``
        :param status: ``authorization_status``
        """
        return self._call(
            "POST", f"connections/{connection_id}/fail", json={"error": error, "status": status}
        )

    def lose(
        self,
        connection_id: int,
        *,
        reason: str = "Account credentials refresh failed",
        status: Literal["failed", "exception"] | None = None,
    ) -> dict[str, Any]:
        """
        Lose a connection as a refused token refresh does.

        :param connection_id: its id
        :param reason: ``connection_lost_reason``
        :param status: what ``authorization_status`` becomes, None to leave it
        """
        return self._call(
            "POST", f"connections/{connection_id}/lose", json={"reason": reason, "status": status}
        )

    def delete(self, connection_id: int) -> None:
        """
        Delete a connection as a person would.

        :param connection_id: its id
        """
        self._call("POST", f"connections/{connection_id}/delete")

    def use(
        self, connection_id: int, *, active_recipes: int = 0, audit_log_streaming: bool = False
    ) -> dict[str, Any]:
        """
        Say what uses a connection.

        :param connection_id: its id
        :param active_recipes: how many started recipes
        :param audit_log_streaming: whether audit log streaming does
        """
        body = {"active_recipes": active_recipes, "audit_log_streaming": audit_log_streaming}
        return self._call("POST", f"connections/{connection_id}/use", json=body)

    # The request log

    def requests(self, *, operation: str | None = None, since: int = 0) -> list[dict[str, Any]]:
        """
        Return the calls to the API, oldest first.

        :param operation: only these
        :param since: only those with a greater ``seq``
        """
        params: dict[str, Any] = {"since": since}
        if operation is not None:
            params["operation"] = operation
        rows: list[dict[str, Any]] = self._call("GET", "requests", params=params)["requests"]
        return rows

    def counts(self) -> dict[str, Any]:
        """Return ``total``, ``by_operation``, ``by_status`` and ``too_many_requests``."""
        return self._call("GET", "requests/counts")

    def clear_requests(self) -> None:
        """Clear the request log."""
        self._call("DELETE", "requests")

    def changes(self, *, since: int = 0) -> list[dict[str, Any]]:
        """
        Return every state that a connection has been in, oldest first, with the monotonic time it began.

        :param since: only those with a greater ``seq``
        """
        rows: list[dict[str, Any]] = self._call("GET", "changes", params={"since": since})["changes"]
        return rows

    # Tokens, quota and faults

    def set_tokens(self, *tokens: str) -> None:
        """
        Accept these API tokens and no others.

        :param tokens: the tokens
        """
        self._call("POST", "tokens", json={"accept": list(tokens)})

    def set_quota(
        self,
        *,
        list_per_minute: int | Literal["off"] | None = None,
        calls_per_second: int | Literal["off"] | None = None,
    ) -> dict[str, Any]:
        """
        Put other limits in force; None leaves one as it is.

        :param list_per_minute: for the list
        :param calls_per_second: for everything else
        """
        body = {"list_per_minute": list_per_minute, "calls_per_second": calls_per_second}
        return self._call("POST", "quota", json=body)

    def add_fault(
        self,
        fault: str,
        *,
        operation: str = "*",
        times: int | None = 1,
        skip: int = 0,
        performed: bool | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """
        Put a fault in force.

        :param fault: name of the fault
        :param operation: the calls it is for
        :param times: how often it happens, None for ever
        :param skip: how many calls pass untouched before
        :param performed: whether the call is carried out, None for what the fault does by itself
        :param parameters: parameters of the fault
        """
        body = {"fault": fault, "operation": operation, "times": times, "skip": skip, "performed": performed}
        return self._call("POST", "faults", json={**body, **parameters})

    def faults(self) -> list[dict[str, Any]]:
        """Return the rules in force."""
        rules: list[dict[str, Any]] = self._call("GET", "faults")["rules"]
        return rules

    def clear_faults(self) -> None:
        """Put no fault in force."""
        self._call("DELETE", "faults")

    def held(self) -> list[dict[str, Any]]:
        """Return the calls being held."""
        rows: list[dict[str, Any]] = self._call("GET", "held")["held"]
        return rows

    def wait_held(self, *, count: int = 1, deadline: float = 30.0) -> list[dict[str, Any]]:
        """
        Wait until calls are being held, and return them.

        :param count: at least so many
        :param deadline: seconds after which to give up
        """
        return wait_until(
            lambda: rows if len(rows := self.held()) >= count else [],
            deadline=deadline,
            what=f"the hold of {count} call(s)",
        )

    def release(self) -> int:
        """Let the calls being held go on; return how many."""
        released: int = self._call("POST", "release")["released"]
        return released

    # The consent page

    def click_authorize(self, oauth_url: str) -> int:
        """
        Open a consent page and click Authorize; return the HTTP status of what follows.

        :param oauth_url: address of the page
        """
        return self._click(oauth_url, label="Authorize")

    def click_deny(self, oauth_url: str) -> int:
        """
        Open a consent page and click Deny; return the HTTP status of what follows.

        :param oauth_url: address of the page
        """
        return self._click(oauth_url, label="Deny")

    def _click(self, oauth_url: str, *, label: str) -> int:
        import requests

        shown = requests.get(oauth_url, timeout=30)
        shown.raise_for_status()
        form = _Form()
        form.feed(shown.text)
        action, name, value = form.buttons[label]
        # A redirect leads out of the sandbox, to whatever address the caller of the API gave.
        clicked = requests.post(
            urljoin(shown.url, action), data={name: value}, timeout=30, allow_redirects=False
        )
        clicked.raise_for_status()
        return clicked.status_code

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        import requests

        response = requests.request(method, f"{self.url}/sandbox/{path}", timeout=60, **arguments)
        if not response.ok:
            raise RuntimeError(f"{method} /sandbox/{path}: {response.status_code} {response.text[:500]}")
        body: dict[str, Any] = response.json()
        return body


class _Form(HTMLParser):
    """The buttons of a page by their label: where they post, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, tuple[str, str, str]] = {}
        self._button: tuple[str, str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            given = dict(attrs)
            self._button = (given["formaction"] or "", given["name"] or "", given["value"] or "")

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self.buttons[data.strip()] = self._button
            self._button = None
