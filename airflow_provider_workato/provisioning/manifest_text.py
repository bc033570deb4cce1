"""Read the text of a manifest: its entries, and the line of each key.

JSON is read as JSON: YAML takes some of it for something else, such as an emoji as ``json.dumps`` writes it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from airflow_provider_workato.exceptions import WorkatoConfigurationError

if TYPE_CHECKING:
    import yaml

#: Stands for a value with a mistake that is known already.
UNREADABLE: Final = object()

_YAML_TAG = "tag:yaml.org,2002:"
_BLANKS = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry before its fields are checked.

    :param place: where it stands, such as ``connections.yaml, line 12 (entry 3)``.
    :param pairs: its keys and values, each with the place where the key stands.
    :param mistakes: what is wrong with its text.
    """

    place: str
    pairs: Sequence[tuple[object, Any, str]] = ()
    mistakes: Sequence[str] = ()


def read_entries(text: str, *, file: str, mistakes: list[str]) -> list[Entry]:
    """Return the entries of a YAML or JSON file.

    :param text: the file's text.
    :param file: the file's name, for errors. A name in ``.json`` tells that it is not YAML.
    :param mistakes: receives what is wrong outside of the entries.
    :raises WorkatoConfigurationError: if there is no list of entries.
    """
    file = file or "manifest"
    try:
        root = _parsed(text.removeprefix("\ufeff"), file)
        listed = _listed(root, file, mistakes) if isinstance(root, _Mapping) else root
        if isinstance(listed, _List):
            return [
                _entry(item, file=file, number=number) for number, item in enumerate(listed.items, start=1)
            ]
    except RecursionError:
        raise _unreadable(f"{file} is nested too deeply, or a part of it contains itself.") from None
    raise WorkatoConfigurationError(
        f"{file} must hold a list of connections, alone or under the key 'connections', if only an empty "
        "one: []. Nothing was sent."
    )


def _listed(root: _Mapping, file: str, mistakes: list[str]) -> _Node | None:
    """Return what stands under the key ``connections``."""
    found: _Node | None = None
    for key, value in root.pairs:
        name = _key(key)
        if name == "connections" and found is None:
            found = value
        elif name == "connections":
            mistakes.append(f"{file}, line {key.line}: connections is there twice.")
        elif name is None or not (name == "$schema" or name.startswith("x-")):
            # Not ignored: what it holds may be meant to be declared, and would count as orphans.
            mistakes.append(
                f"{file}, line {key.line}: no key {str(name)[:80]!r}. Beside connections, there are only "
                "those that begin with x-, for anchors."
            )
    return found


def _entry(node: _Node, *, file: str, number: int) -> Entry:
    mistakes: list[str] = []

    def place(line: int) -> str:
        return f"{file}, line {line} (entry {number})"

    def report(line: int, mistake: str) -> None:
        mistakes.append(f"{place(line)}: {mistake}")

    pairs: list[tuple[object, Any, str]] = []
    if isinstance(node, _Mapping):
        for name, value, line in _distinct(node, "", report):
            before = len(mistakes)
            plain = _plain(value, name, report)
            pairs.append((name, plain if len(mistakes) == before else UNREADABLE, place(line)))
    else:
        report(node.line, NOT_AN_ENTRY)
    return Entry(place=place(node.line), pairs=pairs, mistakes=mistakes)


#: What is said of an entry that has no fields.
NOT_AN_ENTRY = "an entry must have fields, such as name and provider."


@dataclass(slots=True)
class _Scalar:
    """A string, number, boolean or null.

    :param line: the line on which it begins.
    :param value: what it is.
    :param problem: why it cannot be read.
    """

    line: int
    value: Any
    problem: str = ""


@dataclass(slots=True)
class _List:
    """A list.

    :param line: the line on which it begins.
    :param items: its items, once: of a long file, only one entry is kept at a time.
    """

    line: int
    items: Iterable[_Node]


@dataclass(slots=True)
class _Mapping:
    """A mapping, whose keys may be there more than once.

    :param line: the line on which it begins.
    :param pairs: its keys and values.
    """

    line: int
    pairs: Sequence[tuple[_Node, _Node]]


_Node: TypeAlias = "_Scalar | _List | _Mapping"


def _key(node: _Node) -> str | None:
    """Return a key, ``None`` if it is not a string."""
    return node.value if isinstance(node, _Scalar) and isinstance(node.value, str) else None


def _distinct(node: _Mapping, path: str, report: Any) -> Iterator[tuple[str, _Node, int]]:
    """Yield each key once, with its value and line; report the others."""
    seen = set()
    for key, value in node.pairs:
        name = _key(key)
        if name is None:
            report(key.line, f"a key{path and f' of {path}'} must be a string: put it into quotes.")
        elif name in seen:
            report(key.line, f"{path and f'{path}.'}{name} is there twice.")
        else:
            seen.add(name)
            yield name, value, key.line


