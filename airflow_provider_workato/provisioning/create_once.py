"""Create a connection exactly once, although the server does not prevent duplicates.

``POST /api/connections`` is not idempotent, its answer can get lost, and Airflow can stop and repeat a task
at any moment. So: lock the connection on this machine, search before creating, record the attempt where the
next try finds it, and after a lost answer search again before sending again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from airflow_provider_workato.arguments import is_stored_form, one_of, parse_time
from airflow_provider_workato.authorization import LOGIN_APPS, Advice, State, failure, state_of, status_text
from airflow_provider_workato.client.retries import is_ambiguous, may_still_run
from airflow_provider_workato.exceptions import WorkatoError, WorkatoExistsError, WorkatoMismatchError
from airflow_provider_workato.provisioning.claims import Claim, Slot, claimed
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

#: The longest pause between two searches for a connection whose create got no answer, in seconds.
_LONGEST_PAUSE = 8.0
#: A create relies on a search no older than this, in seconds. A shorter time would cost most creates a second
#: list call, and Workato allows as few list calls as creates.
FRESH = 10.0
#: By how much the clocks of a worker and of Workato may differ, in seconds. A connection created within this
#: time of a create whose answer was lost may be taken for its outcome, so allow no more than real clocks
#: need.
_SKEW = 120.0


class OnKnown(Protocol):
    """A callback for the connection: as soon as it is known to exist, and again after a change."""

    def __call__(self, connection: WorkatoConnection, /, *, created: bool) -> None:
        """Receive the connection.

        :param connection: the connection; nothing in it quotes the credentials.
        :param created: whether this task created it, in this try or an earlier one.
        """


class BeforeUse(Protocol):
    """A callback that may refuse the use of a connection that exists. It runs under the connection's lock."""

    def __call__(self, connection: WorkatoConnection, /, *, changes: bool) -> None:
        """Raise an error if the connection must stay as it is.

        :param connection: the connection.
        :param changes: whether it is about to be changed.
        """


class _NotSent(Exception):
    """The search right before the request found the connection, or failed."""

    def __init__(self, *, found: Sequence[WorkatoConnection] = (), error: WorkatoError | None = None) -> None:
        super().__init__()
        self.found = list(found)
        self.error = error


