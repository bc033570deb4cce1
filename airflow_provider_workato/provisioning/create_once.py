"""Making a connection exactly once, although the server does nothing against duplicates.

``POST /api/connections`` is not idempotent, its answer can get lost, and Airflow stops and repeats
tasks at any moment. So: one at a time on a machine, look before creating, note the attempt where the
next one finds it, and after a lost answer look again before sending again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from airflow_provider_workato.arguments import one_of, parse_time
from airflow_provider_workato.authorization import State, failure, state_of
from airflow_provider_workato.client.retries import is_ambiguous, may_still_run
from airflow_provider_workato.exceptions import WorkatoError, WorkatoExistsError
from airflow_provider_workato.provisioning.claims import Claim, Place, claimed
from airflow_provider_workato.redaction import Sealed, secret_texts

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.client.calls import BeforeSend
    from airflow_provider_workato.client.settings import WorkatoSettings
    from airflow_provider_workato.provisioning.identity import Identity
    from airflow_provider_workato.provisioning.ledger import Ledger

log = logging.getLogger(__name__)

IfExists = Literal["reuse", "update", "fail", "duplicate"]
IF_EXISTS: tuple[IfExists, ...] = get_args(IfExists)

#: The longest pause between two looks for a connection whose answer was lost, in seconds.
_LONGEST_PAUSE = 8.0
#: A create goes out on a look no older than this, in seconds. Shorter would cost most creates a second
#: list call, of which Workato allows no more than creates.
FRESH = 10.0
#: By how much the clocks of a worker and of Workato may differ, in seconds. All that is made in this time
#: around a create whose answer was lost may be taken for its outcome, so not more than unset clocks need.
_SKEW = 120.0


class OnKnown(Protocol):
    """Hears of the connection as soon as it is known to exist, and again once it was changed."""

    def __call__(self, connection: WorkatoConnection, /, *, created: bool) -> None:
        """Take note.

        :param connection: the connection; nothing in it quotes the credentials.
        :param created: whether this task made it, in this try or an earlier one.
        """


class _NotSent(Exception):
    """The look right before the request found what was to be made, or failed."""

    def __init__(self, *, found: Sequence[WorkatoConnection] = (), error: WorkatoError | None = None) -> None:
        super().__init__()
        self.found = list(found)
        self.error = error


@dataclass(slots=True, kw_only=True)
class Provisioning:
    """One connection to be there in the end, whatever happens on the way.

    :param identity: what makes a connection the one meant.
    :param find: lists the connections among which it would be.
    :param create: makes it; calls what it is given right before each request leaves.
    :param update: changes it, by id; with all that was given or else with the credentials only.
    :param settings: the workspace, and for how long to try.
    :param if_exists: what to do with one that is there.
    :param credentials: what *create* and *update* send as ``input``.
    :param tests_credentials: whether Workato tests them at once.
    :param ledger: where attempts are noted.
    :param on_known: told as soon as the connection is known to exist.
    """

    identity: Identity
    find: Callable[[], list[WorkatoConnection]]
    create: Callable[[BeforeSend], WorkatoConnection]
    update: Callable[[int, bool], WorkatoConnection]
    settings: WorkatoSettings
    if_exists: IfExists = "reuse"
    credentials: Sealed | None = None
    tests_credentials: bool = True
    ledger: Ledger | None = None
    on_known: OnKnown | None = None
    _claim: Claim = field(init=False, default_factory=Claim)
    _place: Place | None = field(init=False, default=None)
    #: On the monotonic clock: when the latest list came, and when the first and the latest create left.
    _looked_at: float = field(init=False, default=0.0)
    _first_sent_at: float | None = field(init=False, default=None)
    _sent_at: float = field(init=False, default=0.0)
    #: Whether the connection taken for our own may be somebody else's.
    _is_guess: bool = field(init=False, default=False)

    def run(self) -> WorkatoConnection:
        """Find or make the connection and return it.

        :raises WorkatoExistsError: if it exists and must not, if more than one matches, or if it cannot
            be told whether the one to change is the one meant.
        :raises WorkatoAuthorizationError: if the app refuses the credentials.
        :raises WorkatoBusyError: if another process of this machine keeps making the same one.
        """
        one_of(self.if_exists, IF_EXISTS, what="if_exists")
        settings, workspace = self.settings, self.settings.base_url.lower()
        key = f"{workspace} {self.identity.key}"
        # As long as one create can take that gets no answer.
        patience = settings.retry_budget + settings.server_timeout + settings.read_timeout
        with claimed(key, who=self.identity, wait=patience) as self._claim:
            self._place = Place(workspace)
            try:
                return self._ensure()
            finally:
                self._place.leave()

    def _ensure(self) -> WorkatoConnection:
        rows = self._look()
        matches = [row for row in rows if self.identity.matches(row)]
        own = self._from_earlier_try(rows, matches)
        if own is not None:
            return self._existing(own, created=not self._is_guess, update=self.if_exists == "update")
        matches = self._after_another_process(matches)
        if self.if_exists == "duplicate" or not matches:
            return self._make(known=[row["id"] for row in matches])
        return self._take(matches)

    def _look(self) -> list[WorkatoConnection]:
        rows = self.find()
        self._looked_at = time.monotonic()
        return rows

    def _matches(self) -> list[WorkatoConnection]:
        return [row for row in self._look() if self.identity.matches(row)]

    def _from_earlier_try(
        self, rows: Sequence[WorkatoConnection], matches: Sequence[WorkatoConnection]
    ) -> WorkatoConnection | None:
        """Return the connection that an earlier try of the same task made, interrupted or not."""
        note = self.ledger.read() if self.ledger else {}
        if (note.get("for"), note.get("at")) != (str(self.identity), self.settings.base_url):
            # Nothing, or the task asked for another connection then.
            return None
        if "id" in note:
            # It may have another name by now.
            return next((row for row in rows if row["id"] == note["id"] and self._is_of_this_app(row)), None)
        if "intent" not in note:
            return None
        # Clocks differ and jump: never wait longer than Workato can be at work.
        age = max(time.time() - note["intent"], 0.0)
        row = self._look_for(
            known=[*note.get("known", []), *(row["id"] for row in matches if not self._may_be_of(note, row))],
            until=time.monotonic() + self.settings.server_timeout - age,
            at_first=matches,
        )
        if row is None:
            # The claim's note may be of another process, whose time is not over yet.
            self._note({"refused": True})
            return None
        log.info("Adopted connection %s, which an interrupted try of this task made.", row["id"])
        self._note_adopted(row)
        return row

    def _is_of_this_app(self, row: WorkatoConnection) -> bool:
        key = "parent_id" if self.identity.provider is None else "provider"
        wanted: object = getattr(self.identity, key)
        return bool(row.get(key, wanted) == wanted)

    def _may_be_of(self, note: dict[str, Any], row: WorkatoConnection) -> bool:
        """Tell whether *row* was made about when the noted create was sent, not by somebody much later."""
        made_at = parse_time(row.get("created_at"))
        if made_at is None or made_at.tzinfo is None:
            return True
        later = made_at.timestamp() - note["intent"]
        return bool(-_SKEW <= later <= self.settings.server_timeout + _SKEW)

    def _after_another_process(self, matches: list[WorkatoConnection]) -> list[WorkatoConnection]:
        """Wait for what another process of this machine asked for and saw no answer to."""
        unanswered = self._claim.unanswered()
        if unanswered is None:
            return matches
        until = time.monotonic() + self.settings.server_timeout - unanswered.age
        matches = self._wait_for_new(known=unanswered.known, until=until, at_first=matches)
        self._claim.note_answered()
        return matches

    def _take(self, matches: Sequence[WorkatoConnection]) -> WorkatoConnection:
        """Take what exists, as ``if_exists`` says."""
        row = the_one(matches, self.identity)
        if self.if_exists == "fail":
            raise WorkatoExistsError(
                f"Connection {row['id']} exists already ({self.identity}) and if_exists is 'fail'. "
                "Use if_exists='reuse' or 'update' to take it.",
                connection_ids=[row["id"]],
            )
        return self._existing(row, created=False, update=self.if_exists == "update")

    def _existing(self, row: WorkatoConnection, *, created: bool, update: bool) -> WorkatoConnection:
        self._leave_place()
        usable = state_of(row) is State.AUTHORIZED or not (self.credentials and self.tests_credentials)
        change = update or not usable
        if change and not (created or self.identity.is_certain_of(row)):
            raise self._uncertain(row)
        row = self._known(row, created=created)
        if not change:
            log.info("Reusing connection %s (%s).", row["id"], self.identity)
            return row
        if update:
            log.info("Updating connection %s (%s).", row["id"], self.identity)
        else:
            log.info("Connection %s exists but is not authorized; updating its credentials.", row["id"])
        changed = self._merged(row, self.update(row["id"], update))
        return self._accepted(self._known(changed, created=created))

    def _make(self, *, known: list[int]) -> WorkatoConnection:
        attempt = 0
        while True:
            attempt += 1
            try:
                row, error = self._try_to_create(known, first=attempt == 1)
            except _NotSent as reason:
                found, failed = reason.found, reason.error
            else:
                found, failed = [], None
            if failed is not None:
                # Whatever was sent before this look is known to have made nothing.
                self._note_nothing_made()
                raise failed
            if found and attempt == 1:
                # Nothing of ours was carried out so far: it is somebody else's.
                self._note_nothing_made()
                return self._take(found)
            if found:
                return self._adopted(the_one(found, self.identity))
            if row is not None:
                log.info("Created connection %s (%s).", row["id"], self.identity)
                self._note_made(row)
                return self._accepted(self._known(row, created=True))
            log.warning("%s Looking whether the connection was made.", error)
            still_running = error is not None and may_still_run(error)
            until = self._sent_at + self.settings.server_timeout if still_running else 0.0
            row = self._look_for(known=known, until=until)
            if row is not None:
                return self._adopted(row)
            # Workato has had its time, and there is none. What appears from now on is somebody else's.
            self._note_nothing_made()
            pause = min(2.0 ** (attempt - 2), _LONGEST_PAUSE)
            give_up = (self._first_sent_at or self._sent_at) + self.settings.retry_budget
            if error is not None and time.monotonic() + pause >= give_up:
                raise error
            log.warning("The connection was not made; sending the request again.")
            time.sleep(pause)

    def _try_to_create(
        self, known: list[int], *, first: bool
    ) -> tuple[WorkatoConnection | None, WorkatoError | None]:
        try:
            return self.create(lambda: self._before_send(known, first=first)), None
        except WorkatoError as error:
            if not is_ambiguous(error):
                # A definite refusal: the next try has nothing to look for.
                self._note_nothing_made()
                raise
            return None, error

    def _before_send(self, known: list[int], *, first: bool) -> Callable[[], None]:
        """Look again if the wait for this moment was long, and note that the request leaves.

        :returns: what to call when it does leave.
        """
        if time.monotonic() - self._looked_at > FRESH:
            log.info("The last look is more than %g s ago; looking again before the create.", FRESH)
            self._look_again(known, first=first)
        self._leave_place()
        self._note({"intent": time.time(), "known": known})
        return partial(self._leaves, known)

    def _leaves(self, known: list[int]) -> None:
        # Workato's time begins now: the note before may have taken long, and so may the turn after it.
        self._claim.note_sending(known)
        self._sent_at = time.monotonic()
        if self._first_sent_at is None:
            self._first_sent_at = self._sent_at

    def _look_again(self, known: list[int], *, first: bool) -> None:
        matches: list[WorkatoConnection] = []
        failed: WorkatoError | None = None
        try:
            matches = self._matches()
        except WorkatoError as error:
            failed = error.with_traceback(None)
        if failed is not None:
            raise _NotSent(error=failed)
        if first and self.if_exists == "duplicate":
            known[:] = [row["id"] for row in matches]
        elif found := [row for row in matches if row["id"] not in known]:
            raise _NotSent(found=found)

    def _look_for(
        self, *, known: Sequence[int], until: float, at_first: Sequence[WorkatoConnection] | None = None
    ) -> WorkatoConnection | None:
        """Look for a match that is not *known*, for as long as Workato may be at work on it."""
        rows = self._wait_for_new(known=known, until=until, at_first=at_first)
        new = [row for row in rows if row["id"] not in known]
        return the_one(new, self.identity) if new else None

    def _wait_for_new(
        self, *, known: Sequence[int], until: float, at_first: Sequence[WorkatoConnection] | None = None
    ) -> list[WorkatoConnection]:
        """Return all matches, as soon as one is not *known* or it is *until* on the monotonic clock."""
        pause = 0.5
        rows = self._matches() if at_first is None else list(at_first)
        while all(row["id"] in known for row in rows) and (remaining := until - time.monotonic()) > 0:
            time.sleep(min(pause, remaining))
            pause = min(pause * 2, _LONGEST_PAUSE)
            rows = self._matches()
        return rows

    def _adopted(self, row: WorkatoConnection) -> WorkatoConnection:
        log.info("Adopted connection %s, made by the call whose answer was lost.", row["id"])
        self._note_adopted(row)
        return self._existing(row, created=not self._is_guess, update=False)

    def _known(self, row: WorkatoConnection, *, created: bool) -> WorkatoConnection:
        """Tell of *row* and return it."""
        if self.on_known is not None:
            self.on_known(row, created=created)
        return row

    def _accepted(self, row: WorkatoConnection) -> WorkatoConnection:
        if self.credentials is not None and self.tests_credentials:
            refused = failure(row, secrets=self._secrets())
            if refused is not None:
                raise refused
        return row

    def _secrets(self) -> list[str]:
        leaves = [] if self.credentials is None else self.credentials.leaves()
        return secret_texts(iter([self.settings.token.reveal(), *leaves]))

    def _merged(self, row: WorkatoConnection, changed: WorkatoConnection) -> WorkatoConnection:
        # Workato's answers to changes have fewer keys than its list.
        return {**row, **{key: value for key, value in changed.items() if value is not None or key in row}}

    def _uncertain(self, row: WorkatoConnection) -> WorkatoExistsError:
        folder = row.get("folder_id")
        return WorkatoExistsError(
            f"Connection {row['id']} in folder {folder} matches by its name alone ({self.identity}), so it "
            "may be somebody else's. Nothing was sent to it. If it is the one meant, add "
            f"folder_id={folder}; if not, give this one a folder_id or an external_id of its own.",
            connection_ids=[row["id"]],
        )

    def _leave_place(self) -> None:
        if self._place is not None:
            self._place.leave()

    def _note_adopted(self, row: WorkatoConnection) -> None:
        # By its name alone it may be somebody else's, made while the answer was lost: to be taken, not
        # to be changed or cleaned up.
        self._is_guess = not self.identity.is_certain_of(row)
        if self._is_guess:
            self._note_nothing_made()
        else:
            self._note_made(row)

    def _note_nothing_made(self) -> None:
        """Note that there is nothing that a later try could take for its own."""
        self._note({"refused": True})
        self._claim.note_answered()

    def _note_made(self, row: WorkatoConnection) -> None:
        self._note({"id": row["id"]})
        self._claim.note_answered()

    def _note(self, note: dict[str, Any]) -> None:
        if self.ledger is not None:
            self.ledger.write({**note, "for": str(self.identity), "at": self.settings.base_url})


def the_one(matches: Sequence[WorkatoConnection], identity: Identity) -> WorkatoConnection:
    """Return the connection that matches, which has to be one.

    :param matches: the connections that match, at least one.
    :param identity: what they match.
    :raises WorkatoExistsError: if there are several.
    """
    if len(matches) == 1:
        return matches[0]
    ids = sorted(row["id"] for row in matches)
    oldest = min(matches, key=_age)
    told_by = "external_id" if identity.external_id is not None else "name"
    raise WorkatoExistsError(
        f"{len(ids)} connections match {identity}: {', '.join(map(str, ids))}. {oldest['id']} is the oldest; "
        "two runs at once, or if_exists='duplicate', may have made the others. Let recipes use the one to "
        f"keep, then delete the others or give them another {told_by}.",
        connection_ids=ids,
    )


def _age(row: WorkatoConnection) -> tuple[float, int]:
    made_at = parse_time(row.get("created_at"))
    # Ids grow, so that they decide where the times do not.
    return (made_at.timestamp() if made_at and made_at.tzinfo else 0.0, row["id"])
