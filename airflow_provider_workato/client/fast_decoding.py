"""The lists' fast way, by msgspec.

Each function returns ``None`` where :func:`~airflow_provider_workato.client.decoding.decode` has to be asked:
for what is not JSON, and for what msgspec refuses or would decode to something else. That is a byte order
mark, UTF-16, NaN, lone surrogates, integers beyond 64 bits, numbers beyond a float, deep nesting, and an
envelope around the list.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec

#: What msgspec raises for input that is not what a decoder expects.
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

#: How deep the values of a connection may be nested. Those of Workato are flat, but for a list of tags.
_DEPTH = 3


def rows(body: bytes) -> list[dict[str, Any]] | None:
    """Decode a list of objects.

    :param body: the answer's bytes.
    """
    try:
        return _rows_decoder().decode(body)
    except _REFUSED:
        return None


def row(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Decode one object.

    :param raw: a row that :func:`split` gave.
    """
    try:
        return _row_decoder().decode(raw)
    except _REFUSED:
        return None


def split(body: bytes) -> list[msgspec.Raw] | None:
    """Split a list into its undecoded rows.

    :param body: the answer's bytes, to which the rows refer.
    """
    try:
        # Splitting skips over strings without a look at their encoding.
        if not body.isascii():
            body.decode()
        return _split_decoder().decode(body)
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
