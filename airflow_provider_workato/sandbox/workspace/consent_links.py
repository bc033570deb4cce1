"""The links to the consent page."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class ConsentLink:
    """A link to the consent page. It works once."""

    connection_id: int
    redirect_url: str | None
    outcome: str | None = None


class ConsentLinks:
    """The issued links, by the random ``state`` in their URL."""

    def __init__(self) -> None:
        self._by_state: dict[str, ConsentLink] = {}

    def issue(self, *, connection_id: int, redirect_url: str | None) -> str:
        """Issue a link and return its state.

        :param connection_id: the connection to be authorized.
        :param redirect_url: the URL to which the person is sent afterwards, if any.
        """
        state = secrets.token_urlsafe(24)
        self._by_state[state] = ConsentLink(connection_id=connection_id, redirect_url=redirect_url)
        return state

    def find(self, state: str) -> ConsentLink | None:
        """Return the link with this state, or None.

        :param state: the state from the page's URL.
        """
        return self._by_state.get(state)

    def clear(self) -> None:
        """Invalidate every link."""
        self._by_state.clear()