@dataclass(slots=True, kw_only=True)
class Provisioning:
    """Find or create one connection.

    :param identity: tells which connection is meant.
    :param find: lists the connections to search.
    :param create: creates the connection; calls its argument right before each request leaves.
    :param update: changes the connection with this id: all fields if the second argument is true, else the
        credentials only.
    :param changes: the fields that *update* sends beside the credentials.
    :param settings: the workspace, and how long to try.
    :param if_exists: what to do if the connection exists.
    :param credentials: what *create* and *update* send as ``input``.
    :param tests_credentials: whether Workato tests the credentials at once.
    :param ledger: where attempts are recorded.
    :param on_known: called as soon as the connection is known to exist.
    :param before_use: called with a connection that exists, before it is reused or changed.
    """

    identity: Identity
    find: Callable[[], list[WorkatoConnection]]
    create: Callable[[BeforeSend], WorkatoConnection]
    update: Callable[[int, bool], WorkatoConnection]
    changes: Mapping[str, Any]
    settings: WorkatoSettings
    if_exists: IfExists = "reuse"
    credentials: Sealed | None = None
    tests_credentials: bool = True
    ledger: Ledger | None = None
    on_known: OnKnown | None = None
    before_use: BeforeUse | None = None
    _claim: Claim = field(init=False, default_factory=Claim)
    _slot: Slot | None = field(init=False, default=None)
    #: On the monotonic clock: the latest search, and the first and the latest create sent.
    _searched_at: float = field(init=False, default=0.0)
    _first_sent_at: float | None = field(init=False, default=None)
    _sent_at: float = field(init=False, default=0.0)
    #: Whether the connection adopted after a lost answer may have another owner.
    _is_guess: bool = field(init=False, default=False)

    def run(self) -> WorkatoConnection:
        """Find or create the connection and return it.

        :raises WorkatoExistsError: if it exists and must not, if several match, or if the one to change may
            not be the one meant.
        :raises WorkatoAuthorizationError: if the app refuses the credentials.
        :raises WorkatoBusyError: if another process on this machine keeps creating the same connection.
        """
        one_of(self.if_exists, IF_EXISTS, what="if_exists")
        settings, workspace = self.settings, self.settings.base_url.lower()
        key = f"{workspace} {self.identity.key}"
        # The longest time that a create without an answer can take.
        patience = settings.retry_budget + settings.server_timeout + settings.read_timeout
        with claimed(key, what=self.identity, wait=patience) as self._claim:
            self._slot = Slot(workspace)
            try:
                return self._ensure()
            finally:
                self._slot.release()

    def _ensure(self) -> WorkatoConnection:
        rows = self._search()
        matches = self.identity.among(rows)
        own = self._from_earlier_try(rows, matches)
        if own is not None:
            return self._existing(own, created=not self._is_guess, update=self.if_exists == "update")
        matches = self._after_another_process(matches)
        if not matches:
            self._warn_of_moved(rows)
        if self.if_exists == "duplicate" or not matches:
            return self._make(known=[row["id"] for row in matches])
        return self._use_existing(matches)

    def _warn_of_moved(self, rows: Sequence[WorkatoConnection]) -> None:
        """Warn if a connection elsewhere has the external id: it may be the one meant, in another folder."""
        if self.identity.external_id is None or self.identity.folder_id is None:
            return
        anywhere = replace(self.identity, folder_id=None)
        # A row that shows no external id is no reason to stop here.
        if moved := [row for row in rows if row.get("external_id") and anywhere.matches(row)]:
            log.warning(
                "No connection in folder %s has %s, but connection %s in folder %s does. Creating another. "
                "If that one is meant, delete the new one, and correct folder_id or leave it out.",
                self.identity.folder_id,
                anywhere,
                moved[0]["id"],
                moved[0].get("folder_id"),
            )

    def _search(self) -> list[WorkatoConnection]:
        rows = self.find()
        self._searched_at = time.monotonic()
        return rows

    def _matches(self) -> list[WorkatoConnection]:
        return self.identity.among(self._search())

    def _from_earlier_try(
        self, rows: Sequence[WorkatoConnection], matches: Sequence[WorkatoConnection]
    ) -> WorkatoConnection | None:
        """Return the connection that an earlier try of this task created, interrupted or not."""
        note = self.ledger.read() if self.ledger else {}
        if (note.get("for"), note.get("at")) != (str(self.identity), self.settings.base_url):
            # No note, or one about another connection.
            return None
        if "id" in note:
            # Its name may have changed since.
            return next((row for row in rows if row["id"] == note["id"] and self._is_of_this_app(row)), None)
        if "intent" not in note:
            return None
        # Clocks differ and jump: never wait longer than Workato can take.
        age = max(time.time() - note["intent"], 0.0)
        row = self._search_for_new(
            known=[*note.get("known", []), *(row["id"] for row in matches if not self._may_be_of(note, row))],
            until=time.monotonic() + self.settings.server_timeout - age,
            at_first=matches,
        )
        if row is None:
            # Leave the claim's record: it may be about another process's create that is still running.
            self._note({"refused": True})
            return None
        log.info("Adopted connection %s, which an interrupted try of this task created.", row["id"])
        self._note_adopted(row)
        return row

    def _is_of_this_app(self, row: WorkatoConnection) -> bool:
        key = "parent_id" if self.identity.provider is None else "provider"
        wanted: object = getattr(self.identity, key)
        return bool(row.get(key, wanted) == wanted)

    def _may_be_of(self, note: dict[str, Any], row: WorkatoConnection) -> bool:
        """Tell whether *row* was created about when the recorded create was sent, and not much later."""
        created_at = parse_time(row.get("created_at"))
        if created_at is None or created_at.tzinfo is None:
            return True
        later = created_at.timestamp() - note["intent"]
        return bool(-_SKEW <= later <= self.settings.server_timeout + _SKEW)

    def _after_another_process(self, matches: list[WorkatoConnection]) -> list[WorkatoConnection]:
        """Wait for the outcome of a create that another process on this machine sent and got no answer to."""
        unanswered = self._claim.unanswered()
        if unanswered is None:
            return matches
        until = time.monotonic() + self.settings.server_timeout - unanswered.age
        matches = self._wait_for_new(known=unanswered.known, until=until, at_first=matches)
        self._claim.note_answered()
        return matches

    def _use_existing(self, matches: Sequence[WorkatoConnection]) -> WorkatoConnection:
        """Handle the connection that exists as ``if_exists`` says."""
        row = only_match(matches, self.identity)
        if self.if_exists == "fail":
            raise WorkatoExistsError(
                f"Connection {row['id']} exists already ({self.identity}) and if_exists is 'fail'. "
                "Set if_exists to 'reuse' or 'update' to use it.",
                connection_ids=[row["id"]],
            )
        return self._existing(row, created=False, update=self.if_exists == "update")

    def _existing(self, row: WorkatoConnection, *, created: bool, update: bool) -> WorkatoConnection:
        self._release_slot()
        usable = state_of(row) is State.AUTHORIZED or not (self.credentials and self.tests_credentials)
        change = update or not usable
        if change and not (created or self.identity.is_certain_of(row)):
            raise self._uncertain(row)
        is_unchanged = update and self._shows_all(row)
        if self.before_use is not None:
            self.before_use(row, changes=change and not is_unchanged)
        row = self._report(row, created=created)
        status = status_text(row)
        if not change:
            log.info("Reusing connection %s (%s); status: %s.", row["id"], self.identity, status)
            return row
        if is_unchanged:
            log.info("Connection %s (%s) is unchanged; status: %s.", row["id"], self.identity, status)
            return row
        if update:
            if self.credentials and usable and self.identity.provider in LOGIN_APPS:
                log.warning(
                    "Connection %s (%s) is authorized, probably by a person's login, which 'input' may end. "
                    "If so, leave 'input' out.",
                    row["id"],
                    self.identity.provider,
                )
            log.info("Updating connection %s (%s).", row["id"], self.identity)
        else:
            log.info("Connection %s exists but is not authorized; updating its credentials.", row["id"])
        changed = self._merged(row, self.update(row["id"], update))
        return self._accepted(self._report(changed, created=created))

    def _shows_all(self, row: WorkatoConnection) -> bool:
        """Tell whether an update would change nothing: the list shows all of it."""
        # It shows neither credentials nor shell_connection.
        return self.credentials is None and all(
            key in row and (row[key] == value or is_stored_form(str(row[key]), str(value)))
            for key, value in self.changes.items()
        )

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
                # An earlier search showed that no request before this one created anything.
                self._note_not_created()
                raise failed
            if found and attempt == 1:
                # No request of ours was carried out yet, so another process created it.
                self._note_not_created()
                return self._use_existing(found)
            if found:
                return self._adopted(only_match(found, self.identity))
            if row is not None:
                status = status_text(row)
                log.info("Created connection %s (%s); status: %s.", row["id"], self.identity, status)
                self._note_created(row)
                return self._accepted(self._report(row, created=True))
            log.warning("%s Checking whether the connection was created.", error)
            still_running = error is not None and may_still_run(error)
            until = self._sent_at + self.settings.server_timeout if still_running else 0.0
            row = self._search_for_new(known=known, until=until)
            if row is not None:
                return self._adopted(row)
            # Workato's time is over and the connection is not there. One that appears later is not ours.
            self._note_not_created()
            pause = min(2.0 ** (attempt - 2), _LONGEST_PAUSE)
            give_up = (self._first_sent_at or self._sent_at) + self.settings.retry_budget
            # If the answer shows another connection, ours may exist under another name, as would the next.
            final = isinstance(error, WorkatoMismatchError) or time.monotonic() + pause >= give_up
            if error is not None and final:
                raise error
            log.warning("The connection was not created; sending the request again.")
            time.sleep(pause)

    def _try_to_create(
        self, known: list[int], *, first: bool
    ) -> tuple[WorkatoConnection | None, WorkatoError | None]:
        try:
            return self.create(lambda: self._before_send(known, first=first)), None
        except WorkatoError as error:
            if not is_ambiguous(error):
                # A definite refusal: the next try has nothing to search for.
                self._note_not_created()
                raise
            return None, error

    def _before_send(self, known: list[int], *, first: bool) -> Callable[[], None]:
        """Search again if the last search is old, and record the attempt.

        :returns: a function to call when the request leaves.
        """
        if time.monotonic() - self._searched_at > FRESH:
            log.info("The last search is more than %g s old; searching again before the create.", FRESH)
            self._search_again(known, first=first)
        self._release_slot()
        self._note({"intent": time.time(), "known": known})
        return partial(self._leaves, known)

    def _leaves(self, known: list[int]) -> None:
        # Workato's time starts now: recording the attempt and waiting for the rate limit may have taken long.
        self._claim.note_sending(known)
        self._sent_at = time.monotonic()
        if self._first_sent_at is None:
            self._first_sent_at = self._sent_at

    def _search_again(self, known: list[int], *, first: bool) -> None:
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

    def _search_for_new(
        self, *, known: Sequence[int], until: float, at_first: Sequence[WorkatoConnection] | None = None
    ) -> WorkatoConnection | None:
        """Return a match that is not *known*; search until Workato's time is over."""
        rows = self._wait_for_new(known=known, until=until, at_first=at_first)
        new = [row for row in rows if row["id"] not in known]
        return only_match(new, self.identity) if new else None

    def _wait_for_new(
        self, *, known: Sequence[int], until: float, at_first: Sequence[WorkatoConnection] | None = None
    ) -> list[WorkatoConnection]:
        """Return all matches as soon as one is not *known*, or at *until* on the monotonic clock."""
        pause = 0.5
        rows = self._matches() if at_first is None else list(at_first)
        told = False
        while all(row["id"] in known for row in rows) and (remaining := until - time.monotonic()) > 0:
            if not told:
                told = True
                log.info(
                    "A create of this connection (%s) may still be under way; searching for up to %d s.",
                    self.identity,
                    math.ceil(remaining),
                )
            time.sleep(min(pause, remaining))
            pause = min(pause * 2, _LONGEST_PAUSE)
            rows = self._matches()
        return rows

    def _adopted(self, row: WorkatoConnection) -> WorkatoConnection:
        log.info("Adopted connection %s, created by the call whose answer was lost.", row["id"])
        self._note_adopted(row)
        return self._existing(row, created=not self._is_guess, update=False)

    def _report(self, row: WorkatoConnection, *, created: bool) -> WorkatoConnection:
        """Pass *row* to ``on_known`` and return it."""
        if self.on_known is not None:
            self.on_known(row, created=created)
        return row

    def _accepted(self, row: WorkatoConnection) -> WorkatoConnection:
        if self.credentials is not None and self.tests_credentials:
            refused = failure(row, advice=Advice.REFUSED, secrets=self._secrets())
            if refused is not None:
                raise refused
        return row

    def _secrets(self) -> list[str]:
        leaves = [] if self.credentials is None else self.credentials.leaves()
        return secret_texts(iter([self.settings.token.reveal(), *leaves]))

    def _merged(self, row: WorkatoConnection, changed: WorkatoConnection) -> WorkatoConnection:
        # Workato's answer to an update has fewer keys than its list.
        return {**row, **{key: value for key, value in changed.items() if value is not None or key in row}}

    def _uncertain(self, row: WorkatoConnection) -> WorkatoExistsError:
        folder = row.get("folder_id")
        if self.identity.is_cut_in(row):
            return WorkatoExistsError(
                f"Connection {row['id']} shows only the beginning of the {self.identity.decides}, so it may "
                "have another owner. It was not changed. Shorten the text to 255 characters.",
                connection_ids=[row["id"]],
            )
        return WorkatoExistsError(
            f"Connection {row['id']} in folder {folder} matches by its name alone ({self.identity}), so it "
            "may have another owner. It was not changed. If it is the one meant, add "
            f"folder_id={folder}; if not, give yours another folder_id, or an external_id.",
            connection_ids=[row["id"]],
        )

    def _release_slot(self) -> None:
        if self._slot is not None:
            self._slot.release()

    def _note_adopted(self, row: WorkatoConnection) -> None:
        # A match by name alone may have another owner, who created it meanwhile: use it, but neither change
        # it nor count it as created here.
        self._is_guess = not self.identity.is_certain_of(row)
        if self._is_guess:
            self._note_not_created()
        else:
            self._note_created(row)

    def _note_not_created(self) -> None:
        """Record that there is no connection that a later try could take for its own."""
        self._note({"refused": True})
        self._claim.note_answered()

    def _note_created(self, row: WorkatoConnection) -> None:
        self._note({"id": row["id"]})
        self._claim.note_answered()

    def _note(self, note: dict[str, Any]) -> None:
        if self.ledger is not None:
            self.ledger.write({**note, "for": str(self.identity), "at": self.settings.base_url})


def only_match(matches: Sequence[WorkatoConnection], identity: Identity) -> WorkatoConnection:
    """Return the only connection that matches.

    :param matches: the connections that match, at least one.
    :param identity: what they match.
    :raises WorkatoExistsError: if there are several.
    """
    if len(matches) == 1:
        return matches[0]
    ids = sorted(row["id"] for row in matches)
    oldest = min(matches, key=_age)
    decides = "external_id" if identity.external_id is not None else "name"
    raise WorkatoExistsError(
        f"{len(ids)} connections match {identity}: {', '.join(map(str, ids))}. {oldest['id']} is the oldest. "
        "The others may come from two runs at once, or from if_exists='duplicate'. Switch recipes to the one "
        f"to keep, then delete the others or change their {decides}.",
        connection_ids=ids,
    )


def _age(row: WorkatoConnection) -> tuple[float, int]:
    created_at = parse_time(row.get("created_at"))
    # Ids grow, so they decide between equal times.
    return (created_at.timestamp() if created_at and created_at.tzinfo else 0.0, row["id"])
