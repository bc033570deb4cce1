"""The HTML pages of the sandbox, made from the templates beside this file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    auto_reload=False,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    # With "no-referrer" a browser hides the origin of the sandbox's own forms, too.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """Return a length of time in words.

    :param seconds: the length in seconds.
    """
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h"


def ago(timestamp: str) -> str:
    """Return how long ago a moment was, or its date after a day.

    :param timestamp: the moment as the API writes it.
    """
    moment = datetime.fromisoformat(timestamp)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds < _DAY else moment.date().isoformat()


_TEMPLATES.filters |= {"ago": ago, "duration": duration}


def page(template: str, /, *, status: int = 200, **values: Any) -> Response:
    """Return a page. All values are escaped.

    :param template: file name of the template.
    :param status: HTTP status.
    :param values: what the template shows. Every template needs ``title``.
    """
    text = _TEMPLATES.get_template(template).render(values)
    return Response(text, status_code=status, media_type="text/html", headers=_HEADERS)
