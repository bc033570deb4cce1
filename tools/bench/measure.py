"""How contenders are timed, and what a process uses: CPU, memory, and the turns of its event loop."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import psutil

PACKAGES = (
    "airflow-provider-workato",
    "apache-airflow",
    "apache-airflow-providers-http",
    "workato-platform-cli",
    "requests",
    "msgspec",
    "aiohttp",
    "pydantic",
)


def describe() -> list[tuple[str, str]]:
    """Return versions and machine."""
    gibibytes = psutil.virtual_memory().total / 2**30
    return [
        *((name, version(name)) for name in PACKAGES),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        (
            "machine",
            f"{os.cpu_count()} cores ({platform.machine()}), {gibibytes:.0f} GiB memory, {platform.system()}",
        ),
    ]


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1
) -> dict[str, list[float]]:
    """Run the contenders A B C, B C A, C A B and so on, and return the seconds of each call.

    What else the machine does so meets all of them.

    :param contenders: what to call, by name.
    :param rounds: how often each has its turn.
    :param calls: how many calls a turn has.
    """
    names = list(contenders)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in in_turn(names, number):
            # What the one before left behind is not this one's cost.
            gc.collect()
            for _ in range(calls):
                start = time.perf_counter()
                contenders[name]()
                taken[name].append(time.perf_counter() - start)
    return taken


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round, in which each is once the first.

    :param names: the contenders.
    :param number: the round's number, from 0.
    """
    first = number % len(names)
    return [*names[first:], *names[:first]]


def fresh_process(*arguments: str) -> Any:
    """Run a new interpreter and return the JSON that it printed last.

    :param arguments: the interpreter's.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def conversation(*arguments: str) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Run a new interpreter until the block ends, and give the function that asks it something.

    The function sends a line, and returns the JSON object that the process answers.

    :param arguments: the interpreter's.
    """
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(line: str) -> dict[str, Any]:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the process has no pipes")
            print(line, file=process.stdin, flush=True)
            for answer in process.stdout:
                if answer.startswith("{"):
                    told: dict[str, Any] = json.loads(answer)
                    return told
            raise RuntimeError(f"{' '.join(arguments)} ended with {process.wait()}")

        try:
            yield ask
        finally:
            process.kill()


@contextmanager
def airflow_home() -> Iterator[Path]:
    """Give Airflow a home of its own, in this process and those it starts."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="workato-bench-") as home:
        for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
            del os.environ[name]
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }
        try:
            yield Path(home)
        finally:
            os.environ.clear()
            os.environ.update(before)


def resident() -> int:
    """Return the bytes that this process has in memory."""
    return _status("VmRSS")


def peak() -> int:
    """Return the most bytes that it had in memory since :func:`forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Start :func:`peak` anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def settled_resident() -> int:
    """Return what is left after unused memory was given back."""
    gc.collect()
    # Only glibc keeps freed memory to itself until it is told.
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return resident()


def _status(field: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the system does not tell {field}")
    return int(found[1]) * 1024


class Sampler:
    """Looks at something in a thread, again and again while the block runs.

    :param interval: seconds between two looks.
    """

    def __init__(self, *, interval: float) -> None:
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def look(self) -> None:
        """Take a sample. A process that has ended has none."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self._interval):
            with suppress(psutil.NoSuchProcess):
                self.look()


class Usage(Sampler):
    """CPU time and memory of a process, watched while the block runs.

    :param process: which process.
    """

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(interval=0.5)
        self._process = process
        self._memory_at_start = self._peak = self._memory()

    @property
    def cpu(self) -> float:
        """The CPU seconds that it has used since it began."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def added(self) -> int:
        """The bytes by which its memory grew at most."""
        return self._peak - self._memory_at_start

    def look(self) -> None:
        """Note its memory."""
        self._peak = max(self._peak, self._memory())

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)


class LoopWatch:
    """Watches the running event loop while the block runs."""

    #: Seconds between two looks.
    STEP = 0.005

    def __init__(self) -> None:
        #: The longest time in seconds for which nothing else could run.
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(self.STEP)
            self.longest = max(self.longest, time.perf_counter() - began - self.STEP)
