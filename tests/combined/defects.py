"""Defects that the provider once had, to be put back: what the net must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

#: How to put each back, by the number it had.
DEFECTS: Mapping[str, Callable[[], None]] = {}


def put_back(number: str) -> None:
    """
    Put a defect back.

    :param number: the number it had
    """
    DEFECTS[number]()
