"""Find the servers that the harnesses need, and install what Debian has of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def find_or_install(find: Callable[[], _Found | None], *, package: str) -> _Found:
    """Return what *find* finds, after installing a Debian package if necessary and possible.

    :param find: looks for the programs; returns nothing if one is absent.
    :param package: the package that has them.
    :raises RuntimeError: if they are absent and cannot be installed here.
    """
    if not (found := find()) and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {package} (apt-get install {package}) ...", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", package],
            # The run level keeps Debian from starting services; only the programs are needed.
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        found = find()
    if not found:
        raise RuntimeError(f"{package} is not installed. On Debian: apt-get install {package}")
    return found
