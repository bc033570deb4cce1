"""The control API and its Python side."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_workato.sandbox.client import wait_until
from tests.support.raw import closed_port
from tests.support.sandbox import RunningSandbox

SECRET = "s3nt1nel-of-the-control-test"


def test_it_ignores_the_proxy_of_the_environment(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"parent_id": 36, "folder_id": 4515, "external_id": "user@example.com"}
    data = sandbox.call("POST", "connections/runtime_user_connections", json=body).json()["data"]
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", closed_port())
    sandbox.control.click_authorize(data["url"])
    assert sandbox.control.connection(data["id"])["authorization_status"] == "success"


class TestSeed:
    def test_rows_as_given(self, sandbox: RunningSandbox) -> None:
        row = {
            "id": 4711,
            "name": "Seeded",
            "provider": "rest",
            "folder_id": 77,
            "description": "d",
            "external_id": "e",
            "authorization_status": "surprise",
            "connection_lost_at": "2026-01-01T00:00:00Z",
            "tags": ["t"],
            "active_recipes": 3,
        }
        folders = [{"id": 77, "name": "New", "project_id": 5}]
        assert sandbox.control.seed([row], folders=folders) == [4711]
        shown = sandbox.control.connection(4711)
        assert {key: shown[key] for key in row} == row
        assert shown["project_id"] == 5
        assert sandbox.call("POST", "connections", json={"name": "n", "provider": "rest"}).json()["id"] > 4711

    def test_new_ids_stay_above_seeded_ones(self, sandbox: RunningSandbox) -> None:
        sandbox.control.seed([{"id": 99_000_000}])
        made = sandbox.call("POST", "connections", json={"name": "n", "provider": "rest"}).json()
        assert made["id"] == 99_000_001

    def test_many_rows_never_share_an_id(self, sandbox: RunningSandbox) -> None:
        ids = sandbox.control.seed(count=3, id=4711)
        assert len(set(ids)) == 3
        assert sandbox.control.state()["counts"]["connections"] == 4

    @pytest.mark.parametrize("first", [True, False], ids=["id first", "id last"])
    def test_an_id_that_the_next_row_would_have_taken(self, sandbox: RunningSandbox, first: bool) -> None:
        (last,) = sandbox.control.seed([{}])
        rows: list[dict[str, Any]] = [{"id": last + 1, "name": "given"}, {"name": "taken"}]
        ids = sandbox.control.seed(rows if first else rows[::-1])
        assert sorted(ids) == [last + 1, last + 2]
        assert sandbox.control.connection(last + 1)["name"] == "given"
        assert sandbox.control.connection(last + 2)["name"] == "taken"

    def test_one_id_twice(self, sandbox: RunningSandbox) -> None:
        before = sandbox.control.state()
        with pytest.raises(RuntimeError, match=r"422.*2 connections have the id 5"):
            sandbox.control.seed([{"id": 5}, {"id": 5}], folders=[{"id": 1, "name": "n"}])
        assert sandbox.control.state() == before

    def test_an_existing_connection_is_replaced(self, sandbox: RunningSandbox) -> None:
        assert sandbox.control.seed([{"id": 36, "name": "Another"}]) == [36]
        assert [row["name"] for row in sandbox.control.connections()] == ["Another"]

    def test_a_success_has_a_time(self, sandbox: RunningSandbox) -> None:
        (connection_id,) = sandbox.control.seed([{"authorization_status": "success"}])
        assert sandbox.control.connection(connection_id)["authorized_at"] is not None

    def test_fifty_thousand(self, sandbox: RunningSandbox) -> None:
        ids = sandbox.control.seed(count=50_000, name="Many", external_id="many", provider="rest")
        assert len(set(ids)) == 50_000
        rows = sandbox.call("GET", "connections").json()
        assert [row["id"] for row in rows] == [*sorted(ids, reverse=True), 36]
        assert (rows[0]["name"], rows[0]["external_id"]) == ("Many 50000", "many-50000")
        assert sandbox.control.state(connections=False)["counts"]["connections"] == 50_001

    @pytest.mark.parametrize("body", [{"count": -1}, {"connections": [{"nam": "x"}]}, {"colour": "red"}])
    def test_mistakes(self, sandbox: RunningSandbox, body: dict[str, Any]) -> None:
        answer = requests.post(f"{sandbox.url}/sandbox/seed", json=body, timeout=30)
        assert answer.status_code == 422
        assert "detail" in answer.json()


class TestExternalChanges:
    def test_lose(self, sandbox: RunningSandbox) -> None:
        shown = sandbox.control.lose(36, reason="Token revoked")
        assert shown["connection_lost_reason"] == "Token revoked"
        assert shown["connection_lost_at"] is not None
        assert shown["authorization_status"] == "success"
        shown = sandbox.control.lose(36, reason="Token revoked", status="exception")
        assert (shown["authorization_status"], shown["authorization_error"]) == ("exception", "Token revoked")
        assert sandbox.control.authorize(36)["connection_lost_at"] is None

    def test_fail(self, sandbox: RunningSandbox) -> None:
        shown = sandbox.control.fail(36, error="No", status="exception")
        assert (shown["authorization_status"], shown["authorization_error"]) == ("exception", "No")

    def test_authorize_many(self, sandbox: RunningSandbox) -> None:
        ids = sandbox.control.seed(count=3)
        failed = sandbox.control.seed([{"authorization_status": "failed"}])
        assert sandbox.control.authorize_all(ids[:1]) == ids[:1]
        assert sandbox.control.authorize_all() == ids[1:]
        assert sandbox.control.authorize_all() == []
        by_status = sandbox.control.state()["counts"]["by_status"]
        assert by_status == {"success": 4, "failed": 1}
        assert sandbox.control.authorize_all(failed) == failed

    @pytest.mark.parametrize("action", ["authorize", "fail", "lose", "use"])
    def test_no_such_connection(self, sandbox: RunningSandbox, action: str) -> None:
        with pytest.raises(RuntimeError, match="404"):
            getattr(sandbox.control, action)(99)

    @pytest.mark.parametrize("action", ["authorize", "fail", "lose"])
    def test_a_body_is_not_needed(self, sandbox: RunningSandbox, action: str) -> None:
        assert requests.post(f"{sandbox.url}/sandbox/connections/36/{action}", timeout=30).status_code == 200


class TestRequestLog:
    def test_what_it_holds(self, sandbox: RunningSandbox) -> None:
        sandbox.call("GET", "connections", params={"external_id": "a b"})
        sandbox.call("DELETE", "connections/99")
        first, second = sandbox.control.requests()
        assert first["at"] < second["at"]
        assert {key: first[key] for key in first if key != "at"} == {
            "seq": 1,
            "operation": "list_connections",
            "method": "GET",
            "path": "/api/connections",
            "query": "external_id=a+b",
            "status": 200,
            "fault": None,
        }
        assert sandbox.control.requests(operation="delete_connection") == [second]
        assert sandbox.control.requests(since=1) == [second]
        assert sandbox.control.counts() == {
            "total": 2,
            "by_operation": {"list_connections": 1, "delete_connection": 1},
            "by_status": {"200": 1, "404": 1},
            "too_many_requests": 0,
        }
        sandbox.control.clear_requests()
        assert sandbox.control.requests() == []
        assert sandbox.control.counts()["total"] == 0

    def test_the_control_api_is_not_in_it(self, sandbox: RunningSandbox) -> None:
        sandbox.control.state()
        assert sandbox.control.requests() == []


def test_reset(sandbox: RunningSandbox) -> None:
    before = sandbox.control.state()
    made = sandbox.call("POST", "connections", json={"name": "n", "provider": "rest"}).json()["id"]
    sandbox.control.lose(36)
    sandbox.control.add_fault("forbidden", times=None)
    sandbox.control.seed(folders=[{"id": 1, "name": "n"}])
    sandbox.control.set_quota(calls_per_second=1)
    sandbox.control.reset()
    assert sandbox.control.state() == before
    assert sandbox.control.faults() == []
    assert sandbox.control.counts()["total"] == 0
    assert sandbox.call("POST", "connections", json={"name": "n", "provider": "rest"}).json()["id"] == made
    assert "x-rate-limit-remaining" not in sandbox.call("DELETE", "connections/99").headers


def test_it_is_described(sandbox: RunningSandbox) -> None:
    described = requests.get(f"{sandbox.url}/sandbox/openapi.json", timeout=30).json()
    assert "/sandbox/faults" in described["paths"]
    listed = requests.get(f"{sandbox.url}/sandbox/faults", timeout=30).json()["faults"]
    assert listed["delay"]["parameters"] == {"seconds": 1.0}


def test_no_such_control(sandbox: RunningSandbox) -> None:
    answer = requests.get(f"{sandbox.url}/sandbox/nonsense", timeout=30)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n", "provider": "rest", "input": {"a": {"b": [SECRET]}}},
        {"name": "n", "provider": "rest", "input": {"a": f"wrong-credentials-{SECRET}"}},
        {"name": "n", "provider": "rest", "input": {"a": f"malformed-credentials-{SECRET}"}},
        {"name": "n", "provider": "rest", "input": SECRET},
        {"name": "n", "provider": "rest", "input": [SECRET]},
    ],
)
def test_credentials_are_shown_nowhere(sandbox: RunningSandbox, body: dict[str, Any]) -> None:
    answers = [
        sandbox.call("POST", "connections", json=body),
        sandbox.call("PUT", "connections/36", json=body),
    ]
    sandbox.control.add_fault("hold", times=2, max_seconds=0.05)
    answers.append(sandbox.call("POST", "connections", json=body))
    answers.append(sandbox.call("GET", "connections", params={"includes[]": "tags"}))
    pages = (
        "",
        "sandbox/state",
        "sandbox/requests",
        "sandbox/faults",
        "sandbox/held",
        "sandbox/openapi.json",
    )
    answers += [requests.get(f"{sandbox.url}/{page}", timeout=30) for page in pages]
    for answer in answers:
        assert SECRET not in answer.text
        assert sandbox.token not in answer.text
    assert SECRET not in sandbox.process.stderr


def test_waiting_returns_what_came_true() -> None:
    answers = iter([0, None, "", "there"])
    assert wait_until(lambda: next(answers)) == "there"
    with pytest.raises(TimeoutError, match=r"gave up after 0\.05 s waiting for rain"):
        wait_until(lambda: False, deadline=0.05, what="rain")


def test_changes_tell_every_state_a_connection_was_in(sandbox: RunningSandbox) -> None:
    first = sandbox.control.changes()[-1]["seq"]
    made = sandbox.call("POST", "connections", json={"name": "n", "provider": "rest"}).json()["id"]
    sandbox.control.authorize(made)
    sandbox.control.lose(made)
    sandbox.call("PUT", f"connections/{made}", json={"input": {"a": "b"}, "shell_connection": True})
    sandbox.control.delete(made)
    told = sandbox.control.changes(since=first)
    assert {change["id"] for change in told} == {made}
    assert [change["at"] for change in told] == sorted(change["at"] for change in told)
    *rows, last = [change["connection"] for change in told]
    assert last is None
    states = [(row["authorization_status"], row["connection_lost_at"] is not None) for row in rows]
    # Noted before and after the credentials of an update are looked at.
    assert states == [(None, False), ("success", False), ("success", True), ("success", True), (None, False)]


def test_tokens_can_be_rotated(sandbox: RunningSandbox) -> None:
    sandbox.control.set_tokens("new", sandbox.token)
    assert sandbox.call("GET", "connections").status_code == 200
    sandbox.control.set_tokens("new")
    assert sandbox.call("GET", "connections").status_code == 401
    new = {"Authorization": "Bearer new"}
    assert sandbox.call("GET", "connections", headers=new).status_code == 200
    sandbox.control.reset()
    assert sandbox.call("GET", "connections", headers=new).status_code == 401
