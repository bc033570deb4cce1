"""Create a connection exactly once, although the server does not prevent duplicates.

``POST /api/connections`` is not idempotent, its answer can get lost, and Airflow can stop and repeat a task
at any moment. So: lock the connection on this machine, search before creating, record the attempt where the
next try finds it, and after a lost answer search again before sending again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow_provider_workato.arguments import drop_none, is_stored_form, one_of, parse_time
from airflow_provider_workato.authorization import LOGIN_APPS, Advice, State, failure, state_of, status_text
from airflow_provider_workato.client import endpoints
from airflow_provider_workato.client.answers import parse_runtime_user_connection
from airflow_provider_workato.client.calls import Call
from airflow_provider_workato.client.connections import change, connection_in
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.retries import is_ambiguous, may_still_run, retrying
from airflow_provider_workato.exceptions import WorkatoError, WorkatoExistsError
from airflow_provider_workato.provisioning.identity import Identity
from airflow_provider_workato.provisioning.locks import CreateCounter, CreateLock, SearchSemaphore, locked
from airflow_provider_workato.provisioning.record import Outcome, Record
from airflow_provider_workato.provisioning.search import Search
from airflow_provider_workato.redaction import Sealed, secret_texts

if TYPE_CHECKING:
    from airflow_provider_workato.client.answers import WorkatoConnection
    from airflow_provider_workato.client.endpoints import Endpoint
    from airflow_provider_workato.client.filters import ListFilters
    from airflow_provider_workato.client.settings import WorkatoSettings
    from airflow_provider_workato.client.transport import Transport
    from airflow_provider_workato.provisioning.spec import ConnectionSpec

log = logging.getLogger(__name__)

IfExists = Literal["reuse", "update", "fail", "duplicate"]
IF_EXISTS: tuple[IfExists, ...] = get_args(IfExists)

#: The longest pause between two searches for a connection whose create got no answer, in seconds.
_LONGEST_PAUSE = 8.0
#: A create leaves within so many seconds of being recorded; if it is later, it is recorded again.
_STALE = 5.0
#: How often a create is recorded at most, so that slow writes do not hold it back for ever.
_MAX_WRITES = 3
#: By how much the clocks of a worker and of Workato may differ, in seconds. A connection created within this
#: time of a create whose answer was lost may be taken for its outcome, so allow no more than real clocks
#: need.
_SKEW = 120.0


@dataclass(slots=True, kw_only=True)
class Provisioning:
    """Find or create one connection.

    :param transport: sends the calls.
    :param spec: the connection's fields and credentials.
    :param if_exists: what to do if the connection exists.
    :param record: what is remembered and told of it.
    :param search: lists the connections; by default those that this one can be among.
    """

    transport: Transport
    spec: ConnectionSpec
    if_exists: IfExists = "reuse"
    record: Record = field(default_factory=Record)
    search: Search | None = None
    _identity: Identity = field(init=False)
    _search: Search = field(init=False)
    _lock: CreateLock = field(init=False, default_factory=CreateLock)
    _semaphore: SearchSemaphore | None = field(init=False, default=None)
    #: When the latest create was sent, on the monotonic clock.
    _sent_at: float = field(init=False, default=0.0)
    #: Whether the connection adopted after a lost answer may have another owner.
    _is_guess: bool = field(init=False, default=False)

    _endpoint: ClassVar[Endpoint] = endpoints.CREATE

    def __post_init__(self) -> None:
        one_of(self.if_exists, IF_EXISTS, what="if_exists")
        self._identity = self._identity_of(self.spec)
        self._search = self.search or Search(
            transport=self.transport, filters=self._filters(), secrets=self.spec.credentials
        )

    def run(self) -> WorkatoConnection:
        """Find or create the connection and return it.

        :raises WorkatoExistsError: if it exists and must not, if several match, or if the one to change may
            not be the one meant.
        :raises WorkatoAuthorizationError: if the app refuses the credentials.
        :raises WorkatoBusyError: if another process on this machine keeps creating the same connection.
        """
        settings, workspace = self._settings, self._settings.base_url.lower()
        key = f"{workspace} {self._identity.key}"
        # The longest time that a create without an answer can take.
        patience = settings.retry_budget + settings.server_timeout + settings.read_timeout
        counter = CreateCounter(workspace)
        with locked(key, what=self._identity, wait=patience, counter=counter) as self._lock:
            if self.search is None:
                self._semaphore = SearchSemaphore(workspace)
            try:
                return self._ensure()
            finally:
                self._release_semaphore()

    # What is special about a kind of connection

    def _identity_of(self, spec: ConnectionSpec) -> Identity:
        return spec.identity()

    def _filters(self) -> ListFilters:
        return {"external_id": self._identity.list_filter}

    def _changes(self) -> dict[str, Any]:
        """Return what an update sends beside the credentials."""
        return self.spec.changes()

    def _created(self, answer: Sealed, call: Call) -> WorkatoConnection:
        """Return the connection in the answer to the create."""
        return connection_in(answer, call, secrets=self.transport.secrets_of(call))

    # The steps

    def _ensure(self) -> WorkatoConnection:
        rows = self._search.first()
        matches = self._identity.among(rows)
        own = self._from_earlier_try(rows, matches)
        if own is not None:
            return self._existing(own, created=not self._is_guess, update=self.if_exists == "update")
        matches = self._after_another_process(matches)
        if not matches:
            self._warn_of_moved(rows)
        if self.if_exists == "duplicate" or not matches:
            return self._create(known=[row["id"] for row in matches])
        return self._use_existing(matches)

    def _warn_of_moved(self, rows: Sequence[WorkatoConnection]) -> None:
        """Warn if a connection elsewhere has the external id: it may be the one meant, in another folder."""
        if self._identity.external_id is None or self._identity.folder_id is None:
            return
        anywhere = replace(self._identity, folder_id=None)
        # A row that shows no external id is no reason to stop here.
        if moved := [row for row in rows if row.get("external_id") and anywhere.matches(row)]:
            log.warning(
                "No connection in folder %s has %s, but connection %s in folder %s does. Creating another. "
                "If that one is meant, delete the new one, and correct folder_id or leave it out.",
                self._identity.folder_id,
                anywhere,
                moved[0]["id"],
                moved[0].get("folder_id"),
            )

    def _matches(self) -> list[WorkatoConnection]:
        return self._identity.among(self._search.again())

    def _from_earlier_try(
        self, rows: Sequence[WorkatoConnection], matches: Sequence[WorkatoConnection]
    ) -> WorkatoConnection | None:
        """Return the connection that an earlier try of this task created, interrupted or not."""
        recorded = self.record.read()
        if (recorded.get("for"), recorded.get("at")) != (str(self._identity), self._settings.base_url):
            # No record, or one about another connection.
            return None
        if "id" in recorded:
            # Its name may have changed since.
            return next(
                (row for row in rows if row["id"] == recorded["id"] and self._is_of_this_app(row)), None
            )
        if "sent_at" not in recorded:
            return None
        # Clocks differ and jump: never wait longer than Workato can take.
        age = max(time.time() - recorded["sent_at"], 0.0)
        row = self._search_for_new(
            known=[
                *recorded.get("known", []),
                *(row["id"] for row in matches if not self._may_be_of(recorded, row)),
            ],
            until=time.monotonic() + self._settings.server_timeout - age,
            at_first=matches,
        )
        if row is None:
            # Leave the lock's record: it may be about another process's create that is still running.
            self._write({})
            return None
        log.info("Adopted connection %s, which an interrupted try of this task created.", row["id"])
        self._record_adopted(row)
        return row

    def _is_of_this_app(self, row: WorkatoConnection) -> bool:
        key = "parent_id" if self._identity.provider is None else "provider"
        wanted: object = getattr(self._identity, key)
        return bool(row.get(key, wanted) == wanted)

    def _may_be_of(self, recorded: dict[str, Any], row: WorkatoConnection) -> bool:
        """Tell whether *row* was created about when the recorded create was sent, and not much later."""
        created_at = parse_time(row.get("created_at"))
        if created_at is None or created_at.tzinfo is None:
            return True
        later = created_at.timestamp() - recorded["sent_at"]
        return bool(-_SKEW <= later <= self._settings.server_timeout + _SKEW)

    def _after_another_process(self, matches: list[WorkatoConnection]) -> list[WorkatoConnection]:
        """Wait for the outcome of a create that another process on this machine sent and got no answer to."""
        unanswered = self._lock.unanswered()
        if unanswered is None:
            return matches
        until = time.monotonic() + self._settings.server_timeout - unanswered.age
        matches = self._wait_for_new(known=unanswered.known, until=until, at_first=matches)
        self._record_answered()
        return matches

    def _use_existing(self, matches: Sequence[WorkatoConnection]) -> WorkatoConnection:
        """Handle the connection that exists as ``if_exists`` says."""
        row = only_match(matches, self._identity)
        if self.if_exists == "fail":
            raise WorkatoExistsError(
                f"Connection {row['id']} exists already ({self._identity}) and if_exists is 'fail'. "
                "Set if_exists to 'reuse' or 'update' to use it.",
                connection_ids=[row["id"]],
            )
        return self._existing(row, created=False, update=self.if_exists == "update")

    def _existing(self, row: WorkatoConnection, *, created: bool, update: bool) -> WorkatoConnection:
        self._release_semaphore()
        usable = state_of(row) is State.AUTHORIZED or not self._tests_credentials
        needs_change = update or not usable
        if needs_change and not (created or self._identity.is_certain_of(row)):
            raise self._uncertain(row)
        is_unchanged = update and self._shows_all(row)
        changes = needs_change and not is_unchanged
        self.record.before_use(row, changes=changes)
        outcome: Outcome = "created" if created else "changed" if changes else "reused"
        self.record.known(row, outcome=outcome)
        status = status_text(row)
        if not needs_change:
            log.info("Reusing connection %s (%s); status: %s.", row["id"], self._identity, status)
            return row
        if is_unchanged:
            log.info("Connection %s (%s) is unchanged; status: %s.", row["id"], self._identity, status)
            return row
        if update:
            if self.spec.credentials and usable and self._identity.provider in LOGIN_APPS:
                log.warning(
                    "Connection %s (%s) is authorized, probably by a person's login, which 'input' may end. "
                    "If so, leave 'input' out.",
                    row["id"],
                    self._identity.provider,
                )
            log.info("Updating connection %s (%s).", row["id"], self._identity)
        else:
            log.info("Connection %s exists but is not authorized; updating its credentials.", row["id"])
        call = Call.of(
            endpoints.UPDATE,
            self._changes() if update else {},
            connection_id=row["id"],
            secrets=self.spec.credentials,
        )
        # Workato's answer to an update has fewer keys than its list.
        said = change(self.transport, call).items()
        changed = {**row, **{key: value for key, value in said if value is not None or key in row}}
        self.record.known(changed, outcome=outcome)
        return self._accepted(changed)

    def _shows_all(self, row: WorkatoConnection) -> bool:
        """Tell whether an update would change nothing: the list shows all of it."""
        # It shows neither credentials nor shell_connection.
        return self.spec.credentials is None and all(
            key in row and (row[key] == value or is_stored_form(str(row[key]), str(value)))
            for key, value in self._changes().items()
        )

    def _create(self, *, known: list[int]) -> WorkatoConnection:
        """Create the connection; send the create again where that is safe.

        :param known: the ids of the matching connections that exist already.
        """
        call = Call.of(self._endpoint, self.spec.payload(), secrets=self.spec.credentials)
        retries = retrying(call, budget=self._settings.retry_budget, looks_up=True)
        return retries(self._attempt, call, known)

    def _attempt(self, call: Call, known: list[int]) -> WorkatoConnection:
        """Send the create once, when the rate limiter lets it, and find out what became of it.

        :raises WorkatoError: if it made no connection.
        """
        if found := self._wait_and_record(call, known):
            if call.answer_lost:
                return self._adopted(only_match(found, self._identity))
            # No request of ours was carried out, so another process created it.
            self._record_not_created()
            return self._use_existing(found)
        try:
            row = self._created(Sealed(self.transport.send_once(call).body), call)
        except WorkatoError as error:
            if not is_ambiguous(error):
                # A definite refusal: the next try has nothing to search for.
                self._record_not_created()
                raise
            lost = error
        else:
            log.info("Created connection %s (%s); status: %s.", row["id"], self._identity, status_text(row))
            self._record_created(row)
            self.record.known(row, outcome="created")
            return self._accepted(row)
        call.answer_lost = True
        log.warning("%s Checking whether the connection was created.", lost)
        until = self._sent_at + self._settings.server_timeout if may_still_run(lost) else 0.0
        found_late = self._search_for_new(known=known, until=until)
        if found_late is not None:
            return self._adopted(found_late)
        # Workato's time is over and the connection is not there. One that appears later is not ours.
        self._record_not_created()
        raise lost

    def _wait_and_record(self, call: Call, known: list[int]) -> list[WorkatoConnection]:
        """Wait for the rate limiter, then record that the create leaves, unless the connection has appeared.

        :returns: the connection if it has appeared meanwhile; then nothing may be sent.
        """
        began, limiter = time.monotonic(), self.transport.limiter(call)
        granted = limiter.acquire()
        for _ in range(_MAX_WRITES):
            recorded_at = time.monotonic()
            if found := self._appeared(call, known):
                return found
            self._release_semaphore()
            self._write({"sent_at": time.time(), "known": known})
            granted = limiter.renew(granted)
            if time.monotonic() - recorded_at <= _STALE:
                break
        # Workato's time starts now: recording the create and waiting to send it may have taken long.
        self._lock.record_sent(known)
        self._search.count_own()
        self._sent_at = time.monotonic()
        call.waited += self._sent_at - began
        return []

    def _appeared(self, call: Call, known: list[int]) -> list[WorkatoConnection]:
        """Search again if the last search is old; return the matches that are not *known*."""
        if self._search.is_fresh():
            return []
        log.info(
            "The last search is %.0f s old; searching again before the create.",
            time.monotonic() - self._search.at,
        )
        try:
            matches = self._matches()
        except WorkatoError:
            # An earlier search showed that no request before this one created anything.
            self._record_not_created()
            raise
        if self.if_exists == "duplicate" and not call.answer_lost:
            known[:] = [row["id"] for row in matches]
        return [row for row in matches if row["id"] not in known]

    def _search_for_new(
        self, *, known: Sequence[int], until: float, at_first: Sequence[WorkatoConnection] | None = None
    ) -> WorkatoConnection | None:
        """Return a match that is not *known*; search until Workato's time is over."""
        rows = self._wait_for_new(known=known, until=until, at_first=at_first)
        new = [row for row in rows if row["id"] not in known]
        return only_match(new, self._identity) if new else None

    def _wait_for_new(
        self, *, known: Sequence[int], until: float, at_first: Sequence[WorkatoConnection] | None = None
    ) -> list[WorkatoConnection]:
        """Return all matches as soon as one is not *known*, or at *until* on the monotonic clock."""
        pause = 0.5
        rows = self._matches() if at_first is None else list(at_first)
        told = False
        # A list from before *until* does not show what was created since.
        while all(row["id"] in known for row in rows) and self._search.at < until:
            remaining = max(0.0, until - time.monotonic())
            if not told and remaining:
                told = True
                log.info(
                    "A create of this connection (%s) may still be under way; searching for up to %d s.",
                    self._identity,
                    math.ceil(remaining),
                )
            time.sleep(min(pause, remaining))
            pause = min(pause * 2, _LONGEST_PAUSE)
            rows = self._matches()
        return rows

    def _adopted(self, row: WorkatoConnection) -> WorkatoConnection:
        log.info("Adopted connection %s, created by the call whose answer was lost.", row["id"])
        self._record_adopted(row)
        return self._existing(row, created=not self._is_guess, update=False)

    @property
    def _settings(self) -> WorkatoSettings:
        return self.transport.settings

    @property
    def _tests_credentials(self) -> bool:
        """Whether Workato tests credentials of this task at once."""
        return self.spec.credentials is not None and not self.spec.shell_connection

    def _accepted(self, row: WorkatoConnection) -> WorkatoConnection:
        if self._tests_credentials:
            refused = failure(row, advice=Advice.REFUSED, secrets=self._secrets())
            if refused is not None:
                raise refused
        return row

    def _secrets(self) -> list[str]:
        leaves = [] if self.spec.credentials is None else self.spec.credentials.leaves()
        return secret_texts(iter([self._settings.token.reveal(), *leaves]))

    def _uncertain(self, row: WorkatoConnection) -> WorkatoExistsError:
        folder = row.get("folder_id")
        if self._identity.is_cut_in(row):
            return WorkatoExistsError(
                f"Connection {row['id']} shows only the beginning of the {self._identity.decides}, so it may "
                "have another owner. It was not changed. Shorten the text to 255 characters.",
                connection_ids=[row["id"]],
            )
        return WorkatoExistsError(
            f"Connection {row['id']} in folder {folder} matches by its name alone ({self._identity}), so it "
            "may have another owner. It was not changed. If it is the one meant, add "
            f"folder_id={folder}; if not, give yours another folder_id, or an external_id.",
            connection_ids=[row["id"]],
        )

    def _release_semaphore(self) -> None:
        if self._semaphore is not None:
            self._semaphore.release()

    def _record_adopted(self, row: WorkatoConnection) -> None:
        # A match by name alone may have another owner, who created it meanwhile: use it, but neither change
        # it nor count it as created here.
        self._is_guess = not self._identity.is_certain_of(row)
        if self._is_guess:
            self._record_not_created()
        else:
            self._record_created(row)

    def _record_not_created(self) -> None:
        """Record that there is no connection that a later try could take for its own."""
        self._write({})
        self._record_answered()

    def _record_created(self, row: WorkatoConnection) -> None:
        self._write({"id": row["id"]})
        self._record_answered()

    def _record_answered(self) -> None:
        self._lock.record_answered()
        self._search.count_own()

    def _write(self, record: dict[str, Any]) -> None:
        self.record.write({**record, "for": str(self._identity), "at": self._settings.base_url})


class RuntimeUserProvisioning(Provisioning):
    """Find or create a connection for an end user to log in to."""

    _endpoint = endpoints.CREATE_RUNTIME_USER

    def _identity_of(self, spec: ConnectionSpec) -> Identity:
        return Identity(provider=None, parent_id=spec.parent_id, external_id=spec.external_id)

    def _filters(self) -> ListFilters:
        return {
            "external_id": self._identity.list_filter,
            "parent_id": self.spec.parent_id,
            "include_runtime_connections": True,
        }

    def _changes(self) -> dict[str, Any]:
        return drop_none(name=self.spec.name, folder_id=self.spec.folder_id)

    def _created(self, answer: Sealed, call: Call) -> WorkatoConnection:
        said = parse_runtime_user_connection(
            decode(answer.reveal(), operation=self._endpoint.operation), sent=call.payload
        )
        # The answer holds no more than id and URL.
        known = ("parent_id", "folder_id", "external_id", "name")
        return {**{key: getattr(self.spec, key) for key in known}, **said}


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
