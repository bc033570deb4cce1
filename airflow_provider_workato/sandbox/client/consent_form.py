"""Click a button of the consent page, as a person in a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin


def click(oauth_url: str, *, label: str) -> int:
    """Open a consent page, click a button, and return the HTTP status of the response.

    :param oauth_url: the page's URL.
    :param label: the button's label.
    :raises requests.HTTPError: if the link does not work, or no longer.
    """
    import requests

    shown = requests.get(oauth_url, timeout=30)
    shown.raise_for_status()
    form = _Form()
    form.feed(shown.text)
    action, name, value = form.buttons[label]
    # A redirect leads out of the sandbox, to whatever URL the API's caller gave.
    clicked = requests.post(urljoin(shown.url, action), data={name: value}, timeout=30, allow_redirects=False)
    clicked.raise_for_status()
    return clicked.status_code


class _Form(HTMLParser):
    """The buttons of a page by label: the URL they post to, and the name and value they send."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, tuple[str, str, str]] = {}
        self._button: tuple[str, str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            given = dict(attrs)
            self._button = (given["formaction"] or "", given["name"] or "", given["value"] or "")

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self.buttons[data.strip()] = self._button
            self._button = None
