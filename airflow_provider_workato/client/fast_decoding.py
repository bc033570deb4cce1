"""Decode list answers with msgspec, in parts of about a megabyte.

A part that msgspec rejects, or would decode differently, is left to
:func:`~airflow_provider_workato.client.decoding.decode`. Such a part is not JSON, or contains a byte order
mark, UTF-16, NaN, lone surrogates, integers beyond 64 bits, numbers beyond a float, deep nesting, or an
envelope around the list.
"""

from __future__ import annotations

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


def cut(body: bytes) -> list[bytes]:
    """Cut a list answer where one row seems to end and the next to begin.

    If the cut was inside a string or a nested value, the part is not valid JSON and cannot be decoded.

    :param body: the answer's bytes.
    """
    parts, start, opening, view = [], 0, b"", memoryview(body)
    while (end := body.find(b"},{", start + _PART)) >= 0:
        parts.append(b"".join((opening, view[start : end + 1], b"]")))
        start, opening = end + 2, b"["
    parts.append(b"".join((opening, view[start:])))
    # The decoders pop parts from the end.
    return parts[::-1]


def rest(parts: list[bytes]) -> bytes:
    """Return what was not decoded as one list answer.

    :param parts: the parts that are left.
    """
    # Without the brackets that made each part a list of its own.
    first, *others = [*(part[:-1] for part in parts[:0:-1]), parts[0]]
    return b",".join([first, *(part[1:] for part in others)])


def rows(parts: list[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Decode lists of objects, up to the first part that msgspec cannot decode.

    :param parts: the result of :func:`cut`. Each part is removed once decoded.
    """
    return _decoded(parts, _rows_decoder())


def split(parts: list[bytes]) -> Iterator[list[msgspec.Raw]]:
    """Split lists into their undecoded rows, up to the first part that msgspec cannot decode.

    :param parts: the result of :func:`cut`. Each part is removed once split; the rows refer to a copy.
    """
    # Splitting skips strings without checking their encoding.
    return _decoded(parts, _split_decoder(), check_encoding=True)


def row(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Decode one object; return ``None`` if msgspec cannot.

    :param raw: a row from :func:`split`.
    """
    try:
        return _row_decoder().decode(raw)
    except _REFUSED:
        return None


def _decoded(
    parts: list[bytes], decoder: msgspec.json.Decoder[list[T]], *, check_encoding: bool = False
) -> Iterator[list[T]]:
    while parts:
        part = parts.pop()
        try:
            if check_encoding and not part.isascii():
                part.decode()
            found = decoder.decode(part)
        except _REFUSED:
            parts.append(part)
            return
        del part
        yield found


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
