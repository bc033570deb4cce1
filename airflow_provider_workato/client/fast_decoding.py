"""Decode list answers with msgspec, in parts of about a megabyte.

A part that msgspec rejects, or would decode differently, is left to
:func:`~airflow_provider_workato.client.decoding.decode`. Such a part is not JSON, or contains a byte order
mark, UTF-16, NaN, lone surrogates, integers beyond 64 bits, numbers beyond a float, deep nesting, or an
envelope around the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

#: What msgspec raises for input that a decoder does not expect.
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

#: How deep the values of a connection may be nested. Workato's are flat, except for a list of tags.
_DEPTH = 3


#: The approximate size of a part in bytes. Python's global lock is held while one is decoded. The memory of
#: smaller parts would not return to the system at once.
_PART = 1_100_000

_BETWEEN_ROWS = re.compile(rb"\},\{")


class Parts:
    """A list answer, decoded part by part, once.

    :param body: the answer's bytes.
    """

    def __init__(self, body: memoryview) -> None:
        self._body = body
        #: Where the next part starts; ``None`` at the end.
        self._start: int | None = 0

    def rows(self) -> Iterator[list[dict[str, Any]]]:
        """Decode lists of objects, up to the first part that msgspec cannot decode."""
        return self._decoded(_rows_decoder())

    def split(self) -> Iterator[list[msgspec.Raw]]:
        """Split lists into their undecoded rows, up to the first part that msgspec cannot decode."""
        # Splitting skips strings without checking their encoding.
        return self._decoded(_split_decoder(), check_encoding=True)

    def rest(self) -> bytes | None:
        """Return what was not decoded as one list answer, or ``None`` if nothing is left."""
        if self._start is None:
            return None
        return b"".join((b"[" if self._start else b"", self._body[self._start :]))

    def _decoded(
        self, decoder: msgspec.json.Decoder[list[T]], *, check_encoding: bool = False
    ) -> Iterator[list[T]]:
        while self._start is not None:
            # Cut where one row seems to end and the next to begin. If that was inside a string or a nested
            # value, the part is not valid JSON and cannot be decoded.
            cut = _BETWEEN_ROWS.search(self._body, self._start + _PART)
            end = cut.start() + 1 if cut else len(self._body)
            part = b"".join(
                (b"[" if self._start else b"", self._body[self._start : end], b"]" if cut else b"")
            )
            try:
                if check_encoding and not part.isascii():
                    part.decode()
                found = decoder.decode(part)
            except _REFUSED:
                return
            self._start = end + 1 if cut else None
            del part
            yield found


def decode_row(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Decode one object; return ``None`` if msgspec cannot.

    :param raw: a row from :meth:`Parts.split`.
    """
    try:
        return _row_decoder().decode(raw)
    except _REFUSED:
        return None


@cache
def _split_decoder() -> msgspec.json.Decoder[list[msgspec.Raw]]:
    return msgspec.json.Decoder(list[msgspec.Raw])


@cache
def _rows_decoder() -> msgspec.json.Decoder[list[dict[str, Any]]]:
    return msgspec.json.Decoder(list[dict[str, _value_type()]])  # type: ignore[misc]


@cache
def _row_decoder() -> msgspec.json.Decoder[dict[str, Any]]:
    return msgspec.json.Decoder(dict[str, _value_type()])  # type: ignore[misc]


def _value_type() -> Any:
    # As a type, the bounds of integers cost nothing; looking for large ones afterwards would.
    scalar: Any = None | bool | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | str
    value: Any = scalar
    for _ in range(_DEPTH):
        value = scalar | list[value] | dict[str, value]
    return value
