"""What a process has in memory."""

from __future__ import annotations

import ctypes
import gc
import re
from contextlib import suppress
from pathlib import Path


def resident() -> int:
    """Return the bytes that this process has in memory."""
    return status("VmRSS")


def peak() -> int:
    """Return the most bytes that it had in memory since :func:`forget_peak`."""
    return status("VmHWM")


def forget_peak() -> None:
    """Start :func:`peak` anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def settled_resident() -> int:
    """Return what is left after unused memory was given back."""
    gc.collect()
    # Only glibc keeps freed memory to itself until it is told.
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return resident()


def status(field: str) -> int:
    """Return a size that the system tells of this process, in bytes.

    :param field: a field of ``/proc/self/status``.
    """
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the system does not tell {field}")
    return int(found[1]) * 1024
