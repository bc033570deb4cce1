"""The built pages as their readers see them: what fits a phone, what is copied, what the search finds."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.screenshots import Screenshots

pytestmark = pytest.mark.browser

PAGES = Path(__file__).parents[2] / "build" / "docs"
CREATE = (
    "reference/generated/airflow_provider_workato.operators.connections.WorkatoCreateConnectionOperator.html"
)
INSTALL = 'pip install "airflow-provider-workato[sandbox]"'
#: What scrolls sideways. Code may, and tables of more columns.
_TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll('.table-wrapper')]
    .filter((shown) => shown.scrollWidth > shown.clientWidth + 1)
    .filter((shown) => !shown.querySelector('tr > :nth-child(3)') || shown === document.documentElement)
    .map((shown) => shown.innerText.slice(0, 60))"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address at which the pages are served."""
    handler = functools.partial(_Quiet, directory=str(PAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pages_fit_a_phone(page: Page, site: str, screenshots: Screenshots) -> None:
    page.set_viewport_size({"width": 375, "height": 812})
    too_wide = {}
    for path in sorted(path.relative_to(PAGES) for path in PAGES.glob("**/*.html")):
        page.goto(f"{site}/{path}", wait_until="domcontentloaded")
        too_wide[path] = page.evaluate(_TOO_WIDE)
        if path.name == "mistakes.html":
            screenshots.take(page, "docs-mistakes-phone")
    assert len(too_wide) > 50
    assert [path for path, shown in too_wide.items() if shown] == []


@pytest.mark.parametrize(
    ("path", "copied"),
    [
        (
            "tutorial.html",
            f"python3 -m venv .venv\nsource .venv/bin/activate\n{INSTALL}",
        ),
        # Without what it prints.
        ("sandbox.html", f"{INSTALL}\nworkato-sandbox"),
    ],
)
def test_a_block_is_copied_without_prompts(
    context: BrowserContext, page: Page, site: str, path: str, copied: str
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/{path}")
    page.locator("div.highlight").first.hover()
    page.locator("button.copybtn").first.click()
    expect(page.locator("button.copybtn").first).to_have_class("copybtn o-tooltip--left success")
    assert page.evaluate("navigator.clipboard.readText()").strip() == copied


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("yaml", "The Airflow connection"),
        ("tenants", "Create connections"),
        ("quota", "Limits and quotas"),
        ("backfill", "Pools and concurrency"),
    ],
)
def test_the_search_finds_what_newcomers_look_for(page: Page, site: str, query: str, found: str) -> None:
    page.goto(f"{site}/search.html?q={query}")
    expect(page.locator("ul.search").get_by_role("link", name=found, exact=True).first).to_be_visible()


def test_a_page_of_an_operator_shows_all_its_parameters(
    page: Page, site: str, screenshots: Screenshots
) -> None:
    page.goto(f"{site}/{CREATE}")
    signature, fields = page.locator("dt.sig").first, page.locator("dl.field-list").first
    for name in ("public_input_keys", "deferrable", "wait_for_authorization", "workato_conn_id"):
        expect(signature).to_contain_text(f"{name}:")
        expect(fields.get_by_text(name, exact=True).first).to_be_visible()
    screenshots.take(page, "docs-operator")
