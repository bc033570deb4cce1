"""Start and control a sandbox from Python, for tests, demos and benchmarks.

- :class:`SandboxProcess` and :func:`running_sandbox` run a sandbox in a process of its own;
- :class:`SandboxControl` calls its control API and clicks the buttons of its consent page;
- :func:`wait_until` waits for a condition.
"""

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
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar
from urllib.parse import urljoin

if TYPE_CHECKING:
    from requests import Session

__all__ = ["SandboxControl", "SandboxProcess", "running_sandbox", "wait_until"]

T = TypeVar("T")

_FIRST_PAUSE = 0.02
_GROWTH = 1.5


class SandboxProcess:
    """A sandbox in a process of its own, on a free port.

    :param args: options of ``workato-sandbox``, ``--no-quota`` for instance.
    :param deadline: seconds within which it must be ready.
    """

    def __init__(self, *args: str, deadline: float = 30.0) -> None:
        self._args = args
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: BinaryIO | None = None
        self._final_stderr = ""
        self.url = ""
        self.token = ""
        self.airflow_conn = ""

    def start(self) -> None:
        """Start the process and wait until it is ready.

        :raises RuntimeError: if it exits or is not ready in time; the message quotes its standard error.
        """
        command = [sys.executable, "-m", "airflow_provider_workato.sandbox", "--port=0", "--exit-with-stdin"]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(  # noqa: S603 - the options are the caller's own
            [*command, *self._args],
            # Our end of this pipe closes when we end, however we end, and the sandbox ends with it.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            # Ctrl-C in a terminal must reach only us; we then stop the sandbox.
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
        """End the process and return its exit code. Further calls change nothing."""
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
        self._final_stderr = self.stderr
        for stream in (process.stdin, process.stdout, self._stderr):
            if stream is not None:
                stream.close()
        return process.returncode

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def control(self) -> SandboxControl:
        """The sandbox's control API."""
        extra = json.loads(self.airflow_conn).get("extra", {})
        return SandboxControl(self.url, certificate=extra.get("verify"))

    @property
    def stderr(self) -> str:
        """What the process has written to standard error so far."""
        if self._stderr is None or self._stderr.closed:
            return self._final_stderr
        # Seeking would move the position at which the sandbox writes: it shares the open file.
        size = os.fstat(self._stderr.fileno()).st_size
        return os.pread(self._stderr.fileno(), size, 0).decode(errors="replace")


@contextmanager
def running_sandbox(*args: str, deadline: float = 30.0) -> Iterator[SandboxProcess]:
    """Run a sandbox while the block runs.

    :param args: options of ``workato-sandbox``.
    :param deadline: seconds within which it must be ready.
    """
    process = SandboxProcess(*args, deadline=deadline)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def _first_line(stdout: IO[bytes] | None, *, deadline: float) -> bytes:
    if stdout is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        return stdout.readline() if selector.select(timeout=deadline) else b""


class SandboxControl:
    """The control API of a sandbox, and the buttons of its consent page.

    :param url: the sandbox's URL.
    :param certificate: path of the certificate of a sandbox with ``--certificate``.
    """

    def __init__(self, url: str, *, certificate: str | None = None) -> None:
        self.url = url
        self.certificate = certificate

    def reset(self) -> None:
        """Restore workspace, quotas, faults and request log to their state at start."""
        self.call("POST", "reset")

    # The workspace.

    def state(self, *, connections: bool = True) -> dict[str, Any]:
        """Return ``counts``, ``folders`` and ``connections``.

        :param connections: False leaves the connections out.
        """
        return self.call("GET", "state", params={"connections": str(connections).lower()})

    def connections(self) -> list[dict[str, Any]]:
        """Return every connection, runtime user connections included, oldest first."""
        rows: list[dict[str, Any]] = self.state()["connections"]
        return rows

    def connection(self, connection_id: int) -> dict[str, Any]:
        """Return one connection.

        :param connection_id: the connection.
        """
        return next(row for row in self.connections() if row["id"] == connection_id)

    def seed(
        self, connections: Sequence[Mapping[str, Any]] = (), *, count: int = 0, **like: Any
    ) -> list[int]:
        """Add connections and return their ids.

        :param connections: connections to add as they are.
        :param count: number of similar connections to add.
        :param like: the fields these have in common; ``folders`` adds folders.
        """
        body = {"connections": [dict(row) for row in connections], "count": count, **like}
        ids: list[int] = self.call("POST", "seed", json=body)["ids"]
        return ids

    def authorize(self, connection_id: int) -> dict[str, Any]:
        """Authorize a connection, as a person would.

        :param connection_id: the connection.
        """
        return self.call("POST", f"connections/{connection_id}/authorize")

    def authorize_all(self, connection_ids: Sequence[int] | None = None) -> list[int]:
        """Authorize many connections at the same instant and return their ids.

        :param connection_ids: the connections, None for all without a status.
        """
        body = {"ids": None if connection_ids is None else list(connection_ids)}
        ids: list[int] = self.call("POST", "connections/authorize", json=body)["ids"]
        return ids

    def fail(
        self,
        connection_id: int,
        *,
        error: str = "Authorization failed",
        status: Literal["failed", "exception"] = "failed",
    ) -> dict[str, Any]:
        """Let an attempt to authorize fail.

        :param connection_id: the connection.
        :param error: the new ``authorization_error``.
        :param status: the new ``authorization_status``.
        """
        return self.call("POST", f"connections/{connection_id}/fail", json={"error": error, "status": status})

    def lose(
        self,
        connection_id: int,
        *,
        reason: str = "Account credentials refresh failed",
        status: Literal["failed", "exception"] | None = None,
    ) -> dict[str, Any]:
        """Lose a connection, as a refused token refresh does.

        :param connection_id: the connection.
        :param reason: the new ``connection_lost_reason``.
        :param status: the new ``authorization_status``, None to leave it.
        """
        return self.call(
            "POST", f"connections/{connection_id}/lose", json={"reason": reason, "status": status}
        )

    def delete(self, connection_id: int) -> None:
        """Delete a connection as a person would.

        :param connection_id: the connection.
        """
        self.call("POST", f"connections/{connection_id}/delete")

    def use(
        self, connection_id: int, *, active_recipes: int = 0, audit_log_streaming: bool = False
    ) -> dict[str, Any]:
        """Set what uses a connection. One in use cannot be deleted.

        :param connection_id: the connection.
        :param active_recipes: number of active recipes that use it.
        :param audit_log_streaming: whether audit log streaming uses it.
        """
        body = {"active_recipes": active_recipes, "audit_log_streaming": audit_log_streaming}
        return self.call("POST", f"connections/{connection_id}/use", json=body)

    # Faults.

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
        """Add a fault rule and return it.

        :param fault: the fault's name.
        :param operation: the operation it applies to, ``*`` for all.
        :param times: number of calls it happens to, None for no limit.
        :param skip: number of calls that pass before.
        :param performed: whether the call is carried out, None for the fault's default.
        :param parameters: the fault's parameters.
        """
        body = {"fault": fault, "operation": operation, "times": times, "skip": skip, "performed": performed}
        return self.call("POST", "faults", json={**body, **parameters})

    def faults(self) -> list[dict[str, Any]]:
        """Return the active fault rules."""
        rules: list[dict[str, Any]] = self.call("GET", "faults")["rules"]
        return rules

    def clear_faults(self) -> None:
        """Remove all fault rules. Held calls stay held."""
        self.call("DELETE", "faults")

    def held(self) -> list[dict[str, Any]]:
        """Return the held calls."""
        rows: list[dict[str, Any]] = self.call("GET", "held")["held"]
        return rows

    def wait_held(self, *, count: int = 1, deadline: float = 30.0) -> list[dict[str, Any]]:
        """Wait until calls are held, and return them.

        :param count: minimum number of calls.
        :param deadline: seconds after which to give up.
        :raises TimeoutError: if fewer calls are held at the deadline.
        """
        return wait_until(
            lambda: rows if len(rows := self.held()) >= count else [],
            deadline=deadline,
            what=f"the hold of {count} call(s)",
        )

    def release(self) -> int:
        """Release the held calls and return their number."""
        released: int = self.call("POST", "release")["released"]
        return released

    # Traffic.

    def requests(self, *, operation: str | None = None, since: int = 0) -> list[dict[str, Any]]:
        """Return the logged API calls, oldest first.

        :param operation: only calls of this operation.
        :param since: only calls with a greater ``seq``.
        """
        params: dict[str, Any] = {"since": since}
        if operation is not None:
            params["operation"] = operation
        rows: list[dict[str, Any]] = self.call("GET", "requests", params=params)["requests"]
        return rows

    def counts(self) -> dict[str, Any]:
        """Return ``total``, ``by_operation``, ``by_status`` and ``too_many_requests``."""
        return self.call("GET", "requests/counts")

    def clear_requests(self) -> None:
        """Clear the request log."""
        self.call("DELETE", "requests")

    def changes(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return every state of every connection, oldest first, with the monotonic time it began.

        :param since: only changes with a greater ``seq``.
        """
        rows: list[dict[str, Any]] = self.call("GET", "changes", params={"since": since})["changes"]
        return rows

    def set_tokens(self, *tokens: str) -> None:
        """Accept these API tokens and no others.

        :param tokens: the tokens.
        """
        self.call("POST", "tokens", json={"accept": list(tokens)})

    def set_quota(
        self,
        *,
        list_per_minute: int | Literal["off"] | None = None,
        calls_per_second: int | Literal["off"] | None = None,
    ) -> dict[str, Any]:
        """Set the quotas and return them; None leaves a quota as it is.

        :param list_per_minute: list calls per minute.
        :param calls_per_second: all other connection calls per second.
        """
        body = {"list_per_minute": list_per_minute, "calls_per_second": calls_per_second}
        return self.call("POST", "quota", json=body)

    # A person in a browser.

    def click_authorize(self, oauth_url: str) -> int:
        """Open a consent page, click Authorize and return the HTTP status of the response.

        :param oauth_url: the page's URL.
        :raises requests.HTTPError: if the link does not work, or no longer.
        """
        return self._click(oauth_url, label="Authorize")

    def click_deny(self, oauth_url: str) -> int:
        """Open a consent page, click Deny and return the HTTP status of the response.

        :param oauth_url: the page's URL.
        :raises requests.HTTPError: if the link does not work, or no longer.
        """
        return self._click(oauth_url, label="Deny")

    # HTTP.

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Call the control API and return the JSON body of the response.

        :param method: HTTP method.
        :param path: path below ``/sandbox/``.
        :param arguments: further arguments of ``requests.request``.
        :raises RuntimeError: if the sandbox refuses the call; the message quotes the response.
        """
        with self._session() as session:
            response = session.request(method, f"{self.url}/sandbox/{path}", timeout=60, **arguments)
        if not response.ok:
            raise RuntimeError(f"{method} /sandbox/{path}: {response.status_code} {response.text[:500]}")
        body: dict[str, Any] = response.json()
        return body

    def _session(self) -> Session:
        """Return a session that ignores the environment's proxies, because they cannot reach this machine."""
        import requests

        session = requests.Session()
        session.trust_env = False
        session.verify = self.certificate or True
        return session

    def _click(self, oauth_url: str, *, label: str) -> int:
        with self._session() as session:
            page = session.get(oauth_url, timeout=30)
            page.raise_for_status()
            buttons = _Buttons()
            buttons.feed(page.text)
            action, name, value = buttons.by_label[label]
            # A redirect leads out of the sandbox, to the URL that the caller of the API gave.
            clicked = session.post(
                urljoin(page.url, action), data={name: value}, timeout=30, allow_redirects=False
            )
            clicked.raise_for_status()
            return clicked.status_code


class _Buttons(HTMLParser):
    """The buttons of a page by label: the URL they post to, and the name and value they send."""

    def __init__(self) -> None:
        super().__init__()
        self.by_label: dict[str, tuple[str, str, str]] = {}
        self._open: tuple[str, str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            given = dict(attrs)
            self._open = (given["formaction"] or "", given["name"] or "", given["value"] or "")

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.by_label[data.strip()] = self._open
            self._open = None


def wait_until(
    condition: Callable[[], T | None],
    *,
    deadline: float = 30.0,
    what: str = "the condition",
    interval: float = 0.2,
) -> T:
    """Call *condition* until it returns a true value, and return that value.

    The pauses between calls start at 20 ms and grow, so that a short wait ends soon and a long one is cheap.

    :param condition: the function to call.
    :param deadline: seconds after which to give up.
    :param what: what is waited for, for the error message.
    :param interval: the longest pause between two calls, in seconds.
    :raises TimeoutError: if the condition is still false at the deadline.
    """
    end = time.monotonic() + deadline
    pause = min(_FIRST_PAUSE, interval)
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"gave up after {deadline:g} s waiting for {what}")
        time.sleep(pause)
        pause = min(pause * _GROWTH, interval)
    return result