def _plain(node: _Node, path: str, report: Any) -> Any:
    """Return the value of a node; report what is wrong in it."""
    if isinstance(node, _Mapping):
        return {
            name: _plain(value, f"{path}.{name}", report) for name, value, _ in _distinct(node, path, report)
        }
    if isinstance(node, _List):
        return [_plain(item, path, report) for item in node.items]
    if node.problem:
        report(node.line, f"{path}: {node.problem}")
    return node.value


def _parsed(text: str, file: str) -> _Node:
    """Return the root of a file."""
    import yaml

    try:
        return _Json(text).root()
    except json.JSONDecodeError as error:
        if file.endswith(".json"):
            raise _unreadable(f"{file}, line {error.lineno}: not JSON: {error.msg}.") from None
    except ValueError:
        raise _unreadable(f"{file} has a number that is too long.") from None
    try:
        # In C where there is one: ten times as fast.
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _Scalar(1, None) if root is None else _from_yaml(root)
    except yaml.YAMLError as error:
        problem = _yaml_problem(error, text)
    raise _unreadable(f"{file}{problem}.")


def _unreadable(problem: str) -> WorkatoConfigurationError:
    return WorkatoConfigurationError(f"{problem} Correct the manifest; nothing was sent.")


class _Json:
    """A reader of JSON that knows the lines.

    :param text: the text.
    :raises ValueError: if it is not JSON.
    """

    def __init__(self, text: str) -> None:
        # From here on it is known to be JSON.
        json.loads(text)
        self._text = text
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._decode = json.JSONDecoder().raw_decode

    def root(self) -> _Node:
        """Return the root."""
        return self._node(self._after_blanks(0))[0]

    def _node(self, at: int) -> tuple[_Node, int]:
        """Return what begins at an index, and where what comes after it does."""
        line, opening = bisect_left(self._ends, at) + 1, self._text[at]
        if opening not in "[{":
            value, at = self._decode(self._text, at)
            return _Scalar(line, value), self._after_blanks(at)
        items: list[_Node] = []
        at = self._after_blanks(at + 1)
        while self._text[at] not in "]}":
            item, at = self._node(at)
            items.append(item)
            if self._text[at] in ",:":
                at = self._after_blanks(at + 1)
        at = self._after_blanks(at + 1)
        if opening == "[":
            return _List(line, items), at
        return _Mapping(line, list(zip(items[::2], items[1::2], strict=True))), at

    def _after_blanks(self, at: int) -> int:
        found = _BLANKS.match(self._text, at)
        return found.end() if found else at


def _from_yaml(node: yaml.Node) -> _Node:
    import yaml

    line = node.start_mark.line + 1
    if not node.tag.startswith(_YAML_TAG):
        return _Scalar(line, UNREADABLE, "put it into quotes: it begins with an exclamation mark.")
    if isinstance(node, yaml.SequenceNode):
        return _List(line, map(_from_yaml, node.value))
    if isinstance(node, yaml.MappingNode):
        return _Mapping(line, list(_pairs(node)))
    return _scalar(node, line)


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[_Node, _Node]]:
    """Yield the keys and values of a mapping, after its own those of ``<<`` that it does not replace."""
    merge = f"{_YAML_TAG}merge"
    own = [(_from_yaml(key), _from_yaml(value)) for key, value in node.value if key.tag != merge]
    yield from own
    names = {_key(key) for key, _ in own}
    for merged in (_from_yaml(value) for key, value in node.value if key.tag == merge):
        for each in merged.items if isinstance(merged, _List) else [merged]:
            if not isinstance(each, _Mapping):
                problem = "must name a mapping, such as *defaults."
                yield _Scalar(each.line, "<<"), _Scalar(each.line, UNREADABLE, problem)
                continue
            yield from ((key, value) for key, value in each.pairs if _key(key) not in names)
            names |= {_key(key) for key, _ in each.pairs}


def _scalar(node: yaml.Node, line: int) -> _Scalar:
    """Return a scalar. What YAML reads otherwise than it is written, such as 0123 or 1.10, is a problem."""
    text, kind = str(node.value), node.tag.removeprefix(_YAML_TAG)
    if kind == "str":
        return _Scalar(line, text)
    if kind == "null":
        return _Scalar(line, None)
    if kind == "bool" and text.lower() in ("true", "false"):
        return _Scalar(line, text.lower() == "true")
    with suppress(ValueError):
        number = {"int": int, "float": float}.get(kind, lambda _: None)(text)
        if str(number) == text:
            return _Scalar(line, number)
    problem = "put it into quotes; YAML does not read it as it is written."
    if kind == "bool":
        problem = "write true or false, or put it into quotes."
    return _Scalar(line, UNREADABLE, problem)


def _yaml_problem(error: yaml.YAMLError, text: str) -> str:
    """Return where and why a text is not YAML, without what stands there: it can be a credential."""
    import yaml

    if isinstance(error, yaml.reader.ReaderError):
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        return f", line {line}: a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not YAML"
    if problem == "but found another document":
        problem = "a second document begins here, and a manifest is one"
    # libyaml quotes nothing. PyYAML's own parser quotes names and single characters.
    problem = re.sub(r" '[^'<][^']+'", "", problem)
    return f"{f', line {mark.line + 1}' if mark else ''}: {problem}"
