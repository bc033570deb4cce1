"""The sandbox's pages as people see them: light, dark, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tests.browser.looks import check_looks
from tests.browser.screenshots import Screenshots, down_to

pytestmark = pytest.mark.browser

LOOKS: dict[str, dict[str, Any]] = {
    "": {"viewport": {"width": 1180, "height": 860}},
    "-dark": {"viewport": {"width": 1180, "height": 860}, "color_scheme": "dark"},
    "-phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
SEEDS: list[dict[str, Any]] = [
    {"name": "JIRA of acme", "folder_id": 1892, "external_id": "acme", "authorization_status": "success"},
    {"name": "JIRA of globex", "folder_id": 1892, "external_id": "globex", "authorization_status": "failed"},
    {"name": "JIRA of initech", "folder_id": 1892, "external_id": "initech"},
    {
        "name": "Salesforce of ada@example.com",
        "provider": "salesforce",
        "folder_id": 4515,
        "parent_id": 36,
        "external_id": "ada@example.com",
        "is_runtime_user": True,
    },
]
LONG = "a-name-without-a-space-" * 10


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A visit of the sandbox.

    :param oauth_url: the page on which a runtime user consents
    :param look: how the pages are shown; a part of the screenshots' names
    """

    page: Page
    sandbox: SandboxProcess
    oauth_url: str
    look: str


def call(sandbox: SandboxProcess, path: str, **params: Any) -> Any:
    """Call the API and return the answer.

    :param path: the path below ``/api/``
    :param params: the query
    """
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    return requests.get(f"{sandbox.url}/api/{path}", headers=headers, params=params, timeout=30).json()


@pytest.fixture(scope="module")
def process() -> Iterator[SandboxProcess]:
    """One sandbox for all tests, with its quotas."""
    with running_sandbox() as process:
        yield process


@pytest.fixture
def sandbox(process: SandboxProcess) -> SandboxProcess:
    """The sandbox, reset."""
    process.control.reset()
    return process


@pytest.fixture(params=LOOKS, ids=lambda look: look.removeprefix("-") or "light")
def visit(request: pytest.FixtureRequest, chromium: Browser, sandbox: SandboxProcess) -> Iterator[Visit]:
    sandbox.control.add_fault("server_error", operation="list_connections")
    ids = sandbox.control.seed(SEEDS)
    for params in ({"folder_id": 1892}, {"folder_id": 1892}, {"provider": "salesforce"}):
        call(sandbox, "connections", **params)
    link = call(sandbox, f"connections/runtime_user_connections/{ids[-1]}/get_oauth_url")
    sandbox.control.lose(36)
    with chromium.new_context(**LOOKS[request.param], locale="en-GB") as context:
        yield Visit(
            page=context.new_page(), sandbox=sandbox, oauth_url=link["data"]["url"], look=request.param
        )


#: Long enough for a test that looks at the page.
HARDLY_EVER = "?refresh=600"


def test_workspace(visit: Visit, screenshots: Screenshots) -> None:
    page = visit.page
    page.goto(f"{visit.sandbox.url}/{HARDLY_EVER}")
    check_looks(page)
    screenshots.take(page, f"workspace-whole{visit.look}", full_page=True)
    shown: dict[str, Any] = {"full_page": True}
    if visit.look == "-phone":
        # The whole page would be too long to look at.
        first = page.locator("tbody tr").first
        shown["clip"] = down_to(first, of=page.locator("body"))
    screenshots.take(page, f"workspace{visit.look}", **shown)
    row = page.get_by_role("row").filter(has_text="JIRA of initech")
    for button, status in {"Authorize": "success", "Fail": "failed", "Lose": "lost"}.items():
        row.get_by_role("button", name=button).click()
        expect(row).to_contain_text(status)
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_connection(visit: Visit, screenshots: Screenshots) -> None:
    page = visit.page
    page.goto(visit.sandbox.url)
    page.get_by_role("link", name="ACME Production Salesforce connection").click()
    expect(page.get_by_role("main")).to_contain_text("Account credentials refresh failed")
    check_looks(page)
    screenshots.take(page, f"connection{visit.look}")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("main")).not_to_contain_text("lost")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Workspace")
    page.goto(f"{visit.sandbox.url}/connections/36")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    check_looks(page)


@pytest.mark.parametrize(("button", "outcome"), [("Authorize", "Authorized"), ("Deny", "Denied")])
def test_consent(visit: Visit, screenshots: Screenshots, button: str, outcome: str) -> None:
    page = visit.page
    page.goto(visit.oauth_url)
    check_looks(page)
    screenshots.take(page, f"consent-page{visit.look}")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(outcome)
    check_looks(page)
    screenshots.take(page, f"{outcome.lower()}{visit.look}")
    page.goto(visit.oauth_url)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link was already used")
    check_looks(page)


def test_long_names(visit: Visit, screenshots: Screenshots) -> None:
    row = {"name": LONG, "provider": LONG, "external_id": LONG, "authorization_error": LONG}
    (number,) = visit.sandbox.control.seed([row])
    call(visit.sandbox, "connections", external_id=LONG)
    for path in (HARDLY_EVER, f"connections/{number}"):
        visit.page.goto(f"{visit.sandbox.url}/{path}")
        check_looks(visit.page)
        shown = "workspace" if path == HARDLY_EVER else "connection"
        screenshots.take(visit.page, f"long-{shown}{visit.look}")


def test_the_workspace_refreshes_itself(chromium: Browser, sandbox: SandboxProcess) -> None:
    """Without losing the place to which a person has scrolled."""
    sandbox.control.seed(count=50, provider="jira")
    with chromium.new_context(**LOOKS[""]) as context:
        page = context.new_page()
        page.goto(f"{sandbox.url}/?refresh=1")
        page.mouse.wheel(0, 1000)
        page.wait_for_function("scrollY > 500")
        place = page.evaluate("scrollY")
        sandbox.control.seed([{"id": 36, "name": "Another name", "provider": "salesforce"}])
        expect(page.get_by_role("link", name="Another name")).to_have_count(1)
        page.wait_for_function("place => Math.abs(scrollY - place) < 100", arg=place)
