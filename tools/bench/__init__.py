"""Benchmarks beside what one would use instead of this package: ``make bench``."""

from __future__ import annotations
