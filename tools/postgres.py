"""A temporary PostgreSQL server and its queries. On SQLite, Airflow's components would block each other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import debian
from tools.cluster import free_port
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server with an empty database, yield its SQLAlchemy URL, and remove everything afterwards."""
    programs = debian.postgres()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="workato-postgres-") as directory:
        data = Path(directory, "data")
        as_owner = _give_away(directory)
        # A machine without a locale would get an ASCII database.
        options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [*as_owner, programs["initdb"], "-D", data, *options], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        # Durability does not matter: the database is deleted afterwards.
        settings = {
            "fsync": "off",
            "listen_addresses": "127.0.0.1",
            "max_connections": "300",
            "unix_socket_directories": directory,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with Path(directory, "log").open("wb") as log:
            server = subprocess.Popen(
                [*as_owner, programs["postgres"], "-D", data, "-p", str(port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            ready = [programs["pg_isready"], "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_until(
                lambda: subprocess.run(ready, check=False).returncode == 0, what="PostgreSQL", deadline=30
            )
            yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
        finally:
            _stop(server, data)


def query(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query.

    Airflow's REST API, asked every second for a thousand tasks, would be a load of its own.

    :param url: the database, as :func:`running_postgres` yields it.
    :param statement: the query, with ``%s`` for each value.
    :param values: the values.
    """
    import psycopg2

    dsn = url.replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _give_away(directory: str) -> list[str]:
    """Give the folder to another user if this is root; return the prefix to run commands as that user.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return []
    shutil.chown(directory, "postgres")
    return ["runuser", "-u", "postgres", "--"]


def _stop(server: subprocess.Popen[bytes], data: Path) -> None:
    # `runuser` is the parent of the server, which writes its own process id to a file.
    pid_file = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
        # SIGINT is a fast shutdown; SIGTERM would wait for clients that are still connected.
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGINT)
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
