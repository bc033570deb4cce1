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

from tools.bench import calls, crowd, imports, polls, provisioning, sets, waits
from tools.bench.measure import airflow_home, describe
from tools.bench.report import REPORT, SOAK, Document

if TYPE_CHECKING:
    from tools.bench.report import Section

NAMES = ("parse", "call", "list", "poll", "provisioning", "sets", "peer", "asleep", "crowd")

Benchmark = Callable[[], "Section"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit code, which tells whether they ran, not what came out.

    :param arguments: the command line, ``sys.argv`` if left out.
    """
    parser = argparse.ArgumentParser(prog="make bench", description="Measure beside what else one would use.")
    parser.add_argument("--only", action="append", choices=NAMES, help="run this one (can be repeated)")
    parser.add_argument("--quick", action="store_true", help="few rounds and few waits, to try the program")
    parser.add_argument("--waits", type=int, help="how many waits")
    parser.add_argument(
        "--output",
        type=Path,
        help=f"report to write or bring up to date (default: docs/{REPORT.name}; none if --quick)",
    )
    options = parser.parse_args(arguments)
    # As Ctrl-C does: everything that was started has to be ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    output = options.output or (None if options.quick else REPORT)
    before = output.read_text(encoding="utf-8") if output is not None and output.exists() else ""
    document = Document(before, facts=describe())
    titles = []
    with airflow_home():
        for name, run in _benchmarks(options):
            if name in (options.only or NAMES):
                load = os.getloadavg()[0]
                section = run()
                print(f"{section.markdown()}\n", flush=True)
                document.put(section, load=load)
                titles.append(section.title)
                if not options.only and len(titles) == len(NAMES):
                    # What an earlier version measured would be compared with another's.
                    document.keep([*titles, SOAK])
                # What was measured so far is kept, should a later one fail.
                if output is not None:
                    output.parent.mkdir(parents=True, exist_ok=True)
                    output.write_text(document.markdown(), encoding="utf-8")
    return 0


def _benchmarks(options: argparse.Namespace) -> Iterator[tuple[str, Benchmark]]:
    quick, start = options.quick, time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {what}", file=sys.stderr, flush=True)

    yield "parse", lambda: imports.run(rounds=2 if quick else 15)
    yield "call", lambda: calls.run_call(rounds=3 if quick else 25)
    sizes = calls.SIZES[:1] if quick else calls.SIZES
    yield "list", lambda: calls.run_list(rounds=1 if quick else 5, sizes=sizes)
    yield "poll", lambda: polls.run(polls=2 if quick else 11, size=1_000 if quick else polls.SIZE)
    yield "provisioning", lambda: provisioning.run(count=5 if quick else provisioning.COUNT, say=say)
    yield (
        "sets",
        lambda: sets.run(
            count=6 if quick else sets.COUNT,
            declared=100 if quick else sets.DECLARED,
            existing=500 if quick else sets.EXISTING,
            say=say,
        ),
    )
    beside_peer = options.waits or (10 if quick else waits.COUNT_BESIDE_PEER)
    yield "peer", lambda: waits.run_beside_peer(count=beside_peer, say=say)
    beside_asleep = options.waits or (10 if quick else waits.COUNT_BESIDE_ASLEEP)
    yield "asleep", lambda: waits.run_beside_asleep(count=beside_asleep, say=say)
    many = options.waits or (100 if quick else crowd.COUNT)
    yield "crowd", lambda: crowd.run(count=many, say=say)


if __name__ == "__main__":
    sys.exit(main())
