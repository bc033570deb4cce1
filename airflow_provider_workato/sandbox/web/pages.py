"""The plain HTML pages of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template

from fastapi import Response

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · Workato sandbox</title>
<style>
:root { color-scheme: light dark; --accent: #0b6b61; --line: #8886; }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
       font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f2f5f4, #16201e); }
main { width: 100%; max-width: $width; padding: 2rem; border: 1px solid var(--line); border-radius: 12px;
       background: light-dark(#fff, #1e2a28); box-shadow: 0 6px 24px #0002; }
header { font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; opacity: .7; }
h1 { margin: .25rem 0 1rem; font-size: 1.4rem; line-height: 1.25; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 1rem 0; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
form { display: flex; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1; padding: .7rem 1rem; font: inherit; font-weight: 600; border-radius: 8px; cursor: pointer;
         border: 1px solid var(--line); background: transparent; color: inherit; }
button.primary { background: var(--accent); border-color: var(--accent); color: #fff; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
td:last-child { white-space: nowrap; }
th, td { padding: .4rem .6rem; text-align: left; border-bottom: 1px solid var(--line); }
footer { margin-top: 1.5rem; font-size: .8rem; opacity: .7; }
</style>
</head>
<body>
<main>
<header>Workato sandbox</header>
<h1>$title</h1>
$body
<footer>$footer</footer>
</main>
</body>
</html>
""")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

NOT_REAL = "This is a stand-in for development. No real account is involved."


def page(*, title: str, body: str, status: int = 200, width: str = "30rem") -> Response:
    """Make a page.

    :param title: its heading, as plain text
    :param body: HTML below the heading; what came from outside is escaped already
    :param status: HTTP status
    :param width: how wide the text may run
    """
    text = _PAGE.substitute(title=escape(title), body=body, footer=NOT_REAL, width=width)
    return Response(text, status_code=status, media_type="text/html", headers=_HEADERS)


def facts(pairs: Mapping[str, str | None]) -> str:
    """Make a list of names and values, leaving out values that are None.

    :param pairs: plain text
    """
    rows = (
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in pairs.items()
        if value is not None
    )
    return f"<dl>{''.join(rows)}</dl>"
