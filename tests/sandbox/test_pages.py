"""The pages for people: the workspace, and one for each connection."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.links.connections import connection_url
from airflow_provider_workato.sandbox.pages import ago
from tests.support.raw import sent
from tests.support.sandbox import RunningSandbox


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=30)


def shown(page: requests.Response) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text))


def target(page: requests.Response, link: str) -> str:
    links: list[str] = re.findall(rf'<a href="([^"]*)">{link}</a>', page.text)
    (address,) = links
    return urljoin(page.url, address)


def statuses(page: requests.Response) -> list[str]:
    return re.findall(r'<span class="badge[^"]*">(.*?)</span>', page.text)


def test_open_in_workato_opens_the_connection(sandbox: RunningSandbox) -> None:
    settings = WorkatoSettings.from_airflow(Connection.from_json(sandbox.airflow_conn))
    page = get(connection_url(settings, 36))
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>ACME Production Salesforce connection</h1>" in page.text
    wanted = {"Id": "36", "Provider": "salesforce", "Folder": "Sales"}
    assert {name: shown(page)[name] for name in wanted} == wanted
    assert statuses(page) == ["success"]


def test_the_workspace_links_to_it(sandbox: RunningSandbox) -> None:
    (link,) = re.findall(
        r'<a href="([^"]+)">ACME Production Salesforce connection</a>', get(sandbox.url).text
    )
    assert get(f"{sandbox.url}/{link}").text == get(f"{sandbox.url}/connections/36").text


def test_what_happened_to_it(sandbox: RunningSandbox) -> None:
    address = f"{sandbox.url}/connections/36"
    sandbox.control.lose(36, reason="Token revoked")
    page = get(address)
    assert (statuses(page), shown(page)["Lost because"]) == (["success", "lost"], "Token revoked")
    sandbox.control.fail(36, error="No such user")
    page = get(address)
    assert (statuses(page), shown(page)["Error"]) == (["failed"], "No such user")
    assert "Lost because" not in shown(page)
    (fresh,) = sandbox.control.seed([{"parent_id": 36, "folder_id": 77, "external_id": "acme"}])
    page = get(f"{sandbox.url}/connections/{fresh}")
    facts = shown(page)
    assert (statuses(page), facts["Parent"], facts["External id"]) == (["not connected"], "36", "acme")
    assert facts["Folder"] == "77", "a folder without a name"


@pytest.mark.parametrize(
    ("use", "shown_as"),
    [
        ({"active_recipes": 1}, "1 active recipe"),
        ({"active_recipes": 2, "audit_log_streaming": True}, "2 active recipes and audit log streaming"),
    ],
)
def test_what_uses_it(sandbox: RunningSandbox, use: dict[str, Any], shown_as: str) -> None:
    sandbox.control.use(36, **use)
    assert shown(get(f"{sandbox.url}/connections/36"))["Used by"] == shown_as


@pytest.mark.parametrize(("name", "status"), [("99", 404), ("0", 404), ("abc", 404), ("36/x", 404)])
def test_there_is_no_such_connection(sandbox: RunningSandbox, name: str, status: int) -> None:
    assert get(f"{sandbox.url}/connections/{name}").status_code == status


def test_a_page_says_that_the_connection_is_gone(sandbox: RunningSandbox) -> None:
    sandbox.call("DELETE", "connections/36")
    page = get(f"{sandbox.url}/connections/36")
    assert page.headers["content-type"].startswith("text/html")
    assert "This workspace has no connection 36" in page.text
    assert target(page, "All connections") == f"{sandbox.url}/"


def press(page: requests.Response, button: str) -> requests.Response:
    """Press the first button with this label, as a browser would."""
    (action, *_) = re.findall(rf'<button formaction="([^"]+)"[^>]*>{button}</button>', page.text)
    return requests.post(urljoin(page.url, action), headers={"Sec-Fetch-Site": "same-origin"}, timeout=30)


@pytest.mark.parametrize("path", ["", "connections/36"])
@pytest.mark.parametrize(
    ("button", "shown_as"),
    [("Authorize", ["success"]), ("Fail", ["failed"]), ("Lose", ["success", "lost"])],
)
def test_buttons(sandbox: RunningSandbox, path: str, button: str, shown_as: list[str]) -> None:
    address = f"{sandbox.url}/{path}"
    after = press(get(address), button)
    assert after.url == address, "the page with the button is shown again"
    assert statuses(after) == shown_as


@pytest.mark.parametrize("path", ["", "connections/36"])
def test_delete_button(sandbox: RunningSandbox, path: str) -> None:
    after = press(get(f"{sandbox.url}/{path}"), "Delete")
    assert after.url == f"{sandbox.url}/"
    assert "There are no connections." in after.text
    assert sandbox.control.connections() == []


def test_a_connection_in_use_is_not_deleted(sandbox: RunningSandbox) -> None:
    sandbox.control.use(36, active_recipes=1)
    after = press(get(sandbox.url), "Delete")
    assert after.status_code == 409
    assert "used by active recipes" in after.text
    assert target(after, "All connections") == f"{sandbox.url}/"
    assert sandbox.control.connection(36)


@pytest.mark.parametrize("button", ["Authorize", "Fail", "Lose", "Delete"])
def test_a_button_of_a_connection_that_is_gone(sandbox: RunningSandbox, button: str) -> None:
    page = get(sandbox.url)
    sandbox.control.delete(36)
    assert "There are no connections." in press(page, button).text


def test_a_button_leads_back_to_the_sandbox_only(sandbox: RunningSandbox) -> None:
    address = f"{sandbox.url}/connections/36/lose?from=https://evil.example"
    assert requests.post(address, timeout=30, allow_redirects=False).status_code == 400
    assert sandbox.control.connection(36)["connection_lost_at"] is None


def test_gauges_and_request_log(sandbox: RunningSandbox) -> None:
    assert get(sandbox.url).text.count("no quota") == 2
    assert "No calls to the API yet." in get(sandbox.url).text
    sandbox.control.set_quota(list_per_minute=60)
    sandbox.control.add_fault("server_error", skip=1)
    for _ in range(2):
        sandbox.call("GET", "connections", params={"folder_id": 4515})
    page = get(sandbox.url)
    assert re.findall(r'<meter .*max="60" .*value="2"></meter>', page.text)
    assert "2 of 60 used in the last minute" in page.text
    assert page.text.count("<code>GET /api/connections?folder_id=4515</code>") == 2
    assert statuses(page) == ["success", "500", "200"]
    assert "<td>server_error</td>" in page.text


def test_only_the_newest_are_shown(sandbox: RunningSandbox) -> None:
    sandbox.control.seed(count=150)
    for _ in range(30):
        sandbox.call("GET", "users/me")
    page = get(sandbox.url)
    assert "The newest 100 of 151 connections." in page.text
    assert "The latest 25 calls." in page.text
    assert page.text.count('<a href="connections/') == 100


def test_a_call_without_a_response_yet(sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("hold")
    with sent(sandbox.url, token=sandbox.token, method="GET", path="/api/connections"):
        sandbox.control.wait_held()
        assert "no response yet" in get(sandbox.url).text


@pytest.mark.parametrize(
    ("seconds", "shown_as"),
    [(0, "[01] s ago"), (40, "4[0-9] s ago"), (61, "1 min ago"), (7_300, "2 h ago"), (100_000, "[0-9-]{10}")],
)
def test_times(seconds: float, shown_as: str) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    assert re.fullmatch(shown_as, ago(moment.isoformat()))


def test_everything_on_it_is_text(sandbox: RunningSandbox) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x>"
    row = {
        "name": evil,
        "provider": evil,
        "external_id": evil,
        "folder_id": 78,
        "authorization_status": evil,
        "authorization_error": evil,
        "connection_lost_at": evil,
        "connection_lost_reason": evil,
    }
    (made,) = sandbox.control.seed([row], folders=[{"id": 78, "name": evil}])
    for page in (get(f"{sandbox.url}/connections/{made}"), get(sandbox.url)):
        assert "&lt;script&gt;" in page.text
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_reload(sandbox: RunningSandbox) -> None:
    page = get(f"{sandbox.url}/connections/36")
    assert target(page, "Reload") == page.url


def test_the_workspace_refreshes_itself_until_it_is_paused(sandbox: RunningSandbox) -> None:
    page = get(sandbox.url)
    assert '<meta http-equiv="refresh" content="5">' in page.text
    paused = get(target(page, "Pause"))
    assert "refresh" not in paused.text.partition("<body>")[0]
    assert '<meta http-equiv="refresh"' in get(target(paused, "Refresh")).text


def test_the_workspace_shows_external_ids(sandbox: RunningSandbox) -> None:
    (made,) = sandbox.control.seed([{"external_id": "acme-jira"}])
    assert f"{made}, external id acme-jira</small>" in get(sandbox.url).text


def test_looking_is_no_call(sandbox: RunningSandbox) -> None:
    get(f"{sandbox.url}/connections/36")
    assert sandbox.control.requests() == []
