"""What is remembered of the credentials that a declared set sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.redaction import Sealed
from airflow_provider_workato.version_compat import conf, read_variable, write_variable

if TYPE_CHECKING:
    from airflow_provider_workato.provisioning.manifest import Declared, Scope

log = logging.getLogger(__name__)

#: Do not rename it: all credentials would be sent again.
_VARIABLE = "workato_fingerprints_"
_DESCRIPTION = (
    "Which credentials were sent to Workato: keyed fingerprints, from which nobody can tell them. If you "
    "delete it, the next apply sends all credentials again."
)


class Fingerprints:
    """Which credentials were sent to the connections of a scope.

    Workato never shows them. So a keyed fingerprint (HMAC-SHA-256, its key derived from Airflow's Fernet key)
    of those sent last is kept in an Airflow variable. It tells whether others are to be sent, and without the
    key it tells nothing, also of a short password.

    :param workspace: the workspace's base URL.
    :param conn_id: the Airflow connection with the API token, which tells workspaces of one base URL apart,
        such as the environments of an account.
    :param scope: what the set is about.
    """

    def __init__(self, workspace: str, conn_id: str, scope: Scope) -> None:
        self._workspace = f"{workspace.lower()} {conn_id}"
        place = hashlib.sha256(f"{self._workspace} {scope}".encode()).hexdigest()[:16]
        self._variable = _VARIABLE + place
        keys = conf.get("core", "fernet_key", fallback="") or ""
        # The first key is the newest one; the others are those from before a rotation.
        self._keys = [Sealed(_derived(key)) for key in keys.split(",") if key.strip()]
        self._stored: dict[str, str] | None = None
        self._saved: dict[str, str] = {}

    @property
    def _known(self) -> dict[str, str]:
        if self._stored is None:
            self._stored = _parsed(read_variable(self._variable)) if self._keys else {}
            self._saved = dict(self._stored)
        return self._stored

    def reason_to_send(self, entry: Declared) -> str | None:
        """Return why an entry's credentials are to be sent, ``None`` if they were sent already.

        :param entry: the entry, with its credentials.
        """
        if not self._keys:
            return "without core.fernet_key nobody knows what was sent before"
        known = self._known.get(self._place(entry))
        if not known:
            return "what was sent before is not known"
        if any(hmac.compare_digest(known, self._of(entry, key)) for key in self._keys):
            return None
        return "the credentials changed, or the Fernet key did"

    def remember(self, entry: Declared) -> bool:
        """Note that an entry's credentials are sent; return whether others may have been before.

        :param entry: the entry, with its credentials.
        """
        if not self._keys:
            return False
        before, now = self._known.get(self._place(entry)), self._of(entry, self._keys[0])
        self._known[self._place(entry)] = now
        return before not in (None, now)

    def forget(self, entry: Declared) -> None:
        """Note that it is not known which credentials the connection has, or will have.

        :param entry: the entry.
        """
        # Not dropped: then nothing would have been sent.
        self._known[self._place(entry)] = ""

    def keep_only(self, declared: Sequence[Declared]) -> None:
        """Forget all other entries.

        :param declared: the entries that there are.
        """
        places = {self._place(entry) for entry in declared}
        for place in self._known.keys() - places:
            del self._known[place]

    def save(self) -> None:
        """Write what has changed."""
        if self._keys and self._known != self._saved:
            write_variable(self._variable, json.dumps(self._known), description=_DESCRIPTION)
            self._saved = dict(self._known)

    def _place(self, entry: Declared) -> str:
        return hashlib.sha256(str(entry.spec.identity()).encode()).hexdigest()[:16]

    def _of(self, entry: Declared, key: Sealed) -> str:
        credentials = entry.spec.credentials
        # With workspace and identity, so that equal passwords do not look equal.
        said = Sealed(
            json.dumps(
                [self._workspace, str(entry.spec.identity()), credentials.reveal() if credentials else None],
                sort_keys=True,
                default=str,
            ).encode()
        )
        digest = hmac.digest(key.reveal(), said.reveal(), "sha256")
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def _derived(fernet_key: str) -> bytes:
    return hmac.digest(fernet_key.strip().encode(), b"airflow-provider-workato fingerprints", "sha256")


def _parsed(stored: str | None) -> dict[str, str]:
    with suppress(ValueError):
        known: Any = json.loads(stored or "{}")
        if isinstance(known, Mapping):
            return {str(place): str(text) for place, text in known.items()}
    log.warning("The Airflow variable with the fingerprints is damaged; sending all credentials again.")
    return {}
