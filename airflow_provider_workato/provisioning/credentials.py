"""Where the credentials of a declared set come from, and what is remembered of those that were sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.provisioning.manifest import SOURCES
from airflow_provider_workato.redaction import Sealed
from airflow_provider_workato.version_compat import (
    AirflowNotFoundException,
    BaseHook,
    conf,
    read_variable,
    write_variable,
)

if TYPE_CHECKING:
    from airflow_provider_workato.provisioning.manifest import Declared, Scope

log = logging.getLogger(__name__)

#: Do not rename it: all credentials would be sent again.
_VARIABLE = "workato_fingerprints_"
_DESCRIPTION = (
    "Which credentials were sent to Workato: keyed fingerprints, from which nobody can tell them. If you "
    "delete it, the next apply sends all credentials again."
)


def with_credentials(declared: Sequence[Declared]) -> list[Declared]:
    """Return the entries with their credentials, sealed; an entry whose credentials cannot be had says why.

    :param declared: the entries of a manifest. Each Airflow connection is read once.
    """
    read: dict[str, Sealed | str] = {}
    return [_with_credentials(entry, read) for entry in declared]


def _with_credentials(entry: Declared, read: dict[str, Sealed | str]) -> Declared:
    given = Sealed(dict(entry.input))
    if entry.source is not None:
        conn_id = entry.source.conn_id
        if conn_id not in read:
            read[conn_id] = _fields(conn_id)
        fields = read[conn_id]
        if isinstance(fields, str):
            return replace(entry, problem=fields)
        for key, name in entry.source.keys.items():
            if fields.reveal().get(name) in (None, ""):
                return replace(
                    entry,
                    problem=f"Airflow connection {conn_id!r} has no {name}, which is to be input.{key}.",
                )
            given.reveal()[key] = fields.reveal()[name]
    if not given.reveal():
        return entry
    try:
        credentials = Sealed(given.reveal(), public=Sealed(entry.input).paths())
        return replace(entry, spec=entry.spec.with_credentials(credentials))
    except WorkatoConfigurationError as error:
        return replace(entry, problem=str(error))


def _fields(conn_id: str) -> Sealed | str:
    """Return the fields of an Airflow connection by the names of a manifest, or why there are none."""
    with suppress(AirflowNotFoundException):
        # No variable for it: a traceback that prints local variables would show its password.
        return _named(Sealed(BaseHook.get_connection(conn_id)))
    return f"Airflow has no connection {conn_id!r}."


def _named(connection: Sealed) -> Sealed:
    # Airflow logs an error if the extra is not JSON. It can be JSON without names, such as a list.
    extra = Sealed(connection.reveal().extra_dejson)
    if not isinstance(extra.reveal(), Mapping):
        extra = Sealed({})
    # In one expression: a variable would show its fields in a traceback that prints local variables.
    return Sealed(
        {f"extra.{name}": value for name, value in extra.reveal().items()}
        | {name: getattr(connection.reveal(), name) for name in SOURCES}
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
