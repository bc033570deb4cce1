"""What a declared set would change: one list of connections beside the manifest."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from airflow_provider_workato.arguments import is_stored_form
from airflow_provider_workato.authorization import State, state_of, status_text
from airflow_provider_workato.exceptions import WorkatoError
from airflow_provider_workato.provisioning.create_once import only_match
from airflow_provider_workato.provisioning.credentials import with_credentials
from airflow_provider_workato.provisioning.fingerprints import Fingerprints
from airflow_provider_workato.provisioning.locks import CreateCounter
from airflow_provider_workato.provisioning.search import SetSearch
from airflow_provider_workato.redaction import Sealed, redact

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.client.transport import Transport
    from airflow_provider_workato.provisioning.manifest import Declared, Scope

Action: TypeAlias = Literal["create", "update", "authenticate", "unchanged", "orphan", "conflict", "invalid"]
ACTIONS: tuple[Action, ...] = get_args(Action)

#: The longest name in a plan's table, in characters, and the most rows.
_WIDEST = 60
_MOST = 500

#: Fields that a list never shows, or that cannot change.
_NOT_COMPARED = frozenset({"provider", "shell_connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a plan says of one connection.

    :param action: what is to be done.
    :param name: its name, as declared, or as it is for an orphan.
    :param provider: its app.
    :param row: the connection as Workato lists it, ``None`` if it does not exist.
    :param fields: the old and the new value of each field that differs.
    :param reason: why.
    :param declared: the entry, ``None`` for an orphan.
    :param is_settled: whether it is an orphan for which nothing is left to do.
    """

    action: Action
    name: str
    provider: str
    row: WorkatoConnection | None = None
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    reason: str = ""
    declared: Declared | None = None
    is_settled: bool = False

    @property
    def connection_id(self) -> int | None:
        """The connection, ``None`` if it does not exist."""
        return None if self.row is None else int(self.row["id"])

    def details(self) -> str:
        """Return what differs and why, for people."""
        said = [f"{name}: {old!r} -> {new!r}" for name, (old, new) in self.fields.items()]
        return "; ".join([*said, self.reason] if self.reason else said)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values, without credentials."""
        return {
            "action": self.action,
            "name": self.name,
            "provider": self.provider,
            "connection_id": self.connection_id,
            "fields": {name: list(values) for name, values in self.fields.items()},
            "reason": self.reason,
            "declared_at": self.declared.place if self.declared else None,
        }


#: How a plan marks what it would do.
_MARKS: Mapping[Action, str] = {
    "create": "+",
    "update": "~",
    "authenticate": "~",
    "unchanged": " ",
    "orphan": "-",
    "conflict": "!",
    "invalid": "!",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a declared set would change.

    :param scope: what the set is about.
    :param changes: one for each entry, in the manifest's order, and one for each orphan.
    """

    scope: Scope
    changes: Sequence[Change]

    @property
    def has_drift(self) -> bool:
        """Whether anything is not as declared. An orphan that was disconnected on purpose is no drift."""
        return any(change.action != "unchanged" and not change.is_settled for change in self.changes)

    def count(self, action: Action) -> int:
        """Return how many changes there are of a kind.

        :param action: the kind.
        """
        return sum(change.action == action for change in self.changes)

    def of(self, *actions: Action) -> list[Change]:
        """Return the changes of some kinds.

        :param actions: the kinds.
        """
        return [change for change in self.changes if change.action in actions]

    def as_data(self) -> dict[str, Any]:
        """Return the plan as JSON values, without credentials."""
        return {
            "drift": self.has_drift,
            "counts": {action: self.count(action) for action in ACTIONS},
            "changes": [change.as_data() for change in self.changes],
        }

    def text(self) -> str:
        """Return the plan as a table for people. What is authorized and unchanged is only counted."""
        counts = ", ".join(f"{count} {action}" for action in ACTIONS if (count := self.count(action)))
        shown = [change for change in self.changes if change.action != "unchanged" or change.reason]
        rows = [
            (
                _MARKS[change.action],
                change.action,
                redact(change.name, [], limit=_WIDEST),
                redact(change.provider, [], limit=_WIDEST),
                "" if change.connection_id is None else str(change.connection_id),
                change.details(),
            )
            for change in shown[:_MOST]
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if len(shown) > _MOST:
            table.append(f"… and {len(shown) - _MOST} more.")
        return "\n".join([f"Plan for {self.scope}: {counts or 'nothing declared'}.", *table])


def plan_changes(
    declared: Sequence[Declared],
    rows: Iterable[WorkatoConnection],
    *,
    scope: Scope,
    sends: Callable[[Declared], str | None],
    orphans_are: Callable[[WorkatoConnection], tuple[str, bool]] = lambda _: ("not declared", False),
) -> Plan:
    """Compare a declared set with the connections that exist.

    :param declared: the entries, all inside *scope*.
    :param rows: all connections of the workspace.
    :param scope: what the set is about.
    :param sends: tells why the credentials of an entry are to be sent to an authorized connection, ``None``
        if they are not.
    :param orphans_are: tells what the plan says of a connection that is not declared, and whether
        nothing is left to do.
    :raises WorkatoResponseError: if a connection lacks the name or external id that decides.
    """
    index = _Index(declared, (row for row in rows if scope.may_hold(row)))
    owned: dict[int, Declared] = {}
    changes = [_change(entry, index, owned, sends) for entry in declared]
    changes = [_unless_named(change, index, owned) for change in changes]
    orphans = [
        _orphan(row, orphans_are(row)) for row in index.rows if row["id"] not in owned and scope.holds(row)
    ]
    return Plan(scope=scope, changes=[*changes, *orphans])


class _Index:
    """The connections of the scope by the text that decides, so that thousands of entries find theirs.

    :param declared: the entries.
    :param rows: the connections.
    """

    def __init__(self, declared: Sequence[Declared], rows: Iterable[WorkatoConnection]) -> None:
        self.rows = list(rows)
        # A connection that does not show the text could be any: the identity refuses it.
        self._found: dict[str, dict[str | None, list[WorkatoConnection]]] = {
            "name": {None: []},
            "external_id": {None: []},
        }
        self.without_external_id: dict[str, list[WorkatoConnection]] = {}
        for row in self.rows:
            if not row.get("external_id") and isinstance(row.get("name"), str):
                self.without_external_id.setdefault(_folded(row["name"]), []).append(row)
        for entry in declared:
            decides, wanted = _decides(entry)
            self._found[decides].setdefault(wanted, [])
        for name, found in self._found.items():
            for row in self.rows if len(found) > 1 else ():
                shown = row.get(name, _UNSHOWN)
                text: str | None = _folded(shown) if isinstance(shown, str) else ""
                if shown is _UNSHOWN:
                    text = None
                if text in found:
                    found[text].append(row)

    def among(self, entry: Declared) -> list[WorkatoConnection]:
        """Return the connections that an entry means.

        :param entry: the entry.
        """
        decides, text = _decides(entry)
        found = self._found[decides]
        return entry.spec.identity().among([*found[text], *found[None]])


#: Stands for a key that a row lacks.
_UNSHOWN: Any = object()


def _decides(entry: Declared) -> tuple[str, str]:
    """Return the field that decides which connection an entry means, and its text."""
    spec = entry.spec
    is_named = spec.external_id is None
    return "name" if is_named else "external_id", _folded((spec.name if is_named else spec.external_id) or "")


def _folded(text: str) -> str:
    """Return what all forms have in common in which a server may store a text."""
    folded = text.strip()
    return (folded if folded.isascii() else unicodedata.normalize("NFC", folded))[:255]


def _change(
    entry: Declared,
    index: _Index,
    owned: dict[int, Declared],
    sends: Callable[[Declared], str | None],
) -> Change:
    matches = index.among(entry)
    owners = [owned.setdefault(match["id"], entry) for match in matches]
    if entry.problem:
        return _of_entry(entry, "invalid", *matches[:1], reason=entry.problem)
    if not matches:
        return _of_entry(entry, "create")
    try:
        row = only_match(matches, entry.spec.identity())
    except WorkatoError as error:
        return _of_entry(entry, "conflict", reason=str(error))
    if owners[0] is not entry:
        return _of_entry(entry, "conflict", row, reason=f"{owners[0].place} means it, too")
    fields = _differing(entry, row)
    if entry.spec.credentials is not None and (reason := _state(row) or sends(entry)):
        return _of_entry(entry, "authenticate", row, fields=fields, reason=reason)
    return _of_entry(entry, "update" if fields else "unchanged", row, fields=fields, reason=_state(row))


def _unless_named(change: Change, index: _Index, owned: dict[int, Declared]) -> Change:
    """Return the change, or a conflict if a connection without an external id has the name of a new one.

    It is probably the one meant, from before the manifest had external ids. Another would be created, and it
    would be an orphan.
    """
    entry = change.declared
    if change.action != "create" or entry is None or entry.spec.external_id is None:
        return change
    identity = replace(entry.spec.identity(), external_id=None)
    for row in index.without_external_id.get(_folded(entry.spec.name or ""), ()):
        if row["id"] not in owned and identity.matches(row):
            owned[row["id"]] = entry
            return replace(
                change,
                action="conflict",
                row=row,
                reason=f"connection {row['id']} has this name, and no external_id: if it is the one meant, "
                "give it this external_id; if not, another name",
            )
    return change


def _state(row: WorkatoConnection) -> str:
    return "" if state_of(row) is State.AUTHORIZED else status_text(row)


def _differing(entry: Declared, row: WorkatoConnection) -> dict[str, tuple[Any, Any]]:
    """Return the fields that are not as declared, old and new. A key that is not shown counts as equal."""
    return {
        name: (row[name], value)
        for name, value in entry.spec.changes().items()
        if name not in _NOT_COMPARED
        and name in row
        and row[name] != value
        and not (isinstance(value, str) and is_stored_form(str(row[name]), value))
    }


def _of_entry(entry: Declared, action: Action, row: WorkatoConnection | None = None, **said: Any) -> Change:
    return Change(
        action=action,
        name=entry.spec.name or "",
        provider=entry.spec.provider or "",
        row=row,
        declared=entry,
        **said,
    )


def _orphan(row: WorkatoConnection, said: tuple[str, bool]) -> Change:
    reason, is_settled = said
    return Change(
        action="orphan",
        name=str(row.get("name") or ""),
        provider=str(row.get("provider") or ""),
        row=row,
        reason=reason,
        is_settled=is_settled,
    )


class DeclaredSet:
    """The connections that a team declares, and what Workato lists.

    :param transport: sends the calls.
    :param entries: the entries of the manifest.
    :param scope: what the set is about.
    """

    def __init__(self, transport: Transport, entries: Sequence[Declared], scope: Scope) -> None:
        workspace, conn_id = transport.settings.base_url, transport.settings.conn_id
        self.entries = with_credentials(entries)
        self.fingerprints = Fingerprints(workspace, conn_id, scope)
        self.search = SetSearch(
            transport=transport,
            filters={},
            secrets=Sealed(
                [leaf for each in self.entries if (own := each.spec.credentials) for leaf in own.leaves()]
            ),
            counter=CreateCounter(workspace.lower()),
        )
        self._scope = scope

    def plan(
        self,
        *,
        reauthenticate: bool,
        orphans_are: Callable[[WorkatoConnection], tuple[str, bool]] = lambda _: ("not declared", False),
    ) -> Plan:
        """Compare them, with one list call.

        :param reauthenticate: send all credentials again.
        :param orphans_are: tells what the plan says of a connection that is not declared, and whether
            nothing is left to do.
        :raises WorkatoError: if the call fails.
        """
        return plan_changes(
            self.entries,
            self.search.first(),
            scope=self._scope,
            sends=(lambda _: "reauthenticate is set") if reauthenticate else self.fingerprints.reason_to_send,
            orphans_are=orphans_are,
        )
