"""Build wheel and sdist, and check that an index would take them and that they hold what they should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_workato import __version__
from tools.matrix.legs import ROOT

if TYPE_CHECKING:
    from email.message import Message

FOLDER = ROOT / "build" / "dist"
PACKAGE = "airflow_provider_workato"
#: What the pages say until the first release.
NOT_RELEASED = "not released yet"

#: The newest version of the metadata format that indexes accept.
NEWEST_METADATA = (2, 4)

#: What a source distribution has beside tracked files.
_ADDED = {"PKG-INFO"}
#: What is tracked and not in a source distribution.
_LEFT_OUT = re.compile(r"(\.ci|\.github|findings)/|\.pre-commit-config\.yaml$")

_HREF = re.compile(r'(?:href|src)="([^"]*)"')
_ANCHOR = re.compile(r'id="([^"]*)"')


class UnfitError(Exception):
    """A distribution that must not be published. The message says why."""


def built(kind: str) -> Path:
    """Return the path of the built wheel or sdist.

    :param kind: ``wheel`` or ``sdist``.
    :raises UnfitError: unless there is exactly one.
    """
    found = sorted(FOLDER.glob("*.whl" if kind == "wheel" else "*.tar.gz"))
    if len(found) != 1:
        raise UnfitError(f"{FOLDER} has {len(found)} distributions of kind {kind}; run make package.")
    return found[0]


def build() -> None:
    """Build both, the wheel from the sdist as an installer would."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", FOLDER, ROOT], check=True)


def check() -> None:
    """Check both.

    :raises UnfitError: if one must not be published.
    """
    wheel, sdist = built("wheel"), built("sdist")
    if subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], check=False
    ).returncode:
        raise UnfitError("twine refuses the distributions.")
    tracked = set(_git("ls-files"))
    _check_wheel(wheel, tracked)
    _check_sdist(sdist, tracked)


def _git(*arguments: str) -> list[str]:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def _check_wheel(wheel: Path, tracked: set[str]) -> None:
    info = f"{PACKAGE}-{__version__}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = HeaderParser().parsestr(archive.read(f"{info}METADATA").decode())
    files = {name for name in names if not name.startswith(info)}
    _compare(wheel, files, {name for name in tracked if name.startswith(f"{PACKAGE}/")})
    _check_metadata(wheel, about)
    _check_links(wheel, about.get_payload())


def _check_sdist(sdist: Path, tracked: set[str]) -> None:
    root = f"{PACKAGE}-{__version__}/"
    with tarfile.open(sdist) as archive:
        names = {member.name.removeprefix(root) for member in archive.getmembers() if member.isfile()}
        about = archive.extractfile(f"{root}PKG-INFO")
        assert about is not None  # noqa: S101 - it is a file
        _check_metadata(sdist, HeaderParser().parsestr(about.read().decode()))
    _compare(sdist, names - _ADDED, {name for name in tracked if not _LEFT_OUT.match(name)})


def _compare(path: Path, found: set[str], expected: set[str]) -> None:
    if found != expected:
        raise UnfitError(
            f"{path.name} does not hold what is tracked. Stray: {sorted(found - expected)}. "
            f"Missing: {sorted(expected - found)}."
        )


def _check_metadata(path: Path, about: Message) -> None:
    version = tuple(int(part) for part in str(about["Metadata-Version"]).split("."))
    if version > NEWEST_METADATA:
        raise UnfitError(
            f"{path.name} has metadata version {about['Metadata-Version']}, too new for indexes."
        )
    if about["Version"] != __version__:
        raise UnfitError(f"{path.name} says version {about['Version']}, the package {__version__}.")


def _check_links(path: Path, description: object) -> None:
    from readme_renderer import markdown

    page = markdown.render(str(description)) or ""
    anchors = set(_ANCHOR.findall(page))
    dead = [
        target
        for target in _HREF.findall(page)
        if not target.startswith(("http://", "https://")) and target.removeprefix("#") not in anchors
    ]
    if dead or not page:
        raise UnfitError(f"On an index these links of {path.name} lead nowhere: {dead}")


def check_release(tag: str) -> None:
    """Check that a tag, the version, the changelog and the pages agree.

    :param tag: the tag, for example ``v1.2.0``.
    :raises UnfitError: if they do not.
    """
    if tag != f"v{__version__}":
        raise UnfitError(f"The tag is {tag}, the package's version {__version__}.")
    changelog = (ROOT / "CHANGELOG.md").read_text()
    if not re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        raise UnfitError(f"CHANGELOG.md has no section '## [{__version__}] - <date>'.")
    if pages := not_released():
        raise UnfitError(f"These pages say {NOT_RELEASED!r}: {', '.join(pages)}.")


def not_released() -> list[str]:
    """Return the pages that tell their readers to build the package themselves."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(page.relative_to(ROOT)) for page in pages if NOT_RELEASED in page.read_text()]


def main() -> int:
    """Build and check; if the environment names a RELEASE_TAG, check first that it may be released."""
    try:
        if tag := os.environ.get("RELEASE_TAG"):
            check_release(tag)
        build()
        check()
    except UnfitError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(str(built(kind).relative_to(ROOT)) for kind in ("wheel", "sdist")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
