"""Carry out a plan: one connection after the other, each exactly once, and none held up by another."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from airflow_provider_workato.arguments import one_of
from airflow_provider_workato.authorization import State, state_of, status_text
from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoRateLimitError,
    WorkatoTLSError,
    WorkatoTransportError,
)
from airflow_provider_workato.provisioning.create_once import Provisioning
from airflow_provider_workato.provisioning.record import Record
from airflow_provider_workato.wait import duration_text

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.client.transport import Transport
    from airflow_provider_workato.provisioning.fingerprints import Fingerprints
    from airflow_provider_workato.provisioning.plan import Change, Plan
    from airflow_provider_workato.provisioning.record import Outcome
    from airflow_provider_workato.provisioning.search import SetSearch

log = logging.getLogger(__name__)

Prune: TypeAlias = Literal["report", "disconnect", "delete"]
PRUNE: tuple[Prune, ...] = get_args(Prune)

#: Seconds between two lines about the progress.
_PROGRESS = 10.0

#: What the result of an orphan says.
REMOVED: Mapping[str, str] = {"report": "reported", "disconnect": "disconnected", "delete": "deleted"}


def is_removed(row: WorkatoConnection, *, prune: Prune) -> bool:
    """Tell whether something is done to an orphan. One without a status has nothing to disconnect.

    :param row: the connection.
    :param prune: what happens to orphans.
    """
    return prune == "delete" or (prune == "disconnect" and row.get("authorization_status") is not None)


def orphan_text(row: WorkatoConnection, *, prune: Prune) -> tuple[str, bool]:
    """Return what a plan says of an orphan, and whether nothing is left to do.

    :param row: the connection.
    :param prune: what happens to orphans.
    """
    if is_removed(row, prune=prune):
        return f"not declared; will be {REMOVED[prune]}", False
    return ("not declared", False) if prune == "report" else ("not declared; disconnected", True)


def check_prune(plan: Plan, *, prune: Prune, limit: int | None) -> None:
    """Check that a manifest that lost most of its entries does not remove what they declared.

    :param plan: the plan.
    :param prune: what happens to orphans.
    :param limit: how many may go; ``None`` for a fifth of the scope, but at least one.
    :raises WorkatoConfigurationError: naming what would go.
    """
    one_of(prune, PRUNE, what="prune")
    orphans = _removed(plan, prune)
    if not orphans:
        return
    existing = sum(change.connection_id is not None for change in plan.changes)
    allowed = max(1, existing // 5) if limit is None else limit
    declares_nothing = all(change.action == "orphan" for change in plan.changes)
    if len(orphans) <= allowed and not declares_nothing:
        return
    named = ", ".join(f"{change.connection_id} ({change.name!r})" for change in orphans[:20])
    more = f" and {len(orphans) - 20} more" if len(orphans) > 20 else ""
    raise WorkatoConfigurationError(
        f"prune={prune!r} would {prune} {len(orphans)} of the {existing} connections of {plan.scope}, "
        + (
            "and the manifest declares none"
            if declares_nothing
            else f"more than prune_limit allows ({allowed})"
        )
        + f": {named}{more}. Nothing was changed. Check that the manifest is whole"
        + ("." if declares_nothing else f"; if it is, set prune_limit={len(orphans)} for this run.")
    )


def _removed(plan: Plan, prune: Prune) -> list[Change]:
    return [change for change in plan.of("orphan") if change.row and is_removed(change.row, prune=prune)]


class SetRecord(Record):
    """The record of one create of a set, which remembers what it was told last.

    :param state: where its tries are recorded.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self.row: WorkatoConnection | None = None
        self.outcome: Outcome | None = None

    def read(self) -> dict[str, Any]:
        """Return the latest record."""
        return self._state.read() if self._state else {}

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record.

        :param record: JSON values only, without credentials.
        """
        if self._state:
            self._state.write(record)

    def known(self, connection: WorkatoConnection, *, outcome: Outcome) -> None:
        """Remember the connection.

        :param connection: the connection.
        :param outcome: what was done to it.
        """
        self.row, self.outcome = connection, outcome


@dataclass(slots=True, kw_only=True)
class Apply:
    """Carry out a plan.

    :param plan: the plan.
    :param transport: sends the calls.
    :param search: the list on which the plan is based.
    :param fingerprints: which credentials were sent.
    :param state_of_tries: returns where the tries of a create are recorded, by a key of its own.
    :param remove: disconnects or deletes an orphan; ``None`` to leave it as it is.
    :param prune: what it does.
    :param report: receives the results, as each is known.
    """

    plan: Plan
    transport: Transport
    search: SetSearch
    fingerprints: Fingerprints
    state_of_tries: Callable[[str], Any] = lambda _: None
    remove: Callable[[int], Mapping[str, Any]] | None = None
    prune: Prune = "report"
    report: Callable[[Sequence[dict[str, Any]]], None] = lambda _: None
    _results: dict[int, dict[str, Any]] = field(init=False, default_factory=dict)
    #: What is declared and exists, but is not authorized.
    unauthorized: list[WorkatoConnection] = field(init=False, default_factory=list)
    #: Changes of connections to which other credentials may have been sent before.
    _sent_others: set[int] = field(init=False, default_factory=set)

    def run(self) -> None:
        """Change what the plan says, and collect the results.

        :raises WorkatoError: if something is wrong with all calls: the token, the host or the quota.
        """
        todo = self.plan.of("create", "update", "authenticate")
        gone = _removed(self.plan, self.prune)
        touched = {id(change) for change in (*todo, *gone)}
        for change in self.plan.changes:
            if id(change) not in touched:
                self._note_left(change)
        self.fingerprints.keep_only([each.declared for each in self.plan.changes if each.declared])
        for change in todo:
            entry = change.declared
            if change.action == "update" or entry is None or entry.spec.credentials is None:
                continue
            # Before any leave: if this process is killed, the next finds the connections with them.
            if change.action == "create" and not self.fingerprints.remember(entry):
                continue
            # Until the answer, nobody knows whether the connection has these or others.
            self._sent_others.add(id(change))
            self.fingerprints.forget(entry)
        began = told = time.monotonic()
        try:
            self.fingerprints.save()
            for number, change in enumerate([*todo, *gone]):
                if number and time.monotonic() - told >= _PROGRESS:
                    told = time.monotonic()
                    total = len(todo) + len(gone)
                    left = (told - began) / number * (total - number)
                    log.info("%d of %d done; about %s left.", number, total, duration_text(left))
                if change.action == "orphan":
                    self._remove(change)
                else:
                    self._ensure(change)
                self.report(self.results)
        finally:
            self.fingerprints.save()

    def _note_left(self, change: Change) -> None:
        did = {"conflict": "failed", "invalid": "failed", "orphan": "reported"}.get(
            change.action, "unchanged"
        )
        error = WorkatoConfigurationError(change.reason) if did == "failed" else None
        self._note(change, did=did, row=change.row, error=error)

    def _ensure(self, change: Change) -> None:
        """Create or change one connection."""
        entry = change.declared
        if entry is None:
            return
        spec = (
            entry.spec
            if change.action in ("create", "authenticate")
            else replace(entry.spec, credentials=None)
        )
        key = hashlib.sha256(str(spec.identity()).encode()).hexdigest()[:16]
        record = SetRecord(self.state_of_tries(key))
        try:
            row = Provisioning(
                transport=self.transport,
                spec=spec,
                if_exists="reuse" if change.action == "create" else "update",
                record=record,
                search=self.search,
            ).run()
        except WorkatoError as error:
            if spec.credentials is not None:
                self.fingerprints.forget(entry)
            self._note(change, did="failed", row=record.row, error=error)
            self._go_on_after(error, change)
            return
        if spec.credentials is not None:
            # It may have appeared since the plan, or an earlier try may have sent other credentials.
            is_known = record.outcome == "changed" or (
                record.outcome == "created" and id(change) not in self._sent_others
            )
            (self.fingerprints.remember if is_known else self.fingerprints.forget)(entry)
        self._note(change, did=str(record.outcome), row=row)

    def _remove(self, change: Change) -> None:
        """Disconnect or delete one orphan."""
        if self.remove is None or change.connection_id is None:
            return
        if any(each["id"] == change.connection_id for each in self._results.values()):
            # An earlier try created it, and it was renamed since.
            self._note(change, did="reported", row=change.row)
            return
        row = self.search.recent(change.connection_id)
        if row is not None and not self.plan.scope.holds(row):
            # Somebody moved it out of the scope since the plan.
            self._note(change, did="reported", row=row)
            return
        try:
            said = self.remove(change.connection_id)
        except WorkatoError as error:
            self._note(change, did="failed", row=change.row, error=error)
            self._go_on_after(error, change)
            return
        self._note(change, did=str(said.get("status") or REMOVED[self.prune]))

    def _go_on_after(self, error: WorkatoError, change: Change) -> None:
        if _is_for_all(error):
            raise error
        log.warning("%s, %r: %s Going on with the others.", _place(change), change.name, error)

    def _note(
        self,
        change: Change,
        *,
        did: str,
        row: WorkatoConnection | None = None,
        error: WorkatoError | None = None,
    ) -> None:
        self._results[id(change)] = {
            "name": change.name,
            "provider": change.provider,
            "id": row["id"] if row else change.connection_id,
            "did": did,
            "status": status_text(row) if row else None,
            "declared_at": change.declared.place if change.declared else None,
            "reason": str(error) if error else change.reason,
            "error": type(error).__name__ if error else None,
        }
        if row and change.declared and error is None and state_of(row) is not State.AUTHORIZED:
            self.unauthorized.append(row)

    @property
    def results(self) -> list[dict[str, Any]]:
        """What is known of each connection, in the order of the plan."""
        return [self._results[id(each)] for each in self.plan.changes if id(each) in self._results]


def _place(change: Change) -> str:
    return change.declared.place if change.declared else f"connection {change.connection_id}"


def _is_for_all(error: WorkatoError) -> bool:
    """Tell whether every other call would fail the same way."""
    if isinstance(error, WorkatoTransportError) and not isinstance(error, WorkatoTLSError):
        return not error.request_sent
    return isinstance(error, (WorkatoAuthError, WorkatoRateLimitError, WorkatoTLSError))
