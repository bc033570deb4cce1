"""Run a sandbox in a process of its own."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from airflow_provider_workato.sandbox.client.control import SandboxControl


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
