"""Read a manifest: the connections that a team declares.

Every mistake is found before any call, and named with its file, line, entry and field.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.arguments import UNSET, UNSETTABLE, check_field, to_string
from airflow_provider_workato.client.calls import json_body
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.provisioning.manifest_text import (
    NOT_AN_ENTRY,
    UNREADABLE,
    Entry,
    read_entries,
)
from airflow_provider_workato.provisioning.spec import ConnectionSpec
from airflow_provider_workato.redaction import Sealed

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.provisioning.identity import Identity

#: What an entry may hold beside the fields of a connection.
_OWN = ("input", "input_from")

#: The fields of a connection that an entry may hold.
ENTRY_FIELDS = (
    "name",
    "provider",
    "folder_id",
    "parent_id",
    "external_id",
    "custom_oauth_profile_id",
    "shell_connection",
)

#: Those of them that must be strings.
_STRINGS = ("name", "provider", "external_id")

#: The fields of an Airflow connection from which a key of ``input`` may come, beside ``extra.<name>``.
SOURCES = ("login", "password", "host", "port", "schema")

_SOURCE = re.compile(rf"(?:{'|'.join(SOURCES)}|extra\.\S+)")

#: Names of keys whose values are credentials, after those that only look like it. The schema says the same.
_SECRET_NAME = re.compile(
    r"^(?!.*(?:url|uri|endpoint|type|_auth|key_id)$|(?:public|project)_?key$)"
    r".*(?:pass(?:word|phrase|wd|code)|secret|token|credential|cookie|authorization|(?:^|_)(?:pwd|pin|otp)$|key$"
    r"|^(?:header_pair|url_param)$)",
    re.IGNORECASE,
)
#: Values that are credentials, whatever the key: private keys, a password in a URL, an Authorization header.
_SECRET_VALUE = re.compile(
    r"[\s\S]*(?:-----BEGIN .*PRIVATE KEY|://[^/\s:@]*:[^/\s@]+@)|(?:bearer|basic) (?=\S*\d)\S+$",
    re.IGNORECASE,
)

#: The most mistakes that an error lists.
_LISTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The connections that a declared set is about. Nothing else is looked at or changed.

    :param folder_id: those in this folder.
    :param external_id_prefix: those whose external id begins like this.
    """

    folder_id: int | None = None
    external_id_prefix: str | None = None

    @classmethod
    def checked(cls, *, folder_id: object, external_id_prefix: object) -> Scope:
        """Return the scope that a caller gave.

        :param folder_id: an id, also as a string of digits, or ``None``.
        :param external_id_prefix: a string or ``None``.
        :raises WorkatoConfigurationError: if one is not valid, or if both or neither are given.
        """
        number = check_field("folder_id", folder_id)
        prefix = external_id_prefix
        if prefix is not None:
            prefix = to_string(prefix, what="external_id_prefix")
        if (number is None) == (prefix is None):
            raise WorkatoConfigurationError(
                "Give either folder_id or external_id_prefix: which connections the set is about."
            )
        return cls(folder_id=number, external_id_prefix=prefix)

    def holds(self, row: WorkatoConnection) -> bool:
        """Tell whether a connection belongs to the scope.

        :param row: a connection of the list.
        """
        if self.folder_id is not None:
            return bool(row.get("folder_id") == self.folder_id)
        return str(row.get("external_id") or "").startswith(self.external_id_prefix or "")

    def may_hold(self, row: WorkatoConnection) -> bool:
        """Tell whether a connection belongs to the scope, or does not show whether it does.

        :param row: a connection of the list.
        """
        return ("external_id" if self.folder_id is None else "folder_id") not in row or self.holds(row)

    def problem(self, values: Mapping[str, Any]) -> str | None:
        """Return why an entry is not in the scope, ``None`` if it is.

        :param values: the fields of the entry.
        """
        if self.folder_id is not None:
            given = values.get("folder_id", self.folder_id)
            return None if given == self.folder_id else f"folder_id {given} is not that of the set, {self}."
        if str(values.get("external_id") or "").startswith(self.external_id_prefix or ""):
            return None
        return f"external_id must begin with {self.external_id_prefix!r}, like all of the set."

    def __str__(self) -> str:
        if self.folder_id is not None:
            return f"folder {self.folder_id}"
        return f"external ids that begin with {self.external_id_prefix!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an entry's credentials come from.

    :param conn_id: the Airflow connection.
    :param keys: the field of the Airflow connection for each key of ``input``.
    """

    conn_id: str
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One connection that a manifest declares.

    :param place: where the entry stands, such as ``connections.yaml, line 12 (entry 3)``.
    :param spec: its fields, at first without credentials.
    :param input: the keys of ``input`` that are not secret, with their values.
    :param source: where the others come from; ``None`` if a person authorizes the connection.
    :param problem: why its credentials cannot be had.
    """

    place: str
    spec: ConnectionSpec
    input: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None
    problem: str = ""


