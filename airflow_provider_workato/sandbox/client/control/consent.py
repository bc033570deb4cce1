"""Click the buttons of the consent page, as a person in a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin

from airflow_provider_workato.sandbox.client.control.caller import ControlCaller


class ConsentControl(ControlCaller):
    """Authorize or deny on the consent page."""

    def click_authorize(self, oauth_url: str) -> int:
        """Open a consent page, click Authorize and return the HTTP status of the response.

        :param oauth_url: the page's URL.
        :raises requests.HTTPError: if the link does not work, or no longer.
        """
        return self._click(oauth_url, label="Authorize")

    def click_deny(self, oauth_url: str) -> int:
        """Open a consent page, click Deny and return the HTTP status of the response.

        :param oauth_url: the page's URL.
        :raises requests.HTTPError: if the link does not work, or no longer.
        """
        return self._click(oauth_url, label="Deny")

    def _click(self, oauth_url: str, *, label: str) -> int:
        with self.session() as session:
            page = session.get(oauth_url, timeout=30)
            page.raise_for_status()
            buttons = _Buttons()
            buttons.feed(page.text)
            action, name, value = buttons.by_label[label]
            # A redirect leads out of the sandbox, to the URL that the caller of the API gave.
            clicked = session.post(
                urljoin(page.url, action), data={name: value}, timeout=30, allow_redirects=False
            )
            clicked.raise_for_status()
            return clicked.status_code


class _Buttons(HTMLParser):
    """The buttons of a page by label: the URL they post to, and the name and value they send."""

    def __init__(self) -> None:
        super().__init__()
        self.by_label: dict[str, tuple[str, str, str]] = {}
        self._open: tuple[str, str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            given = dict(attrs)
            self._open = (given["formaction"] or "", given["name"] or "", given["value"] or "")

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.by_label[data.strip()] = self._open
            self._open = None
