"""How contenders are timed: in turn, so that what else the machine does meets all of them."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1
) -> dict[str, list[float]]:
    """Run the contenders A B C, B C A, C A B and so on, and return the seconds of each call.

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


def fresh_process(*arguments: str, env: Mapping[str, str] | None = None) -> Any:
    """Run a new interpreter and return the JSON that it printed last.

    :param arguments: the interpreter's.
    :param env: variables beside our own.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **(env or {})},
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
