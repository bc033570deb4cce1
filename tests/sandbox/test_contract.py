"""Every answer of the sandbox is one that the vendor's OpenAPI description allows."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fastapi.routing import APIRoute

from airflow_provider_workato.sandbox.api import router
from airflow_provider_workato.sandbox.traffic import Operation
from tests.sandbox.contract import assert_documented, violations
from tests.support.sandbox import RunningSandbox

LIST = "/api/connections"
ONE = "/api/connections/{connection_id}"
PICKLIST = "/api/connections/{connection_id}/pick_list"
RUNTIME = "/api/connections/runtime_user_connections"
OAUTH_URL = "/api/connections/runtime_user_connections/{connection_id}/get_oauth_url"
WORKSPACE = "/api/users/me"
FOLDERS = "/api/folders"
PROJECTS = "/api/projects"
PROJECT = "/api/projects/{project_id}"

JIRA = {"name": "Prod JIRA", "provider": "jira", "folder_id": 1892}
RUNTIME_USER = {"parent_id": 36, "folder_id": 4515, "external_id": "user@example.com"}


def test_the_check_sees_a_missing_key_and_a_wrong_type(sandbox: RunningSandbox) -> None:
    body = sandbox.call("GET", "connections").json()
    assert violations(method="GET", path=LIST, status=200, body=body) == []
    without_tags = [{key: value for key, value in body[0].items() if key != "tags"}]
    assert violations(method="GET", path=LIST, status=200, body=without_tags)
    assert violations(method="GET", path=LIST, status=200, body=[{**body[0], "id": "36"}])
    assert violations(method="GET", path=LIST, status=200, body=[{**body[0], "created_at": "yesterday"}])
    assert violations(
        method="GET", path=LIST, status=200, body=[{**body[0], "authorization_status": "pending"}]
    )
    assert violations(method="GET", path=LIST, status=418, body=body)


@pytest.mark.parametrize("query", [{}, {"includes[]": "tags"}, {"external_id": "nobody"}])
def test_list(sandbox: RunningSandbox, query: dict[str, str]) -> None:
    sandbox.control.seed(
        [{"authorization_status": status} for status in (None, "failed", "exception", "success")]
    )
    assert_documented(sandbox.call("GET", "connections", params=query), path=LIST)


@pytest.mark.parametrize(
    "body",
    [
        JIRA,
        {**JIRA, "input": {"apitoken": "fine"}},
        {**JIRA, "input": {"apitoken": "wrong-credentials"}},
        {**JIRA, "input": {"apitoken": "raise-exception"}},
        {**JIRA, "input": {"apitoken": "malformed-credentials"}},
        {"name": "No folder", "provider": "rest", "external_id": "e"},
        {"provider": "jira"},
        {**JIRA, "folder_id": "abc"},
    ],
)
def test_create(sandbox: RunningSandbox, body: dict[str, Any]) -> None:
    assert_documented(sandbox.call("POST", "connections", json=body), path=LIST)


@pytest.mark.parametrize(
    ("connection_id", "body"),
    [(36, {"name": "Another name"}), (36, {"folder_id": 1}), (99, {"name": "Another name"})],
)
def test_update(sandbox: RunningSandbox, connection_id: int, body: dict[str, Any]) -> None:
    assert_documented(sandbox.call("PUT", f"connections/{connection_id}", json=body), path=ONE)


def test_disconnect(sandbox: RunningSandbox) -> None:
    # Not in the description: this is the body of the vendor's documentation page.
    answer = sandbox.call("POST", "connections/36/disconnect", json={"force": True})
    assert (answer.status_code, answer.json()) == (200, {"success": True, "status": "disconnected"})


def test_delete(sandbox: RunningSandbox) -> None:
    # Not in the description either.
    answer = sandbox.call("DELETE", "connections/36")
    assert (answer.status_code, answer.json()) == (200, {"success": True, "status": "deleted"})
    answer = sandbox.call("DELETE", "connections/36")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not found"})


@pytest.mark.parametrize(
    ("connection_id", "body"),
    [
        (36, {"pick_list_name": "sobject_fields", "pick_list_params": {"sobject_name": "Invoice__c"}}),
        (36, {"pick_list_name": "sobject_fields"}),
        (36, {"pick_list_name": "nonsense"}),
        (36, {}),
        (99, {"pick_list_name": "all_sobjects"}),
    ],
)
def test_picklist(sandbox: RunningSandbox, connection_id: int, body: dict[str, Any]) -> None:
    assert_documented(
        sandbox.call("POST", f"connections/{connection_id}/pick_list", json=body), path=PICKLIST
    )


@pytest.mark.parametrize("body", [RUNTIME_USER, {"parent_id": 36}, {**RUNTIME_USER, "parent_id": 99}])
def test_runtime_user_connection(sandbox: RunningSandbox, body: dict[str, Any]) -> None:
    assert_documented(sandbox.call("POST", "connections/runtime_user_connections", json=body), path=RUNTIME)


@pytest.mark.parametrize("connection_id", [36, 99])
def test_oauth_url(sandbox: RunningSandbox, connection_id: int) -> None:
    path = f"connections/runtime_user_connections/{connection_id}/get_oauth_url"
    assert_documented(sandbox.call("GET", path), path=OAUTH_URL)


def test_workspace(sandbox: RunningSandbox) -> None:
    assert_documented(sandbox.call("GET", "users/me"), path=WORKSPACE)


@pytest.mark.parametrize("query", [{}, {"parent_id": 4515}, {"with_nested_folders": "true"}])
def test_folders(sandbox: RunningSandbox, query: dict[str, Any]) -> None:
    assert_documented(sandbox.call("GET", "folders", params=query), path=FOLDERS)


@pytest.mark.parametrize("body", [{"name": "New"}, {"name": "New", "parent_id": "4515"}, {}])
def test_create_a_folder(sandbox: RunningSandbox, body: dict[str, Any]) -> None:
    assert_documented(sandbox.call("POST", "folders", json=body), path=FOLDERS)


def test_projects(sandbox: RunningSandbox) -> None:
    for project_id in (301, 302, 303):
        # The description allows none without a text; see GUESSES.md.
        sandbox.call("PUT", f"projects/{project_id}", json={"description": "Sales"})
    assert len(assert_documented(sandbox.call("GET", "projects"), path=PROJECTS)) == 3


@pytest.mark.parametrize(("recipes", "status"), [(0, 200), (1, 403)])
def test_delete_a_project(sandbox: RunningSandbox, recipes: int, status: int) -> None:
    sandbox.control.use(36, active_recipes=recipes)
    answer = sandbox.call("DELETE", "projects/302")
    assert answer.status_code == status
    assert_documented(answer, path=PROJECT)


@pytest.mark.parametrize(
    ("method", "path", "documented"),
    [
        ("GET", "connections", LIST),
        ("POST", "connections", LIST),
        ("PUT", "connections/36", ONE),
        ("POST", "connections/36/pick_list", PICKLIST),
        ("POST", "connections/runtime_user_connections", RUNTIME),
        ("GET", "connections/runtime_user_connections/36/get_oauth_url", OAUTH_URL),
        ("GET", "users/me", WORKSPACE),
        ("GET", "folders", FOLDERS),
        ("POST", "folders", FOLDERS),
        ("GET", "projects", PROJECTS),
        ("DELETE", "projects/302", PROJECT),
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic {token}", "Bearer {token}x", "Bearer \xe9"])
def test_without_the_right_token(
    sandbox: RunningSandbox, method: str, path: str, documented: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.format(token=sandbox.token)}
    answer = requests.request(method, f"{sandbox.url}/api/{path}", headers=headers, timeout=30)
    assert answer.status_code == 401
    assert assert_documented(answer, path=documented) == {"message": "Unauthorized"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "connections/36"),
        ("PUT", "connections/36a"),
        ("DELETE", "connections/0"),
        ("POST", "connections/-1/disconnect"),
        ("GET", "connections/runtime_user_connections/abc/get_oauth_url"),
        ("PATCH", "connections"),
        ("GET", "properties"),
    ],
)
def test_there_is_no_such_thing(sandbox: RunningSandbox, method: str, path: str) -> None:
    answer = sandbox.call(method, path)
    assert (answer.status_code, answer.json()) == (404, {"message": "Not found"})


def test_every_operation_has_a_route_and_the_log_names_it() -> None:
    routes = router.routes
    names = [route.name for route in routes if isinstance(route, APIRoute)]
    assert sorted(names) == sorted(set(Operation) - {Operation.UNKNOWN})


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "connections", "list_connections"),
        ("POST", "connections/runtime_user_connections", "create_runtime_user_connection"),
        ("PUT", "connections/36a", "update_connection"),
        ("DELETE", "connections/36%2F7", "unknown"),
        ("POST", "connections/36/pick_list", "get_picklist"),
        ("POST", "connections/", "unknown"),
        ("HEAD", "connections", "unknown"),
        ("GET", "connections/36/pick_list", "unknown"),
    ],
)
def test_the_operation_in_the_log(sandbox: RunningSandbox, method: str, path: str, operation: str) -> None:
    sandbox.call(method, path)
    (logged,) = sandbox.control.requests()
    assert logged["operation"] == operation
