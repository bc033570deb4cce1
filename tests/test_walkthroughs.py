"""The pages that lead through commands and files, followed in an empty folder as a reader would."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.plugin import installed_plugin

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
TESTING = DOCS / "guides" / "testing.md"

#: The tests run in an environment that these would create.
_SETTING_UP = ("python3 -m venv ", "source ", "pip install ")
_FILE = re.compile(r"^```\{literalinclude\} (?P<source>\S+)\n:caption: (?P<name>\S+)\n```$", re.MULTILINE)
_CONSOLE = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def save_files(page: Path, folder: Path) -> None:
    """Save the files that a page shows where it says."""
    for found in _FILE.finditer(page.read_text()):
        path = folder / found["name"]
        path.parent.mkdir(exist_ok=True)
        path.write_text((page.parent / found["source"]).read_text())


def commands(page: Path) -> list[str]:
    """Return the commands of a page, without those that set up the environment."""
    lines = [line for found in _CONSOLE.finditer(page.read_text()) for line in found["text"].splitlines()]
    assert all(line.startswith("$ ") for line in lines), lines
    return [line[2:] for line in lines if not line[2:].startswith(_SETTING_UP)]


def free_port() -> int:
    """Return a port for the sandbox of a page, whose default may be in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def follow(page: Path, folder: Path) -> tuple[list[tuple[str, int]], str]:
    """Run the commands of a page in one shell.

    :return: each command with its exit code, and all output.
    """
    port = str(free_port())
    steps = commands(page)
    script = "\n".join(f'{step}\necho "exit $?: {number}"' for number, step in enumerate(steps))
    script = script.replace("8090", port).replace("workato-sandbox", f"workato-sandbox --port {port}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    log = folder / "output.txt"
    with log.open("w") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        shell.wait()
        # The sandbox still runs in the background.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
    said = log.read_text()
    codes = re.findall(r"^exit (\d+): (\d+)$", said, re.MULTILINE)
    return [(steps[int(number)], int(code)) for code, number in codes], said


def test_the_tutorial(tmp_path: Path) -> None:
    save_files(TUTORIAL, tmp_path)
    codes, said = follow(TUTORIAL, tmp_path)
    runs = [code == 0 for command, code in codes if command.startswith("airflow dags test")]
    assert runs == [True, False, True], said
    assert {code for command, code in codes if not command.startswith("airflow dags test")} == {0}, said
    assert "WorkatoAuthorizationError" in said


def test_the_test_of_a_dag(tmp_path: Path) -> None:
    installed_plugin()
    save_files(TUTORIAL, tmp_path)
    save_files(TESTING, tmp_path)
    codes, said = follow(TESTING, tmp_path)
    assert {code for _, code in codes} == {0}, said
    assert re.search(r"2 passed", said), said
