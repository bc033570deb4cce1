"""A note about an attempt that outlives the process that made it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_workato.version_compat import task_state_store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """Remembers an attempt beyond the life of the process that made it. Holds no credentials."""

    def read(self) -> dict[str, Any]:
        """Return the latest note, empty if there is none."""

    def write(self, note: dict[str, Any]) -> None:
        """Replace the note.

        :param note: JSON values only.
        """


class TaskStateLedger:
    """Keeps a note in the task state store of Airflow 3.3; before that it forgets.

    Losing a note is no loss: the look-up in Workato finds what was made.

    :param context: the task's execution context.
    """

    #: Renaming it would cut tries in flight off from their notes.
    KEY = "workato_connection"

    def __init__(self, context: Context) -> None:
        self._store = task_state_store(context)

    def read(self) -> dict[str, Any]:
        """Return the latest note, empty if there is none."""
        if self._store is None:
            return {}
        try:
            note = self._store.get(self.KEY)
        except Exception:
            log.warning("The task state store cannot be read; relying on the look-up.", exc_info=True)
            return {}
        return note if isinstance(note, dict) else {}

    def write(self, note: dict[str, Any]) -> None:
        """Replace the note.

        :param note: JSON values only.
        """
        if self._store is None:
            return
        try:
            self._store.set(self.KEY, note)
        except Exception:
            log.warning("The task state store cannot be written; relying on the look-up.", exc_info=True)
