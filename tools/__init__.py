"""Programs for people who work on this package. None of them is installed with it."""

from __future__ import annotations
