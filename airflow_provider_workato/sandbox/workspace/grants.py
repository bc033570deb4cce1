"""OAuth consents that somebody was sent a link for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Grant:
    """A link to the consent page; it works once."""

    connection_id: int
    redirect_url: str | None
    outcome: str | None = None


class Grants:
    """The links handed out, by the random state in their address."""

    def __init__(self) -> None:
        self._by_state: dict[str, Grant] = {}

    def issue(self, *, connection_id: int, redirect_url: str | None) -> str:
        """
        Make a link and return its state.

        :param connection_id: connection to be authorized
        :param redirect_url: where the person goes after it, if anywhere
        """
        state = secrets.token_urlsafe(24)
        self._by_state[state] = Grant(connection_id=connection_id, redirect_url=redirect_url)
        return state

    def find(self, state: str) -> Grant | None:
        """
        Return the consent behind a state, if there is one.

        :param state: from the address of the page
        """
        return self._by_state.get(state)

    def clear(self) -> None:
        """Make every link handed out invalid."""
        self._by_state.clear()
