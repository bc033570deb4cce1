"""The command behind ``make bench``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.bench import call, listing, parse, provisioning, waiting
from tools.bench.machine import describe
from tools.bench.measure import airflow_home

if TYPE_CHECKING:
    from tools.bench.report import Section

REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
NAMES = ("parse", "call", "list", "provisioning", "waiting")
HEAD = """\
# Benchmarks

Written by `make bench`; do not edit. All columns of a table were measured in the same run on the same
machine, which is also where the server, the database and all of Airflow ran. Ratios are worth more than
the figures: another machine has other figures. The sandbox stands in for Workato, so there is no network in
any time."""

Benchmark = Callable[[], "Section"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code, which tells whether they ran, not what came out.

    :param arguments: the command line, ``sys.argv`` if left out.
    """
    parser = argparse.ArgumentParser(prog="make bench", description="Measure beside what else one would use.")
    parser.add_argument("--only", action="append", choices=NAMES, help="run this one (can be repeated)")
    parser.add_argument("--quick", action="store_true", help="few rounds and few waits, to try the program")
    parser.add_argument("--waits", type=int, action="append", help="how many waits (can be repeated)")
    parser.add_argument("--output", type=Path, help="where to write (default: docs/benchmarks.md if all ran)")
    options = parser.parse_args(arguments)
    # As Ctrl-C does: everything that was started has to be ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    partial = bool(options.only or options.quick or options.waits)
    output = options.output or (None if partial else REPORT)
    benchmarks = [run for name, run in _benchmarks(options).items() if name in (options.only or NAMES)]
    with airflow_home():
        # What was measured so far is kept, should a later one fail.
        for text in _reports(benchmarks):
            if output is not None:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _reports(benchmarks: Sequence[Benchmark]) -> Iterator[str]:
    """Run the benchmarks and give the report on those so far after each."""
    done: list[tuple[Section, float]] = []
    for run in benchmarks:
        load = os.getloadavg()[0]
        done.append((run(), load))
        yield _report(done)


def _report(done: Sequence[tuple[Section, float]]) -> str:
    missed = [name for section, _ in done for name in section.missed()]
    verdict = "All goals were met." if not missed else "Missed: " + "; ".join(missed) + "."
    facts = "\n".join(f"| {name} | {value} |" for name, value in describe())
    parts = [HEAD, f"| | |\n| --- | --- |\n{facts}", verdict]
    for section, load in done:
        parts += [section.markdown(), f"Load average of the machine before it began: {load:.1f}."]
    return "\n\n".join(parts) + "\n"


def _benchmarks(options: argparse.Namespace) -> dict[str, Benchmark]:
    start = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {what}", file=sys.stderr, flush=True)

    def told(name: str, run: Benchmark) -> Benchmark:
        def tell_and_run() -> Section:
            say(name)
            return run()

        return tell_and_run

    quick = options.quick
    waits = tuple(options.waits or ((10,) if quick else waiting.COUNTS))
    under_quota = 20 if quick else waiting.COUNT_UNDER_QUOTA
    benchmarks: dict[str, Benchmark] = {
        "parse": lambda: parse.run(rounds=2 if quick else 15),
        "call": lambda: call.run(rounds=3 if quick else 25),
        "list": lambda: listing.run(
            rounds=1 if quick else 5, sizes=listing.SIZES[:1] if quick else listing.SIZES
        ),
        "provisioning": lambda: provisioning.run(count=5 if quick else provisioning.COUNT, say=say),
        "waiting": lambda: waiting.run(counts=waits, under_quota=under_quota, say=say),
    }
    return {name: told(name, run) for name, run in benchmarks.items()}