def read_manifest(
    manifest: str | Sequence[Mapping[str, Any]], *, scope: Scope, file: str = ""
) -> list[Declared]:
    """Read and check a manifest.

    :param manifest: the text of a YAML or JSON file, which holds a list of entries, alone or under the key
        ``connections``; or the list itself.
    :param scope: what the set is about. An entry without a folder gets the scope's.
    :param file: the file's name, for errors.
    :raises WorkatoConfigurationError: naming every mistake.
    """
    mistakes: list[str] = []
    entries = (
        read_entries(manifest, file=file, mistakes=mistakes)
        if isinstance(manifest, str)
        else _entries_of(manifest)
    )
    declared = [each for entry in entries if (each := _declared(entry, mistakes, scope)) is not None]
    mistakes += _twice(declared)
    if mistakes:
        raise _error(mistakes)
    return declared


def _entries_of(given: object) -> list[Entry]:
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise WorkatoConfigurationError(
            f"connections must be the path of a manifest or a list of dicts, not {type(given).__name__}."
        )
    return [
        Entry(place=place, pairs=[(key, value, place) for key, value in entry.items()])
        if isinstance(entry, Mapping)
        else Entry(place=place, mistakes=[f"{place}: {NOT_AN_ENTRY}"])
        for number, entry in enumerate(given, start=1)
        for place in [f"entry {number}"]
    ]


def _declared(entry: Entry, mistakes: list[str], scope: Scope) -> Declared | None:
    """Check an entry; add what is wrong with it to *mistakes*."""
    before = len(mistakes)
    mistakes += entry.mistakes
    #: The fields that are there, ``UNREADABLE`` those with a mistake.
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for key, value, place in entry.pairs:
        if key not in (*ENTRY_FIELDS, *_OWN, "<<"):
            meant, hint = _meant(str(key))
            mistakes.append(f"{place}: no field {str(key)[:80]!r}.{hint}")
            values.setdefault(meant, UNREADABLE)
            continue
        places[key] = place
        problems: list[str] = []
        values[key] = value if value is UNREADABLE else _checked(key, value, problems)
        mistakes += [f"{place}: {problem}" for problem in problems]
    if entry.pairs or not entry.mistakes:
        mistakes += [f"{places.get(name, entry.place)}: {problem}" for name, problem in _unfit(values, scope)]
    if len(mistakes) > before:
        return None
    public, source = (values.pop(name, None) for name in _OWN)
    if scope.folder_id is not None:
        values["folder_id"] = scope.folder_id
    spec = ConnectionSpec.checked(**values)
    return Declared(place=entry.place, spec=spec, input=public or {}, source=source)


def _meant(name: str) -> tuple[str, str]:
    """Return the field that a name may mean, and what to say of it."""
    close = difflib.get_close_matches(name, [*ENTRY_FIELDS, *_OWN], n=1)
    if close:
        return close[0], f" Did you mean {close[0]!r}?"
    hint = f" There are {', '.join((*ENTRY_FIELDS, *_OWN))}."
    if _is_secret(name, ""):
        hint = " Credentials belong in an Airflow connection, which input_from names."
    return name, hint


