"""Hide credentials: seal values so that they are never shown, and remove them from what servers say."""

from __future__ import annotations

import difflib
import html
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload
from urllib.parse import quote, quote_plus

MASK = "***"

#: The longest quote of a server's message in an error, in characters.
MAX_QUOTE = 500

#: The longest quote of an app's message, in characters.
_MAX_APP_QUOTE = 300
#: How much of an app's message is searched for credentials, in characters.
_MAX_READ = 2000

#: How much of a value Airflow's masker learns, in characters and in lines.
_MAX_LOGGED = 20_000
_MAX_LOGGED_LINES = 64

#: Endings of names whose values are credentials, such as ``X-Api-Key`` or ``client_secret``.
_NAME = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|jwt|key|auth|authorization|credential|cookie"
    r"|session(?:[-_ ]?id)?|signature|sig|bearer|pin|otp|client[-_ ]?id|user(?:[-_ ]?name)?|login)s?"
)
#: Names whose values are harmless and tell which error it is.
_HARMLESS = r"(?:error\w*|code|status|reason|type|scope|grant_type)"
_QUOTE = r"""(?:\\*["'`])"""
_VALUE = rf"""(?:{_QUOTE}[^"'`]*{_QUOTE}|[^\s,;&<>()\[\]{{}}]+)"""


def _rule(sign: str, pattern: str, left: str) -> tuple[str, re.Pattern[str], str]:
    return sign, re.compile(pattern, re.IGNORECASE | re.DOTALL), left


#: What looks like a credential and what replaces it. A rule applies only to strings that contain its sign.
_CREDENTIALS = (
    # HTML tags: an attribute can hold a credential as well as the page's text.
    _rule("<", r"<[^<>]*>", " "),
    _rule("-----BEGIN", r"-----BEGIN .*?(?:-----END [^-]*-----|\Z)", MASK),
    # https://user:password@host/path?query#fragment, also without the scheme.
    _rule("://", r"""(://)[^\s/?#@"'<>]+@""", rf"\1{MASK}@"),
    _rule("://", r"""(://[^\s?#"'<>]*)[?#][^\s"'<>]+""", rf"\1?{MASK}"),
    _rule("@", r"""[^\s/:@"']+:[^\s/@"']+@(?=\w)""", f"{MASK}@"),
    # A header, to the end of its line.
    _rule(":", r"\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)[^\r\n]+", rf"\1\2{MASK}"),
    _rule(
        "", rf"\b(bearer|basic|digest)\s+(?!(?:auth|access|token|realm|is|was|or|and)){_VALUE}", rf"\1 {MASK}"
    ),
    # password: abc, "apitoken": "abc", API key provided: abc
    _rule(":", rf"({_NAME}{_QUOTE}?(?:\s+\w+){{0,2}}\s*:\s*){_VALUE}", rf"\1{MASK}"),
    # Any other assignment.
    _rule("=", rf"\b(?!{_HARMLESS}\s*=)([\w.-]+{_QUOTE}?\s*=>?\s*){_VALUE}", rf"\1{MASK}"),
    # password hunter2, the token is 'abc'
    _rule(
        "",
        rf"""({_NAME}\s+(?:(?:is|was|of|for)\s+)?)(?:{_QUOTE}[^"'`]+{_QUOTE}|[^\s\d]*\d\S*)""",
        rf"\1{MASK}",
    ),
)
#: Candidates for keys: long enough, and neither a timestamp nor an error code. A key has letters and digits.
_TOKEN = re.compile(
    r"(?<![\w.+/=~%-])(?![0-9-]{10}T[0-9]|[A-Z]{2,8}[-_]?[0-9]{1,8}(?![\w/]))[\w.+/=~%-]{12,}"
)


