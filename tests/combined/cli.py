"""The command line: play many seeds in parallel, and shrink a history that fails."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection as Line
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests.combined import defects
from tests.combined.clock import Clock
from tests.combined.shrink import shrunk
from tests.combined.steps import FRESH, Step, history


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.combined", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--steps", type=int, default=40, help="steps of each (default: %(default)s)")
    parser.add_argument("--history", type=Path, nargs="+", help="play the histories in these files instead")
    parser.add_argument("--side-by-side", type=int, default=4, help="plays at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=540, help="start no play after these")
    parser.add_argument("--defect", help=f"put a defect back: {', '.join(defects.DEFECTS)}")
    parser.add_argument("--without", default="", help="kinds of steps to leave out, by their 'do'")
    parser.add_argument("--go-on", action="store_true", help="play all seeds, whatever fails; shrink nothing")
    parser.add_argument("--shrink-seconds", type=float, default=120)
    parser.add_argument("--report", type=Path, help="write what was found to this file, as JSON")
    return parser.parse_args(argv)


class _Player:
    """A process that plays histories on its own sandbox."""

    def __init__(self) -> None:
        self.line, theirs = Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.line.close()
            _play_all(theirs)
        theirs.close()
        self.job: Any = None

    def give(self, job: Any, steps: Sequence[Step], seed: int) -> None:
        self.job = job
        self.line.send((list(steps), seed))

    def end(self) -> None:
        # Closing the pipe is not enough: players forked later hold it as well.
        self.line.send(None)
        self.line.close()
        os.waitpid(self.pid, 0)


def _play_all(line: Line) -> None:
    from airflow_provider_workato.sandbox.client import running_sandbox
    from tests.combined.stage import play

    code = 1
    try:
        clock = Clock()
        with running_sandbox() as sandbox:
            while (job := line.recv()) is not None:
                steps, seed = job
                line.send(asdict(play(steps, seed=seed, sandbox=sandbox, clock=clock)))
        code = 0
    except EOFError:
        pass
    finally:
        os._exit(code)


class Company:
    """A group of players that play in parallel.

    :param size: the number of players.
    """

    def __init__(self, size: int) -> None:
        self._players = [_Player() for _ in range(size)]

    def play(self, jobs: Sequence[tuple[Any, Sequence[Step], int]], *, until: float) -> Any:
        """Play histories, and yield each job with its outcome as it ends.

        :param jobs: name, history and seed of each job.
        :param until: the moment after which no further job starts.
        """
        waiting = list(reversed(jobs))
        busy: dict[Any, _Player] = {}
        idle = list(self._players)
        while waiting or busy:
            while waiting and idle and time.monotonic() < until:
                player = idle.pop()
                player.give(*waiting.pop())
                busy[player.line] = player
            if not busy:
                return
            for line in wait(list(busy)):
                player = busy.pop(line)
                idle.append(player)
                yield player.job, player.line.recv()

    @property
    def size(self) -> int:
        """The number of players."""
        return len(self._players)

    def end(self) -> None:
        """End all players."""
        for player in self._players:
            player.end()


def main(argv: Sequence[str] | None = None) -> int:
    """Play, and return 1 if a promise was broken.

    :param argv: the arguments.
    """
    arguments = _arguments(argv)
    _import_everything()
    if arguments.defect:
        defects.put_back(arguments.defect)
    gc.collect()
    gc.freeze()
    company = Company(arguments.side_by_side)
    try:
        return _play(company, arguments)
    finally:
        company.end()
        shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)


def _import_everything() -> None:
    """Import everything that a fork needs, including what Airflow imports only when a triggerer starts."""
    import tools.leaks  # noqa: F401
    from airflow_provider_workato.provisioning import search

    asyncio.run(_start_a_runner())
    # Shorten the provider's waits, so that a play takes little time.
    search.FRESH = FRESH


async def _start_a_runner() -> None:
    from tests.support.triggerer import Runner

    await Runner().stop()


def _play(company: Company, arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    histories: dict[int, list[Step]] = {}
    if arguments.history:
        for path in arguments.history:
            told = json.loads(path.read_text())
            histories[told["seed"]] = told["history"]
    elif arguments.seed is not None:
        histories[arguments.seed] = history(arguments.seed, steps=arguments.steps)
    else:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            histories[seed] = history(seed, steps=arguments.steps)
    without = arguments.without.split(",")
    histories = {
        seed: [step for step in steps if step["do"] not in without] for seed, steps in histories.items()
    }
    steps, plays, found = 0, 0, []
    jobs = [(seed, steps_of, seed) for seed, steps_of in histories.items()]
    until = began + arguments.seconds
    for seed, outcome in company.play(jobs, until=until):
        plays += 1
        steps += outcome["steps"]
        if outcome["kind"]:
            found.append((seed, outcome))
            print(f"seed {seed}, step {outcome['steps']}: {outcome['kind']}: {outcome['what']}", flush=True)
            if not arguments.go_on:
                until = 0.0
                break
    took = time.monotonic() - began
    print(f"{plays} seeds, {steps} steps, {took:.0f} s, {len(found)} broken", flush=True)
    report: dict[str, Any] = {"seeds": plays, "steps": steps, "seconds": took, "found": []}
    report["found"] = [{"seed": seed, **outcome} for seed, outcome in found]
    if found and not arguments.go_on and not arguments.history:
        seed, outcome = found[0]
        report["shortest"] = _shorten(company, seed, histories[seed], outcome, arguments.shrink_seconds)
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=1))
    return 1 if found else 0


def _shorten(
    company: Company, seed: int, steps: Sequence[Step], outcome: dict[str, Any], seconds: float
) -> dict[str, Any]:
    short, last = shrunk(company, steps[: outcome["steps"]], seed=seed, outcome=outcome, seconds=seconds)
    print(f"\nThe shortest history of seed {seed} that shows it ({last['kind']}: {last['what']}):\n")
    for step in short:
        print(f"  {json.dumps(step)}")
    print(
        f"\nAll of it again: python -m tests.combined --seed {seed}\n"
        "The short one:   put the lines into a file as "
        f'{{"seed": {seed}, "history": [...]}} and give it to --history',
        flush=True,
    )
    return {"seed": seed, "history": short, "kind": last["kind"], "what": last["what"]}