def _unfit(values: Mapping[str, Any], scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield what an entry lacks, and what does not fit together, each with the field that it is about."""
    for name in ("name", "provider"):
        # What `<<` should have brought is not known.
        if name not in values and "<<" not in values:
            yield "", f"{name} is missing."
    decides = "external_id" if scope.folder_id is None else "folder_id"
    if values.get(decides) is not UNREADABLE and (problem := scope.problem(values)):
        yield decides, problem
    public, source = (values.get(name) for name in _OWN)
    if isinstance(source, Source) and isinstance(public, Mapping):
        # Also as a path: of a key "a.b" and a key "b" in "a", one would be taken for the other.
        for key in sorted(source.keys.keys() & (public.keys() | Sealed(public).paths())):
            yield "input_from", f"input and input_from both give {key}."


def _checked(name: str, value: object, problems: list[str]) -> object:
    """Return the value of a field; or add what is wrong with it to *problems*."""
    try:
        if value is None or (isinstance(value, str) and not value.strip()) or value == {}:
            hint = f", or write {UNSET!r} if there is to be none" if name in UNSETTABLE else ""
            problems.append(f"{name} is empty: give it a value, or leave it out{hint}.")
        elif name == "input":
            return _public_input(value, problems)
        elif name == "input_from":
            return _source(value, problems)
        elif name in _STRINGS and isinstance(value, (bool, int, float)):
            kind = "boolean" if isinstance(value, bool) else "number"
            problems.append(f"{name} must be a string, not a {kind}: put it into quotes.")
        else:
            return value if name in UNSETTABLE and value == UNSET else check_field(name, value)
    except WorkatoConfigurationError as error:
        problems.append(str(error))
    return UNREADABLE


def _public_input(value: object, problems: list[str]) -> object:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        problems.append("input must hold keys and values, such as {host_name: acme}.")
        return UNREADABLE
    problems += _problems(value, "input")
    json_body({"input": value})
    return value


def _problems(value: object, path: str, key: str = "") -> Iterator[str]:
    """Yield what must not stand in ``input``."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _problems(item, f"{path}.{name}", str(name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _problems(item, path, key)
    elif value is None:
        yield f"{path} is empty: give it a value, or leave it out."
    elif _is_secret(key, value):
        yield (
            f"{path} looks like a credential, and a manifest must hold none. Put it into an Airflow "
            "connection, and name that under input_from."
        )


def _is_secret(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return False
    return bool(_SECRET_NAME.search(key) or (isinstance(value, str) and _SECRET_VALUE.match(value)))


def _source(value: object, problems: list[str]) -> object:
    if not isinstance(value, Mapping) or value.keys() != {"conn_id", "keys"}:
        problems.append(
            "input_from must have conn_id, an Airflow connection, and keys: for each key of input, the field "
            "of that connection, such as {apitoken: password}."
        )
        return UNREADABLE
    keys = value["keys"]
    if not isinstance(keys, Mapping) or not keys or not all(isinstance(key, str) for key in keys):
        problems.append(
            "input_from.keys must hold keys of input, each with a field of the Airflow connection, such as "
            "{apitoken: password}."
        )
        keys = {}
    for key, source in keys.items():
        if not isinstance(source, str) or not _SOURCE.fullmatch(source):
            problems.append(
                f"input_from.keys.{key} must be a field of the Airflow connection: {', '.join(SOURCES)} or "
                "extra.<name>."
            )
    return Source(conn_id=to_string(value["conn_id"], what="input_from.conn_id"), keys=dict(keys))


def _twice(declared: Sequence[Declared]) -> Iterator[str]:
    """Yield which entries could mean one connection."""
    by_key: dict[tuple[object, ...], list[int]] = defaultdict(list)
    identities = [each.spec.identity() for each in declared]
    for number, identity in enumerate(identities):
        by_key[_bucket(identity)].append(number)
    found: dict[tuple[int, int], int] = {}
    for number, identity in enumerate(identities):
        # Without an external id, another entry could find the connection by its name.
        buckets = {_bucket(identity), _bucket(replace(identity, external_id=None))}
        others = [other for bucket in buckets for other in by_key.get(bucket, ()) if other != number]
        if others:
            row = {"id": 0, **declared[number].spec.payload()}
            found.update(
                ((max(number, other), min(number, other)), other)
                for other in others
                if identities[other].matches(row)
            )
    for (second, first), finder in sorted(found.items()):
        advice = "" if identities[finder].external_id else " Give each an external_id, or another name."
        yield (
            f"{declared[second].place}: the same connection ({identities[finder]}) as "
            f"{declared[first].place}.{advice}"
        )


def _bucket(identity: Identity) -> tuple[object, ...]:
    """Return what is equal for all identities that could mean the same connection."""
    return (
        identity.key,
        identity.provider,
        identity.parent_id if identity.external_id is None else None,
    )


def _error(mistakes: Sequence[str]) -> WorkatoConfigurationError:
    shown = "\n".join(f"- {mistake}" for mistake in mistakes[:_LISTED])
    more = f"\n- … and {len(mistakes) - _LISTED} more" if len(mistakes) > _LISTED else ""
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return WorkatoConfigurationError(f"The manifest has {count}; nothing was sent:\n{shown}{more}")