class Sealed:
    """A value that is sent in requests but never shown.

    ``repr()`` and ``str()`` return ``***``, so that neither a log line nor a traceback that prints local
    variables shows it. It cannot be pickled.

    :param value: the value to hide.
    :param public: the paths of leaves that are not secret, such as ``host`` or ``advanced.host``. A path
        names the keys from the top; the items of a list share the list's path.
    """

    __slots__ = ("_public", "_value")

    def __init__(self, value: Any, *, public: Iterable[str] = ()) -> None:
        self._value = value
        self._public = frozenset(public)

    def reveal(self) -> Any:
        """Return the value. Do not keep it in a local variable across calls that can fail."""
        return self._value

    def leaves(self) -> Iterator[Any]:
        """Yield every secret leaf of the nested dicts and lists."""
        return (leaf for path, leaf in _leaves(self._value) if path not in self._public)

    def paths(self) -> set[str]:
        """Return the paths of all leaves."""
        return {path for path, _ in _leaves(self._value)}

    def masked(self) -> Any:
        """Return a copy of the value in which every leaf is ``***``, unless it is public.

        A public leaf that contains a secret is masked as well.
        """
        secrets = secret_texts(self.leaves()) if self._public else []

        def shown(path: str, leaf: Any) -> Any:
            known = path in self._public and isinstance(leaf, (str, int, float, type(None)))
            # Unlike a message, a value need not stay readable: mask it for a short secret inside a word, too.
            return leaf if known and not any(secret in str(leaf) for secret in secrets) else MASK

        return _masked(self._value, shown)

    def has_key(self, name: str) -> bool:
        """Tell whether the value is a dict with a key of this name, in any case.

        :param name: the key in lower case.
        """
        return isinstance(self._value, Mapping) and any(str(key).lower() == name for key in self._value)

    def misspelt(self) -> dict[str, list[str]]:
        """Return the public paths that name no leaf but nearly do, each with the paths that it may mean."""
        leaves = [path for path, _ in _leaves(self._value)]
        secret = [path for path in leaves if path not in self._public]
        return {
            path: close
            for path in sorted(self._public.difference(leaves))
            if (
                close := [leaf for leaf in secret if leaf.startswith(f"{path}.") or leaf.endswith(f".{path}")]
                or difflib.get_close_matches(path, secret, cutoff=0.8)
            )
        }

    def keys_of(self, texts: Collection[str]) -> list[str]:
        """Return the keys of a dict whose values are among *texts*.

        :param texts: values as strings.
        """
        if not isinstance(self._value, Mapping):
            return []
        return [str(key) for key in self._value if str(self._value[key]).strip() in texts]

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Sealed) else NotImplemented

    def __hash__(self) -> int:
        # The value may be unhashable. One bucket is enough, since few are ever hashed.
        return hash(Sealed)

    def __deepcopy__(self, memo: dict[int, Any]) -> Sealed:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("sealed credentials cannot be pickled")


