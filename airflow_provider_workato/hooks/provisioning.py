"""Making a connection exactly once, although the server does nothing against duplicates.

``POST /api/connections`` is not idempotent, its answer can get lost, and Airflow stops and repeats
tasks at any moment. So: look before creating, note the attempt where the next one finds it, and
after a lost answer look again before sending again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_workato.authorization import State, failure, state_of
from airflow_provider_workato.exceptions import (
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoExistsError,
)
from airflow_provider_workato.hooks.transport import is_ambiguous, may_still_run
from airflow_provider_workato.redaction import Sealed, secret_texts

if TYPE_CHECKING:
    from airflow_provider_workato.hooks.settings import WorkatoSettings
    from airflow_provider_workato.models import Connection, Identity

log = logging.getLogger(__name__)

IfExists = Literal["reuse", "update", "fail", "duplicate"]
IF_EXISTS: tuple[str, ...] = ("reuse", "update", "fail", "duplicate")

#: The longest pause between two looks for a connection whose answer was lost, in seconds.
_LONGEST_PAUSE = 8.0


class Ledger(Protocol):
    """Remembers an attempt beyond the life of the process that made it. Holds no credentials."""

    def read(self) -> dict[str, Any]:
        """Return the latest note, empty if there is none."""

    def write(self, note: dict[str, Any]) -> None:
        """Replace the note.

        :param note: JSON values only.
        """


@dataclass(slots=True, kw_only=True)
class Provisioning:
    """One connection to be there in the end, whatever happens on the way.

    :param identity: what makes a connection the one meant.
    :param find: lists the connections among which it would be.
    :param create: makes it.
    :param update: changes it, by id; with all that was given or else with the credentials only.
    :param settings: for how long to try.
    :param if_exists: what to do with one that is there.
    :param credentials: what *create* and *update* send as ``input``.
    :param tests_credentials: whether Workato tests them at once.
    :param ledger: where attempts are noted.
    """

    identity: Identity
    find: Callable[[], list[Connection]]
    create: Callable[[], Connection]
    update: Callable[[int, bool], Connection]
    settings: WorkatoSettings
    if_exists: IfExists = "reuse"
    credentials: Sealed | None = None
    tests_credentials: bool = True
    ledger: Ledger | None = None

    def run(self) -> Connection:
        """Find or make the connection and return it.

        :raises WorkatoExistsError: if it exists and must not, or if more than one matches.
        :raises WorkatoAuthorizationError: if the app refuses the credentials.
        """
        if self.if_exists not in IF_EXISTS:
            raise WorkatoConfigurationError(f"if_exists must be one of {', '.join(IF_EXISTS)}.")
        rows = self.find()
        matches = [row for row in rows if self.identity.matches(row)]
        own = self._from_earlier_try(rows, matches)
        if own is not None:
            return self._existing(own, update=self.if_exists == "update")
        if self.if_exists == "duplicate" or not matches:
            return self._make(known=[row["id"] for row in matches])
        if len(matches) > 1:
            raise self._several(matches)
        if self.if_exists == "fail":
            raise WorkatoExistsError(
                f"Connection {matches[0]['id']} exists already ({self.identity}) and if_exists is 'fail'. "
                "Use if_exists='reuse' or 'update' to take it.",
                connection_ids=[matches[0]["id"]],
            )
        return self._existing(matches[0], update=self.if_exists == "update")

    def _matches(self) -> list[Connection]:
        return [row for row in self.find() if self.identity.matches(row)]

    def _from_earlier_try(
        self, rows: Sequence[Connection], matches: Sequence[Connection]
    ) -> Connection | None:
        """Return the connection that an earlier try of the same task made, interrupted or not."""
        note = self.ledger.read() if self.ledger else {}
        if note.get("for") != str(self.identity):
            # Nothing, or the task asked for another connection then.
            return None
        if "id" in note:
            # It may have another name by now.
            return next((row for row in rows if row["id"] == note["id"]), None)
        if "intent" not in note:
            return None
        server_timeout = self.settings.server_timeout
        row = self._look_for(
            known=note.get("known", []),
            # Clocks differ: never wait longer than Workato can be at work.
            until=min(note["intent"], time.time()) + server_timeout,
            at_first=matches,
        )
        if row is not None:
            log.info("Adopted connection %s, which an interrupted try of this task made.", row["id"])
            self._note({"id": row["id"]})
        return row

    def _existing(self, row: Connection, *, update: bool) -> Connection:
        usable = state_of(row) is State.AUTHORIZED or not (self.credentials and self.tests_credentials)
        if update:
            log.info("Updating connection %s (%s).", row["id"], self.identity)
            row = self._merged(row, self.update(row["id"], True))
        elif usable:
            log.info("Reusing connection %s (%s).", row["id"], self.identity)
            return row
        else:
            log.info("Connection %s exists but is not authorized; updating its credentials.", row["id"])
            row = self._merged(row, self.update(row["id"], False))
        return self._accepted(row)

    def _make(self, *, known: list[int]) -> Connection:
        give_up = time.time() + self.settings.retry_budget
        attempt = 0
        while True:
            attempt += 1
            sent_at = time.time()
            self._note({"intent": sent_at, "known": known})
            row, error = self._try_to_create()
            if row is not None:
                log.info("Created connection %s (%s).", row["id"], self.identity)
                self._note({"id": row["id"]})
                return self._accepted(row)
            log.warning("%s Looking whether the connection was made.", error)
            still_running = error is not None and may_still_run(error)
            until = sent_at + self.settings.server_timeout if still_running else 0.0
            row = self._look_for(known=known, until=min(until, give_up))
            if row is not None:
                log.info("Adopted connection %s, made by the call whose answer was lost.", row["id"])
                self._note({"id": row["id"]})
                return self._existing(row, update=False)
            pause = min(2.0 ** (attempt - 2), _LONGEST_PAUSE)
            if error is not None and (time.time() + pause >= give_up or until > give_up):
                raise error
            log.warning("The connection was not made; sending the request again.")
            time.sleep(pause)

    def _try_to_create(self) -> tuple[Connection | None, WorkatoError | None]:
        try:
            return self.create(), None
        except WorkatoError as error:
            if not is_ambiguous(error):
                # A definite refusal: the next try has nothing to look for.
                self._note({"refused": True})
                raise
            return None, error

    def _look_for(
        self, *, known: Sequence[int], until: float, at_first: Sequence[Connection] | None = None
    ) -> Connection | None:
        """Look for a match that is not *known*, for as long as Workato may be at work on it."""
        pause = 0.5
        rows = self._matches() if at_first is None else at_first
        while True:
            new = [row for row in rows if row["id"] not in known]
            if len(new) > 1:
                raise self._several(new)
            if new:
                return new[0]
            remaining = until - time.time()
            if remaining <= 0:
                return None
            time.sleep(min(pause, remaining))
            pause = min(pause * 2, _LONGEST_PAUSE)
            rows = self._matches()

    def _accepted(self, row: Connection) -> Connection:
        if self.credentials is not None and self.tests_credentials:
            refused = failure(row, secrets=secret_texts(self.credentials.leaves()))
            if refused is not None:
                raise refused
        return row

    def _merged(self, row: Connection, changed: Connection) -> Connection:
        # Workato's answers to changes have fewer keys than its list.
        return {**row, **{key: value for key, value in changed.items() if value is not None or key in row}}

    def _several(self, rows: Sequence[Connection]) -> WorkatoExistsError:
        ids = sorted(row["id"] for row in rows)
        return WorkatoExistsError(
            f"{len(ids)} connections match {self.identity}: {', '.join(map(str, ids))}. "
            "Delete all but one, or give the one meant an external_id of its own.",
            connection_ids=ids,
        )

    def _note(self, note: dict[str, Any]) -> None:
        if self.ledger is not None:
            self.ledger.write({**note, "for": str(self.identity)})
