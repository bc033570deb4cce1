"""The lists' fast way, by msgspec, part by part.

A part stays where :func:`~airflow_provider_workato.client.decoding.decode` has to be asked: for what is not
JSON, and for what msgspec refuses or would decode to something else. That is a byte order mark, UTF-16, NaN,
lone surrogates, integers beyond 64 bits, numbers beyond a float, deep nesting, and an envelope around the
list.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

#: What msgspec raises for input that is not what a decoder expects.
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

#: How deep the values of a connection may be nested. Those of Workato are flat, but for a list of tags.
_DEPTH = 3


#: How many bytes a part has, about. Python's global lock is held while one is decoded. Smaller ones are not
#: given back to the system at once.
_PART = 1_100_000


def cut(body: bytes) -> list[bytes]:
    """Cut a list answer where one row seems to end and the next to begin.

    A part that is decoded proves that it was cut there: within a string or a nested value it would be torn.

    :param body: the answer's bytes.
    """
    parts, start, opening, view = [], 0, b"", memoryview(body)
    while (end := body.find(b"},{", start + _PART)) >= 0:
        parts.append(b"".join((opening, view[start : end + 1], b"]")))
        start, opening = end + 2, b"["
    parts.append(b"".join((opening, view[start:])))
    # Taken from the end.
    return parts[::-1]


def rest(parts: list[bytes]) -> bytes:
    """Return what was not decoded, as one list answer.

    :param parts: what is left of the parts.
    """
    # Without the brackets that made each part a list of its own.
    first, *others = [*(part[:-1] for part in parts[:0:-1]), parts[0]]
    return b",".join([first, *(part[1:] for part in others)])


def rows(parts: list[bytes]) -> Iterator[list[dict[str, Any]]]:
    """Decode lists of objects, up to the first part that is not for msgspec.

    :param parts: what :func:`cut` gave. Each one is removed once decoded.
    """
    return _decoded(parts, _rows_decoder())


def split(parts: list[bytes]) -> Iterator[list[msgspec.Raw]]:
    """Split lists into their undecoded rows, up to the first part that is not for msgspec.

    :param parts: what :func:`cut` gave. Each one is removed once split; the rows refer to a copy.
    """
    # Splitting skips over strings without a look at their encoding.
    return _decoded(parts, _split_decoder(), check_encoding=True)


def row(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Decode one object, ``None`` if it is not for msgspec.

    :param raw: a row that :func:`split` gave.
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
