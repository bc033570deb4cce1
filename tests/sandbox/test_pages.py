"""The pages for people: the workspace, and one for each connection."""

from __future__ import annotations

import re

import pytest
import requests
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.links.connections import connection_url
from tests.support.sandbox import RunningSandbox


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=30)


def shown(page: requests.Response) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text))


def test_open_in_workato_opens_the_connection(sandbox: RunningSandbox) -> None:
    settings = WorkatoSettings.from_airflow(Connection.from_json(sandbox.airflow_conn))
    page = get(connection_url(settings, 36))
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>ACME Production Salesforce connection</h1>" in page.text
    wanted = {"Number": "36", "App": "salesforce", "Status": "success", "Folder": "Sales"}
    assert {name: shown(page)[name] for name in wanted} == wanted


def test_the_workspace_links_to_it(sandbox: RunningSandbox) -> None:
    (link,) = re.findall(r'<a href="([^"]+)">36</a>', get(sandbox.url).text)
    assert get(f"{sandbox.url}/{link}").text == get(f"{sandbox.url}/connections/36").text


def test_what_happened_to_it(sandbox: RunningSandbox) -> None:
    address = f"{sandbox.url}/connections/36"
    sandbox.control.lose(36, reason="Token revoked")
    facts = shown(get(address))
    assert (facts["Status"], facts["Lost because"]) == ("success", "Token revoked")
    sandbox.control.fail(36, error="No such user")
    facts = shown(get(address))
    assert (facts["Status"], facts["Error"]) == ("failed", "No such user")
    assert "Lost because" not in facts
    (fresh,) = sandbox.control.seed([{"parent_id": 36, "folder_id": 77, "external_id": "acme"}])
    facts = shown(get(f"{sandbox.url}/connections/{fresh}"))
    assert (facts["Status"], facts["Parent"], facts["External id"]) == ("not connected", "36", "acme")
    assert facts["Folder"] == "77", "a folder without a name"


@pytest.mark.parametrize(("name", "status"), [("99", 404), ("0", 404), ("abc", 404), ("36/x", 404)])
def test_there_is_no_such_connection(sandbox: RunningSandbox, name: str, status: int) -> None:
    assert get(f"{sandbox.url}/connections/{name}").status_code == status


def test_a_page_says_that_the_connection_is_gone(sandbox: RunningSandbox) -> None:
    sandbox.call("DELETE", "connections/36")
    page = get(f"{sandbox.url}/connections/36")
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no connection 36" in page.text


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


def test_looking_is_no_call(sandbox: RunningSandbox) -> None:
    get(f"{sandbox.url}/connections/36")
    assert sandbox.control.requests() == []
