"""JSON answers as values that Airflow can pass on and store."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from airflow_provider_workato.exceptions import WorkatoResponseError

#: A lone surrogate, which UTF-8 cannot encode.
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(body: bytes | memoryview, *, operation: str) -> Any:
    """Decode a JSON answer into values that Airflow can pass on and store.

    Values that Airflow cannot store are replaced: a lone surrogate by U+FFFD, an integer beyond 64 bits by a
    string of its digits, NaN and infinities by ``None``.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if it is not JSON; the body is not quoted.
    """
    text = _text_of(bytes(body), operation)
    try:
        value = _DECODER.decode(text)
        return _mended(value) if "\\u" in text else value
    except (ValueError, RecursionError):
        pass
    # Raised here and not above: the decoder's own error carries the whole body.
    raise unreadable(operation)


def _text_of(body: bytes, operation: str) -> str:
    """Return an answer's text, with U+FFFD for lone surrogates.

    :param body: the answer's bytes.
    :param operation: the call, for the error.
    :raises WorkatoResponseError: if the bytes are not in one of JSON's encodings.
    """
    encoding = json.detect_encoding(body)
    for errors in ("strict", "surrogatepass"):
        try:
            text = body.decode(encoding, errors)
        except UnicodeDecodeError:
            continue
        return text if errors == "strict" else _SURROGATE.sub("\ufffd", text)
    # Raised here and not above: the error of the encoding carries the whole body.
    raise unreadable(operation)


def _integer(digits: str) -> int | str:
    if len(digits) < 19:
        return int(digits)
    # Python refuses to read more than some thousand digits.
    return int(digits) if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64 else digits


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=lambda _: None)


def _mended(value: Any) -> Any:
    """Return a decoded value in which U+FFFD replaces lone surrogates.

    :param value: a decoded JSON value.
    """
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def unreadable(operation: str) -> WorkatoResponseError:
    """Return the error for an answer that is not JSON.

    :param operation: the call.
    """
    return WorkatoResponseError(
        f"The answer to {operation} is not complete JSON. A proxy or a login page may have answered in "
        "Workato's place: check the Airflow connection's Base URL and Proxies.",
        status=200,
        operation=operation,
    )
