"""Defects that the provider once had, to be put back: the net must catch each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def _stamped_before_the_wait_for_a_turn() -> None:
    from airflow_provider_workato.exceptions import WorkatoError
    from airflow_provider_workato.hooks import provisioning
    from airflow_provider_workato.hooks.transport import is_ambiguous

    def try_to_create(self: Any, known: list[int], *, first: bool) -> Any:
        self._note({"intent": time.time(), "known": known})
        self._claim.note_sending(known)
        self._sent_at = time.monotonic()
        self._first_sent_at = self._first_sent_at or self._sent_at
        try:
            return self.create(lambda: None), None
        except WorkatoError as error:
            if not is_ambiguous(error):
                self._note({"refused": True})
                self._claim.note_answered()
                raise
            return None, error

    provisioning.Provisioning._try_to_create = try_to_create  # type: ignore[method-assign]


def _no_lock() -> None:
    from airflow_provider_workato.hooks import provisioning

    @contextmanager
    def claimed(*_: object, **__: object) -> Iterator[provisioning.Claim]:
        yield provisioning.Claim()

    provisioning.claimed = claimed


def _a_name_is_enough() -> None:
    from airflow_provider_workato.models import Identity

    Identity.is_certain_of = lambda *_: True  # type: ignore[method-assign]


#: How to put each back, by the number it had, and what the play finds broken then.
DEFECTS: Mapping[str, tuple[Callable[[], None], set[str]]] = {
    "3": (_stamped_before_the_wait_for_a_turn, {"too many"}),
    "4": (_no_lock, {"too many", "a task's error"}),
    "13": (_a_name_is_enough, {"a stranger was changed"}),
}


def put_back(number: str) -> None:
    """
    Put a defect back.

    :param number: the number it had
    """
    DEFECTS[number][0]()
