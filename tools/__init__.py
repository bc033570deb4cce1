"""Programs for the development of this package; they are not installed with it."""

from __future__ import annotations
