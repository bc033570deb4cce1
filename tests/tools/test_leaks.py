from __future__ import annotations

import base64
import html
import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tools.leaks import Hit, search

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = 'pass/"word" ü'


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(f"… {SECRET} …", id="plain"),
        pytest.param('{"a": "pass/\\"word\\" \\u00fc"}', id="json"),
        pytest.param("https://host/?p=pass%2F%22word%22%20%C3%BC&x", id="url"),
        pytest.param("https://host/?p=pass%2F%22word%22+%C3%BC&x", id="form"),
        pytest.param(json.dumps({"event": json.dumps({"a": SECRET})}), id="json in json"),
        pytest.param(repr(f'{{"a": "{SECRET}"}}'.encode()), id="repr of bytes"),
        pytest.param(f"<p>{html.escape(SECRET)}</p>", id="html"),
        *(
            pytest.param(base64.b64encode(f"{'user:'[:n]}{SECRET}:x".encode()).decode(), id=f"base64 at {n}")
            for n in range(3)
        ),
    ],
)
def test_finds_every_spelling_at_any_depth(tmp_path: Path, written: str) -> None:
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "deep" / "a.log").write_text(written)
    (tmp_path / "clean.log").write_text("nothing")
    found = search(tmp_path, {"password": SECRET, "other": "elsewhere"})
    assert found.hits == [Hit(secret="password", where="logs/deep/a.log")]
    assert found.files == 2
    assert found.size == len(written.encode()) + len("nothing")


@pytest.mark.parametrize("kind", [str, str.encode])
def test_finds_what_a_database_keeps_in_pieces(tmp_path: Path, kind: Callable[[str], str | bytes]) -> None:
    secret = "0123456789abcdef" * 8
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        database.execute("pragma page_size = 512")
        database.execute("create table xcom (value)")
        database.execute("insert into xcom values (?)", (kind("-" * 400 + secret + "-" * 400),))
        database.commit()
    content = (tmp_path / "airflow.db").read_bytes()
    assert secret.encode() not in content
    found = search(tmp_path, {"secret": secret})
    assert [hit.secret for hit in found.hits] == ["secret"]
    assert found.hits[0].where == "airflow.db: xcom"


def test_a_hit_does_not_show_the_secret(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(SECRET)
    assert SECRET not in repr(search(tmp_path, {"password": SECRET}))


def test_reads_the_log_of_a_database_that_was_not_closed(tmp_path: Path) -> None:
    live, left = tmp_path / "live.db", tmp_path / "left"
    left.mkdir()
    with closing(sqlite3.connect(live)) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table xcom (value)")
        database.execute("insert into xcom values ('first'), (?)", (SECRET,))
        database.commit()
        for path in tmp_path.glob("live.db*"):
            shutil.copy(path, left / path.name)
    found = search(left, {"password": SECRET})
    assert {hit.where for hit in found.hits} == {"live.db-wal", "live.db: xcom"}
