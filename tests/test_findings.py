"""Each finding is a script that a stranger can run, listed with what one would guess and what happens."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parents[1] / "findings"
SCRIPTS = sorted(FINDINGS.glob("*.sh"))
pytestmark = pytest.mark.skipif(not FINDINGS.exists(), reason="the source distribution has no findings")


def test_each_script_is_listed_once_with_its_version() -> None:
    row = re.compile(r"^\| \[(.+)\]\(\1\) \| .+ \| .+ \| \S+ [0-9.]+.* \|$", re.MULTILINE)
    listed = row.findall((FINDINGS / "README.md").read_text())
    assert listed == [path.name for path in SCRIPTS]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_stands_alone(path: Path) -> None:
    text = path.read_text()
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# One would guess: ")
    assert "\n# What happens: " in text.partition("\nset -euo pipefail\n")[0]
    assert "work=$(mktemp -d)\ntrap 'rm -rf \"$work\"' EXIT\n" in text
    assert "\n# Seen" in text
    assert not re.search(r"airflow.provider.workato|https?://(?!service\.example|127\.0\.0\.1)", text)
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_installs_named_versions(path: Path) -> None:
    installs = re.findall(r"pip install -qq (.+)", path.read_text())
    assert installs
    for requirement in " ".join(installs).split():
        assert re.fullmatch(r'"[\w.-]+==([0-9.]+|\$release)"', requirement), requirement
