"""Runtime user connections, and the page on which a person authorizes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.support.sandbox import RunningSandbox

USER = {"parent_id": 36, "folder_id": 4515, "external_id": "user@example.com"}


def create(sandbox: RunningSandbox, **body: Any) -> tuple[int, str]:
    answer = sandbox.call("POST", "connections/runtime_user_connections", json={**USER, **body})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    return data["id"], data["url"]


def oauth_url(sandbox: RunningSandbox, connection_id: int, **query: str) -> requests.Response:
    path = f"connections/runtime_user_connections/{connection_id}/get_oauth_url"
    return sandbox.call("GET", path, params=query)


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=30)


class TestCreate:
    def test_it_waits_for_its_user(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox, name="Ann's Salesforce")
        row = sandbox.control.connection(connection_id)
        wanted = {
            "name": "Ann's Salesforce",
            "provider": "salesforce",
            "parent_id": 36,
            "folder_id": 4515,
            "external_id": "user@example.com",
            "authorization_status": None,
            "authorized_at": None,
            "is_runtime_user": True,
        }
        assert {key: row[key] for key in wanted} == wanted
        assert url.startswith(f"{sandbox.url}/oauth/authorize?")
        assert parse_qs(urlsplit(url).query)["connection_id"] == [str(connection_id)]

    def test_twins_are_two(self, sandbox: RunningSandbox) -> None:
        assert create(sandbox)[0] != create(sandbox)[0]

    def test_no_such_parent(self, sandbox: RunningSandbox) -> None:
        answer = sandbox.call("POST", "connections/runtime_user_connections", json={**USER, "parent_id": 99})
        assert (answer.status_code, answer.json()) == (404, {"message": "Not found"})

    @pytest.mark.parametrize(
        "parent",
        [
            {"provider": "salesforce"},
            {"provider": "salesforce", "authorization_status": "exception"},
            {"provider": "salesforce", "authorization_status": "success", "connection_lost_at": "2026-01-01"},
            {"provider": "rest", "authorization_status": "success"},
            {"provider": "salesforce", "authorization_status": "success", "is_runtime_user": True},
        ],
        ids=["shell", "exception", "lost", "no OAuth", "runtime user"],
    )
    def test_parent_that_is_not_established(self, sandbox: RunningSandbox, parent: dict[str, Any]) -> None:
        (parent_id,) = sandbox.control.seed([parent])
        answer = sandbox.call(
            "POST", "connections/runtime_user_connections", json={**USER, "parent_id": parent_id}
        )
        assert answer.status_code == 400
        assert answer.json()["errors"] == {"parent_id": ["must be an established OAuth connection"]}

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("parent_id", None, "is invalid"),
            ("folder_id", 1, "is not a folder of this workspace"),
            ("external_id", "", "can't be blank"),
            ("redirect_url", "javascript:alert(1)", "is invalid"),
            ("callback_url", "file:///etc/passwd", "is invalid"),
        ],
    )
    def test_validation(self, sandbox: RunningSandbox, field: str, value: Any, error: str) -> None:
        answer = sandbox.call("POST", "connections/runtime_user_connections", json={**USER, field: value})
        assert answer.status_code == 400
        assert answer.json()["errors"] == {field: [error]}


class TestOAuthUrl:
    def test_each_is_new_and_all_work(self, sandbox: RunningSandbox) -> None:
        connection_id, first = create(sandbox)
        second = oauth_url(sandbox, connection_id).json()["data"]["url"]
        assert first != second
        assert get(first).status_code == get(second).status_code == 200

    def test_any_connection_with_oauth(self, sandbox: RunningSandbox) -> None:
        jira, rest = sandbox.control.seed([{"provider": "jira"}, {"provider": "rest"}])
        assert oauth_url(sandbox, jira).status_code == 200
        assert oauth_url(sandbox, rest).status_code == 404
        assert oauth_url(sandbox, 99).status_code == 404

    def test_redirect_address_in_the_query(self, sandbox: RunningSandbox) -> None:
        url = oauth_url(sandbox, 36, redirect_url="https://app.example/done").json()["data"]["url"]
        assert sandbox.control.click_authorize(url) == 303
        assert oauth_url(sandbox, 36, redirect_url="javascript:1").status_code == 400


class TestPage:
    def test_authorize(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox)
        assert sandbox.control.click_authorize(url) == 200
        row = sandbox.control.connection(connection_id)
        assert row["authorization_status"] == "success"
        assert row["authorized_at"] is not None

    def test_deny(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox, redirect_url="https://app.example/done")
        assert sandbox.control.click_deny(url) == 200
        row = sandbox.control.connection(connection_id)
        assert (row["authorization_status"], row["authorization_error"]) == (
            "failed",
            "The user denied access",
        )

    def test_a_second_chance(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox)
        sandbox.control.click_deny(url)
        sandbox.control.click_authorize(oauth_url(sandbox, connection_id).json()["data"]["url"])
        row = sandbox.control.connection(connection_id)
        assert (row["authorization_status"], row["authorization_error"]) == ("success", None)

    def test_looking_changes_nothing(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox)
        for _ in range(2):
            assert get(url).status_code == 200
        assert sandbox.control.connection(connection_id)["authorization_status"] is None

    def test_redirect(self, sandbox: RunningSandbox) -> None:
        _, url = create(sandbox, redirect_url="https://app.example/done?x=1")
        clicked = requests.post(url, timeout=30, allow_redirects=False)
        assert (clicked.status_code, clicked.headers["location"]) == (303, "https://app.example/done?x=1")

    @pytest.mark.parametrize(
        ("click", "answer", "status"),
        [("click_authorize", "authorized", "success"), ("click_deny", "denied", "failed")],
    )
    def test_a_link_works_once(self, sandbox: RunningSandbox, click: str, answer: str, status: str) -> None:
        connection_id, url = create(sandbox)
        getattr(sandbox.control, click)(url)
        for again in (
            get(url),
            requests.post(url, timeout=30),
            requests.post(url.replace("authorize", "deny")),
        ):
            assert again.status_code == 410
            assert f"The answer was: {answer}" in again.text
        assert sandbox.control.connection(connection_id)["authorization_status"] == status

    def test_links_that_lead_nowhere(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox)
        address = f"{sandbox.url}/oauth/authorize"
        assert get(address).status_code == 404
        assert get(f"{address}?connection_id={connection_id}&state=guessed").status_code == 404
        assert requests.post(f"{sandbox.url}/oauth/deny?state=guessed", timeout=30).status_code == 404
        sandbox.call("DELETE", f"connections/{connection_id}")
        assert get(url).status_code == 404

    def test_a_link_from_before_a_reset(self, sandbox: RunningSandbox) -> None:
        connection_id, url = create(sandbox)
        sandbox.control.reset()
        assert create(sandbox)[0] == connection_id
        assert get(url).status_code == 404

    def test_what_came_from_outside_is_text(self, sandbox: RunningSandbox) -> None:
        _, url = create(sandbox, name="<script>alert(1)</script>", external_id='"><img src=x>')
        for page in (get(url), get(f"{sandbox.url}/"), requests.post(url, timeout=30)):
            assert page.headers["content-type"].startswith("text/html")
            assert "&lt;script&gt;" in page.text
            assert "<script" not in page.text
            assert "<img" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]

    def test_it_is_not_an_api_call(self, sandbox: RunningSandbox) -> None:
        _, url = create(sandbox)
        sandbox.control.clear_requests()
        sandbox.control.click_authorize(url)
        assert sandbox.control.requests() == []
