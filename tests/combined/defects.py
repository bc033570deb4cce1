"""Defects that the provider once had, to be put back. The histories must detect each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def _replace(cls: type, name: str, value: object) -> None:
    setattr(cls, name, value)


def _stamped_before_the_wait_for_a_turn() -> None:
    from airflow_provider_workato.provisioning.create_once import Provisioning

    def wait_and_record(self: Any, call: Any, known: list[int]) -> list[Any]:
        self._write({"sent_at": time.time(), "known": known})
        self._lock.record_sent(known)
        self._sent_at = time.monotonic()
        self.transport.limiter(call).acquire()
        return []

    _replace(Provisioning, "_wait_and_record", wait_and_record)


def _no_lock() -> None:
    from airflow_provider_workato.provisioning import create_once
    from airflow_provider_workato.provisioning.locks import CreateLock

    @contextmanager
    def unlocked(*_: object, **__: object) -> Iterator[CreateLock]:
        yield CreateLock()

    vars(create_once)["locked"] = unlocked


def _a_name_is_enough() -> None:
    from airflow_provider_workato.provisioning.identity import Identity

    _replace(Identity, "is_certain_of", lambda *_: True)


def _a_watch_narrows_the_list_of_all() -> None:
    from airflow_provider_workato.triggers.status import WorkatoConnectionStatusTrigger

    class Key(tuple[Any, ...]):
        """One list for an Airflow connection, with the filters of whoever comes first."""

        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return isinstance(other, tuple) and self[0] == other[0]

        def __hash__(self) -> int:
            return hash((self[0], ()))

    def list_key(_: type, kwargs: Mapping[str, Any]) -> Any:
        names = ("folder_id", "external_id")
        return Key((kwargs["workato_conn_id"], tuple((n, kwargs[n]) for n in names if kwargs[n] is not None)))

    _replace(WorkatoConnectionStatusTrigger, "list_key", classmethod(list_key))


def _one_bad_poll_is_enough() -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    from airflow_provider_workato.wait import Wait

    def has_failed_too_often(self: Any, error: Exception) -> bool:
        return isinstance(error, AirflowFailException)

    _replace(Wait, "_has_failed_too_often", has_failed_too_often)


def _a_list_of_any_age_is_an_answer() -> None:
    from airflow_provider_workato.triggers.shared_list import SharedList, Snapshot
    from airflow_provider_workato.wait import Wait

    def latest(self: Any, *, max_age: float) -> Any:
        return self._latest if isinstance(self._latest, Snapshot) else None

    seen = Wait.see

    def see(self: Any, rows: Any, listed_at: float) -> Any:
        is_accepted = self._accept_newest and all(
            row is not None and row.state == "authorized" for row in map(rows.get, self.ids)
        )
        return seen(self, rows, self.since if is_accepted else listed_at)

    _replace(SharedList, "latest", latest)
    _replace(Wait, "see", see)


def _a_fork_keeps_the_sockets() -> None:
    from airflow_provider_workato.client import session

    class Forgetful(set[Any]):
        def add(self, _: Any) -> None:
            """Forget it, so that no session is renewed after a fork."""

    vars(session)["_sessions"] = Forgetful()


def _two_entries_may_mean_one_connection() -> None:
    from airflow_provider_workato.operators.ensure import TaskRecord

    _replace(TaskRecord, "before_use", lambda *_, **__: None)


def _a_set_prunes_elsewhere() -> None:
    from airflow_provider_workato.provisioning.manifest import Scope

    _replace(Scope, "holds", lambda *_: True)


def _a_set_repeats_a_create() -> None:
    from airflow_provider_workato.provisioning.search import SetSearch

    _replace(SetSearch, "first", lambda self: self._rows if self.at else self.again())
    _replace(SetSearch, "is_fresh", lambda _: True)


def _a_fingerprint_misses_a_change() -> None:
    from airflow_provider_workato.provisioning.fingerprints import Fingerprints

    _replace(Fingerprints, "reason_to_send", lambda *_: None)


def _a_set_lists_for_each() -> None:
    from airflow_provider_workato.provisioning.search import SetSearch

    _replace(SetSearch, "first", SetSearch.again)


#: By a defect's number: the function that puts it back, and the promises that a play then finds broken.
DEFECTS: Mapping[str, tuple[Callable[[], None], set[str]]] = {
    "2": (_a_watch_narrows_the_list_of_all, {"not told", "a wait ended wrongly"}),
    # A create that arrives after the search for it ended exists twice, or stops the next try with 'fail'.
    "3": (_stamped_before_the_wait_for_a_turn, {"too many", "a task's error"}),
    "4": (_no_lock, {"too many", "a task's error"}),
    "5": (_one_bad_poll_is_enough, {"a wait ended wrongly"}),
    "13": (_a_name_is_enough, {"a stranger was changed"}),
    "19": (_a_list_of_any_age_is_an_answer, {"a wait ended wrongly"}),
    "forked": (_a_fork_keeps_the_sockets, {"another's answer"}),
    "pruned": (_a_set_prunes_elsewhere, {"a set went too far"}),
    "repeated": (_a_set_repeats_a_create, {"a set made it twice"}),
    "fingerprint": (_a_fingerprint_misses_a_change, {"a set missed a change"}),
    "listed": (_a_set_lists_for_each, {"a set listed again"}),
    "entries": (_two_entries_may_mean_one_connection, {"two entries"}),
}


def put_back(number: str) -> None:
    """Put a defect back.

    :param number: the defect's number.
    """
    DEFECTS[number][0]()
