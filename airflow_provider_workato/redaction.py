"""Keeping credentials out of sight."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"

#: The longest piece of a server's text that an error quotes, in characters.
MAX_QUOTE = 500


class Sealed:
    """A value that takes part in requests but is never shown.

    ``repr()`` and ``str()`` give ``***``, so that neither a log line nor a traceback
    that prints local variables can show it; it refuses to be pickled.

    :param value: what to keep out of sight.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value itself. Do not keep it in a local variable across calls that can fail."""
        return self._value

    def leaves(self) -> Iterator[Any]:
        """Yield every leaf of nested dicts and lists, whatever its key is called."""
        return _leaves(self._value)

    def masked(self) -> Any:
        """Return a copy of the value's structure with ``***`` for every leaf."""
        return _masked(self._value)

    def __repr__(self) -> str:
        return MASK

    def __deepcopy__(self, memo: dict[int, Any]) -> Sealed:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("sealed credentials cannot be pickled")


def seal(value: Any) -> Sealed | None:
    """Wrap *value* once; ``None`` and what is sealed already stay as they are.

    :param value: a credential or a structure of credentials.
    """
    return value if value is None or isinstance(value, Sealed) else Sealed(value)


def secret_texts(leaves: Iterator[Any]) -> list[str]:
    """Return the texts by which *leaves* could be recognized, longest first.

    Booleans and ``None`` say nothing about a credential and are left out.

    :param leaves: as given by :meth:`Sealed.leaves`.
    """
    texts = {str(leaf) for leaf in leaves if leaf is not None and not isinstance(leaf, bool)}
    return sorted(texts - {""}, key=len, reverse=True)


def redact(text: object, secrets: list[str], *, limit: int = MAX_QUOTE) -> str:
    """Return *text* as one bounded line with every secret replaced by ``***``.

    :param text: what a server said.
    :param secrets: texts that must not be shown, longest first. Those under five characters are
        replaced as whole words only, else the text would be riddled with masks.
    :param limit: the longest result in characters.
    """
    shown = str(text)
    for secret in secrets:
        if len(secret) >= 5:
            shown = shown.replace(secret, MASK)
        else:
            shown = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, shown)
    shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item) for item in value]
    return MASK
