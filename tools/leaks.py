"""Search every byte that Airflow left on the disk for credentials."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A credential found in a file.

    :param secret: the credential's name, not its value.
    :param where: the file, and the table if it is a database.
    """

    secret: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The result of a search.

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
    :param secrets: the credentials' values by name.
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
    # Open databases only now: opening one can remove the files beside it.
    for path in databases:
        for table, value in _values(path):
            hits += _hits(f"{path.relative_to(folder)}: {table}", value, needles)
    return Search(files=len(files), size=size, hits=hits)


def _spellings(value: str) -> set[bytes]:
    """Return every spelling of a credential in files: as it is, and in logs, JSON, URLs, HTML and base64."""
    in_json = json.dumps(value)[1:-1]
    texts = {
        value,
        in_json,
        json.dumps(value, ensure_ascii=False)[1:-1],
        # A log line in JSON that quotes JSON.
        json.dumps(in_json)[1:-1],
        repr(value)[1:-1],
        repr(value.encode())[2:-1],
        repr(in_json.encode())[2:-1],
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        html.escape(value),
    }
    return {text.encode() for text in texts} | set(_in_base64(value.encode()))


def _in_base64(value: bytes) -> Iterator[bytes]:
    # The base64 of a short value would be found by chance.
    if len(value) < 8:
        return
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + value)
        # Keep only the characters that depend on the value alone, at any position in the encoded data.
        yield encoded[offset * 8 // 6 + (offset > 0) : (offset + len(value)) * 8 // 6]


def _hits(where: str, content: bytes, needles: Mapping[str, set[bytes]]) -> list[Hit]:
    return [
        Hit(secret=name, where=where)
        for name, spellings in needles.items()
        if any(spelling in content for spelling in spellings)
    ]


def _values(path: Path) -> Iterator[tuple[str, bytes]]:
    # A value longer than a database page is not stored in one piece.
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):  # noqa: S608 - the name is the database's own
                yield from ((table, value) for value in map(_as_bytes, row) if value)


def _as_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b""
