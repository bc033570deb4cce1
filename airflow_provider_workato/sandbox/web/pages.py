"""The HTML pages of the sandbox, made from the templates beside this file."""

from __future__ import annotations

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


def page(template: str, /, *, status: int = 200, **values: Any) -> Response:
    """Return a page. All values are escaped.

    :param template: file name of the template.
    :param status: HTTP status.
    :param values: what the template shows; ``title`` is needed by all.
    """
    text = _TEMPLATES.get_template(template).render(values)
    return Response(text, status_code=status, media_type="text/html", headers=_HEADERS)
