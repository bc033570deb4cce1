"""Find the programs that the harnesses need, and install what Debian has of them.

It needs no other package, so that ``make services`` can tell what is missing before anything else runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

_Found = TypeVar("_Found")

#: The first one found is used.
_BROWSERS = ("chromium", "google-chrome")
_POSTGRES = ("initdb", "pg_isready", "postgres")

#: Only the programs are needed: files that keep Debian from starting servers and from creating a database.
_POLICY = Path("/usr/sbin/policy-rc.d")
_CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def postgres() -> dict[str, str]:
    """Return the paths of PostgreSQL's programs by name."""
    return find_or_install(_find_postgres, package="postgresql")


def redis() -> str:
    """Return the path of Redis's server."""
    return find_or_install(lambda: shutil.which("redis-server"), package="redis-server")


def chromium() -> str:
    """Return the path of Chromium."""
    return find_or_install(lambda: next(filter(None, map(shutil.which, _BROWSERS)), None), package="chromium")


def find_or_install(find: Callable[[], _Found | None], *, package: str) -> _Found:
    """Return what *find* finds, after installing a Debian package if necessary and possible.

    :param find: looks for the programs; returns nothing if one is absent.
    :param package: the package that has them.
    :raises RuntimeError: if they are absent and cannot be installed here.
    """
    if not (found := find()) and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {package} (apt-get install {package}) ...", flush=True)
        with _services_off():
            _apt_get("update", "-qq")
            _apt_get("install", "-y", "-qq", package)
        found = find()
    if not found:
        raise RuntimeError(f"{package} is not installed. On Debian: apt-get install {package}")
    return found


def main() -> int:
    """Find or install everything, and return the exit code."""
    missing = False
    for find in (postgres, redis, chromium):
        try:
            find()
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            missing = True
    return int(missing)


def _apt_get(*arguments: str) -> None:
    subprocess.run(
        # Another installation may be under way.
        ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


@contextmanager
def _services_off() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(_for_now(_POLICY, "#!/bin/sh\nexit 101\n"))
        stack.enter_context(_for_now(_CREATE_CLUSTER, "create_main_cluster = false\n"))
        yield


@contextmanager
def _for_now(path: Path, text: str) -> Iterator[None]:
    """Have a file while the block runs, unless there is one already."""
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _find_postgres() -> dict[str, str]:
    # Debian keeps the server's programs off PATH.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    path = os.pathsep.join([*map(str, reversed(versions)), os.environ.get("PATH", os.defpath)])
    found = {name: where for name in _POSTGRES if (where := shutil.which(name, path=path))}
    return found if len(found) == len(_POSTGRES) else {}


if __name__ == "__main__":
    sys.exit(main())
