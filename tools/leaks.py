"""Look for credentials where none may be: in every byte that Airflow left on the disk."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A credential that was found.

    :param secret: the credential's name, not its value.
    :param where: the file, and the table if it is a database.
    """

    secret: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search came to.

    :param files: how many files were read.
    :param size: how many bytes they had.
    :param hits: what was found.
    """

    files: int
    size: int
    hits: list[Hit]


def search(folder: Path, secrets: Mapping[str, str]) -> Search:
    """Search every file below a folder, and every value of the SQLite databases among them.

    :param folder: where to search.
    :param secrets: the credentials' values by a name for each.
    """
    needles = {name: _spellings(value) for name, value in secrets.items()}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size, hits = 0, []
    databases = []
    for path in files:
        content = path.read_bytes()
        size += len(content)
        hits += _hits(str(path.relative_to(folder)), content, needles)
        if content.startswith(b"SQLite format 3\0"):
            databases.append(path)
    # Afterwards: opening a database can remove the files beside it.
    for path in databases:
        for table, value in _values(path):
            hits += _hits(f"{path.relative_to(folder)}: {table}", value, needles)
    return Search(files=len(files), size=size, hits=hits)


def _spellings(value: str) -> set[bytes]:
    return {value.encode(), json.dumps(value)[1:-1].encode(), quote(value, safe="").encode()}


def _hits(where: str, content: bytes, needles: Mapping[str, set[bytes]]) -> list[Hit]:
    return [
        Hit(secret=name, where=where)
        for name, spellings in needles.items()
        if any(spelling in content for spelling in spellings)
    ]


def _values(path: Path) -> Iterator[tuple[str, bytes]]:
    # A value that is longer than a page is not in one piece in the file.
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):  # noqa: S608 - the name is the database's own
                yield from ((table, value) for value in map(_as_bytes, row) if value)


def _as_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b""
