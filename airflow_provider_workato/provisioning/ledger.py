"""Record attempts where the next try of the task finds them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_workato.version_compat import task_state_store

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """Stores a note about the latest attempt, which outlives the process. It never holds credentials."""

    def read(self) -> dict[str, Any]:
        """Return the latest note, an empty dict if there is none."""

    def write(self, note: dict[str, Any]) -> None:
        """Replace the note.

        :param note: JSON values only.
        """


class TaskStateLedger:
    """Stores the note in the task state store of Airflow 3.3 and later; before that, nowhere.

    A lost note is harmless: the search in Workato finds the connection.

    :param key: the key of the note.
    """

    #: Do not rename it: tries that are running would lose their notes.
    KEY = "workato_connection"

    def __init__(self, context: Context, *, key: str = KEY) -> None:
        self._store = task_state_store(context)
        self._key = key

    def read(self) -> dict[str, Any]:
        """Return the latest note, an empty dict if there is none."""
        if self._store is None:
            return {}
        try:
            note = self._store.get(self._key)
        except Exception:
            log.warning("Cannot read the task state store; searching Workato instead.", exc_info=True)
            return {}
        return note if isinstance(note, dict) else {}

    def write(self, note: dict[str, Any]) -> None:
        """Replace the note.

        :param note: JSON values only.
        """
        if self._store is None:
            return
        try:
            self._store.set(self._key, note)
        except Exception:
            log.warning(
                "Cannot write to the task state store; a retry will search Workato instead.", exc_info=True
            )