class HiddenBytes(bytes):
    """Bytes that an HTTP library can send, but that its debug output and tracebacks show as ``***``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __deepcopy__(self, memo: dict[int, Any]) -> HiddenBytes:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("hidden bytes cannot be pickled")


@overload
def seal(value: None, *, public: Iterable[str] = ()) -> None: ...
@overload
def seal(value: Any, *, public: Iterable[str] = ()) -> Sealed: ...
def seal(value: Any, *, public: Iterable[str] = ()) -> Sealed | None:
    """Wrap *value*, unless it is ``None`` or sealed already.

    :param value: a credential, or a dict or list of credentials.
    :param public: as for :class:`Sealed`.
    """
    return value if value is None or isinstance(value, Sealed) else Sealed(value, public=public)


def secret_texts(leaves: Iterator[Any]) -> list[str]:
    """Return every spelling in which *leaves* can appear, longest first.

    These are each leaf as it is, and as it is written in a URL, in JSON, by ``repr()`` and in HTML. Booleans
    and ``None`` reveal nothing and are left out.

    :param leaves: the leaves, as :meth:`Sealed.leaves` yields them.
    """
    texts = {spelling for text in _sent(leaves) for spelling in _spellings(text)}
    return sorted((text for text in texts if text.strip()), key=len, reverse=True)


def log_texts(leaves: Iterator[Any], *, shortest: int) -> list[str]:
    """Return the strings by which a log can show *leaves*, for Airflow's masker.

    These are each line of a leaf, or a whole leaf if its lines are too short, as it is and as JSON and
    ``repr()`` write it. Of a long leaf, these are the first lines only: the masker compares each line of the
    log with all of them.

    :param leaves: the leaves, as :meth:`Sealed.leaves` yields them.
    :param shortest: the length in characters below which the masker takes no string.
    """
    texts: dict[str, None] = {}
    for leaf in _sent(leaves):
        # Unlike splitlines(): logs and files have no other line ends.
        lines = re.split(r"[\r\n]+", leaf[:_MAX_LOGGED])[:_MAX_LOGGED_LINES]
        if all(len(line.strip()) < shortest for line in lines):
            lines = [leaf[:_MAX_LOGGED]]
        for line in lines:
            # Spellings of URLs and HTML, too, would make the masker several times slower.
            texts |= dict.fromkeys(_printed(line.strip(), whole=leaf))
    return [text for text in texts if len(text) >= shortest]


def redact(text: object, secrets: Sequence[str], *, limit: int = MAX_QUOTE) -> str:
    """Return *text* as one line of limited length, with every secret replaced by ``***``.

    :param text: a server's message.
    :param secrets: strings that must not be shown, longest first. A string under five characters is replaced
        only as a whole word, so that the message stays readable.
    :param limit: the length of the longest result, in characters.
    """
    shown = _without(secrets, str(text))
    shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
    # Joining two lines can complete a secret.
    shown = _without(secrets, shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def without_credentials(text: str, secrets: Sequence[str] = ()) -> str:
    """Return an app's message, shortened and with everything that looks like a credential replaced.

    Without *secrets*, what counts as a credential is a guess. The guess errs towards masking, but keeps a
    short password that looks like an ordinary word and has no name in front of it.

    :param text: an app's message, for example why it refused a login.
    :param secrets: strings that must not be shown, longest first.
    """
    # Remove secrets before shortening: a secret that was cut in two is not found.
    shown = _without(secrets, text)
    if len(shown) > _MAX_READ:
        shown = shown[:_MAX_READ].rpartition(" ")[0] + " …"
    for sign, pattern, left in _CREDENTIALS:
        if sign in shown:
            shown = pattern.sub(left, shown)
    return redact(_TOKEN.sub(_masked_token, shown), secrets, limit=_MAX_APP_QUOTE)


def _masked_token(match: re.Match[str]) -> str:
    token = match[0]
    mixed = any(c.isdigit() for c in token) and any(c.isalpha() for c in token)
    return MASK if mixed else token


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        if len(secret) >= 5:
            text = text.replace(secret, MASK)
        else:
            before = r"(?<!\w)" if re.match(r"\w", secret) else ""
            after = r"(?!\w)" if re.search(r"\w\Z", secret) else ""
            text = re.sub(before + re.escape(secret) + after, MASK, text)
    return text


def _sent(leaves: Iterator[Any]) -> Iterator[str]:
    """Yield the leaves that can be secret as JSON writes them: a subclass can print something else."""
    for leaf in leaves:
        if isinstance(leaf, str):
            yield str.__str__(leaf)
        elif isinstance(leaf, int) and not isinstance(leaf, bool):
            yield int.__repr__(leaf)
        elif isinstance(leaf, float):
            yield float.__repr__(leaf)
        elif leaf is not None and not isinstance(leaf, bool):
            yield str(leaf)


def _printed(text: str, *, whole: str) -> list[str]:
    # What repr() escapes depends on the quotes in the whole string.
    quotes = "".join(each for each in "'\"" if each in whole)
    in_repr = repr(quotes + text)[len(repr(quotes)) - 1 : -1]
    return [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], in_repr]


def _spellings(text: str) -> set[str]:
    # A lone surrogate cannot be encoded for a URL.
    raw = text.encode("utf-8", "replace")
    return {
        *_printed(text, whole=text),
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        html.escape(text),
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, _below(path, key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path, value


def _masked(value: Any, shown: Callable[[str, Any], Any], path: str = "") -> Any:
    if isinstance(value, Mapping):
        return {str(key): _masked(item, shown, _below(path, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item, shown, path) for item in value]
    return shown(path, value)


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
