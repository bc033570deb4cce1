"""Record attempts where the next try of the task finds them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.version_compat import task_state_store

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class TaskState:
    """Stores the record in the task state store of Airflow 3.3 and later; before that, nowhere.

    A lost record is harmless: the search in Workato finds the connection.

    :param key: the key of the record.
    """

    #: Do not rename it: tries that are running would lose their records.
    KEY = "workato_connection"

    def __init__(self, context: Context, *, key: str = KEY) -> None:
        self._store = task_state_store(context)
        self._key = key

    def read(self) -> dict[str, Any]:
        """Return the latest record, an empty dict if there is none."""
        if self._store is None:
            return {}
        try:
            record = self._store.get(self._key)
        except Exception:
            log.warning("Cannot read the task state store; searching Workato instead.", exc_info=True)
            return {}
        return record if isinstance(record, dict) else {}

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record.

        :param record: JSON values only.
        """
        if self._store is None:
            return
        try:
            self._store.set(self._key, record)
        except Exception:
            log.warning(
                "Cannot write to the task state store; a retry will search Workato instead.", exc_info=True
            )
