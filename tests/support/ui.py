"""``make ui`` in a terminal of its own, and what it leaves behind after Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from airflow_provider_workato.sandbox.client import wait_until

_ROOT = Path(__file__).parents[2]


class Ui:
    """The program behind ``make ui``, as a context manager.

    :param folder: an empty folder for its temporary files.
    """

    def __init__(self, *, folder: Path) -> None:
        self._tmp = folder / "tmp"
        self._tmp.mkdir()
        self._output = folder / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.ui"],
                cwd=_ROOT,
                env=os.environ | {"TMPDIR": str(self._tmp)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # As in a terminal, its group is not that of the tests.
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in [*self.children(), psutil.Process(self.process.pid)] if self.is_running else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self._output.read_text()

    def children(self) -> list[psutil.Process]:
        """Return all processes below the program."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def runs(self, command: str) -> bool:
        """Return whether a process with this in its command line runs below the program."""
        assert self.is_running, self.output
        return any(command in line for line in map(_command_line, self.children()))

    def printed(self, name: str) -> str | None:
        """Return the value that the program printed behind a name, if it has."""
        assert self.is_running, self.output
        found = re.search(rf"^ *{name} +(\S+)$", self.output, re.MULTILINE)
        return found[1] if found else None

    def wait_for(self, name: str) -> str:
        """Wait until the program prints a name with its value, and return the value."""
        return wait_until(lambda: self.printed(name), what=f"{name} in the output", deadline=180)

    def mails(self, to: str) -> list[str]:
        """Return the links in the mails to a person, oldest first.

        :param to: the person's address
        """
        return re.findall(rf"^Mail to {to}: .*\n(?:  .*)?\( (\S+) \)", self.output, re.MULTILINE)

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends the signal to every process in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ends(self, *, children: list[psutil.Process]) -> list[str]:
        """Wait for the program's end, kill the processes that outlived it, and return their command lines.

        :param children: processes that were seen below it
        """
        self.process.wait(timeout=120)
        left = {process for process in children if process.is_running()}
        left |= {process for process in psutil.process_iter() if _uses(process, self._tmp)}
        commands = [_command_line(process) for process in left if process.status() != psutil.STATUS_ZOMBIE]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return commands

    def left_files(self) -> list[Path]:
        """Return the temporary files that exist."""
        return list(self._tmp.iterdir())


def _command_line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()) or process.name()
    return ""


def _uses(process: psutil.Process, folder: Path) -> bool:
    # A process that changed its title may have lost its environment.
    with contextlib.suppress(psutil.Error, OSError):
        return str(folder) in (process.environ().get("TMPDIR") or "") or str(folder) in process.cwd()
    return False
