"""The files that keep Debian from starting servers exist only while packages are installed."""

from __future__ import annotations

from pathlib import Path

from tools.debian import _for_now


def test_a_file_is_there_for_now(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "policy"
    with _for_now(path, "#!/bin/sh\nexit 3\n"):
        assert path.read_text() == "#!/bin/sh\nexit 3\n"
    assert not path.exists()


def test_a_file_of_the_machine_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_text("own")
    with _for_now(path, "other"):
        assert path.read_text() == "own"
    assert path.read_text() == "own"
