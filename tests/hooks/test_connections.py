"""Every method of the hook: the requests it sends, and their effect."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from requests.adapters import HTTPAdapter

from airflow_provider_workato.exceptions import (
    WorkatoConfigurationError,
    WorkatoConnIdError,
    WorkatoError,
    WorkatoNotFoundError,
    WorkatoRejectedError,
    WorkatoValidationError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.redaction import Sealed
from airflow_provider_workato.version_compat import AirflowFailException, AirflowNotFoundException
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import everything_shown

PARENT, FOLDER, USERS_FOLDER = 36, 1892, 26204321


def only_request(sandbox: RunningSandbox) -> tuple[str, str, str]:
    """Return method, path and query of the only request sent."""
    (request,) = sandbox.control.requests()
    return request["method"], request["path"], request["query"]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


# List and find


def test_list_everything(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    (row,) = hook.list_connections()
    assert (row["id"], row["provider"], row["authorization_status"]) == (PARENT, "salesforce", "success")
    assert row["tags"] is None
    assert only_request(sandbox) == ("GET", "/api/connections", "")


def test_filters_become_query_parameters(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    hook.list_connections(
        folder_id="1892",
        project_id=301,
        parent_id=PARENT,
        external_id="a b&c=ü",
        provider="jira",
        include_runtime_connections=True,
        include_tags=True,
        updated_after=datetime(2026, 1, 31, 9, tzinfo=UTC),
    )
    assert only_request(sandbox)[2] == (
        "folder_id=1892&project_id=301&parent_id=36&external_id=a+b%26c%3D%C3%BC&provider=jira"
        "&include_runtime_connections=true&includes%5B%5D=tags&updated_after=2026-01-31T09%3A00%3A00Z"
    )


def test_filters_select_matching_connections(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    jira, rest, user = sandbox.control.seed(
        [
            {"provider": "jira", "folder_id": FOLDER, "external_id": "j-1"},
            {"provider": "rest", "folder_id": FOLDER, "external_id": "r-1"},
            {"provider": "salesforce", "parent_id": PARENT, "external_id": "u-1", "is_runtime_user": True},
        ]
    )
    assert ids(hook.list_connections(folder_id=FOLDER)) == [rest, jira]
    assert ids(hook.list_connections(project_id=301)) == [rest, jira]
    assert ids(hook.list_connections(provider="jira")) == [jira]
    assert ids(hook.list_connections(external_id="r-1")) == [rest]
    assert ids(hook.list_connections(parent_id=PARENT)) == []
    assert ids(hook.list_connections(parent_id=PARENT, include_runtime_connections=True)) == [user]
    assert ids(hook.list_connections()) == [rest, jira, PARENT]
    assert hook.list_connections(provider="salesforce", include_tags=True)[0]["tags"] == [
        "tag-ANgeffPL-3gxQwA"
    ]


def test_updated_after(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.authorize(PARENT)
    changed = datetime.fromisoformat(sandbox.control.connection(PARENT)["updated_at"])
    assert ids(hook.list_connections(updated_after=changed - timedelta(seconds=2))) == [PARENT]
    assert hook.list_connections(updated_after=(changed + timedelta(seconds=2)).isoformat()) == []


def test_a_data_center_may_ignore_a_filter(connect: Connect) -> None:
    rows = [
        {"id": 1, "provider": "jira", "external_id": "a", "parent_id": 36, "project_id": 5},
        {"id": 2, "application": "rest", "external_id": "b", "parent_id": None, "project_id": 6},
        {"id": 3, "provider": "jira"},
    ]
    with listening(body=json.dumps(rows).encode()) as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        assert ids(hook.list_connections(provider="jira")) == [1, 3]
        assert ids(hook.list_connections(external_id="b")) == [2, 3]
        assert ids(hook.list_connections(parent_id=36)) == [1, 3]
        assert ids(hook.list_connections(project_id=6)) == [2, 3]
        hook.close()


@pytest.mark.parametrize(
    "filters",
    [
        {"folder_id": "x"},
        {"parent_id": ""},
        {"project_id": True},
        {"external_id": ""},
        {"provider": 5},
        {"updated_after": "x"},
    ],
)
def test_wrong_filters_are_not_sent(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, filters: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoConfigurationError, match=next(iter(filters))):
        hook.list_connections(**filters)
    assert sandbox.control.requests() == []


def test_a_filter_that_does_not_exist(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    """Mypy reports unused ignores as errors, so these ones prove that it checks the filters."""
    with pytest.raises(
        TypeError, match="unknown list filter 'folder'; the filters are folder_id, project_id"
    ):
        hook.list_connections(folder=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown list filter 'folder'"):
        hook.iter_connections(folder=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown list filter 'folder'"):
        hook.find_connection(36, folder=1)  # type: ignore[call-arg]
    with pytest.raises(WorkatoConfigurationError, match="folder_id must be a number"):
        hook.list_connections(folder_id=[1])  # type: ignore[arg-type]
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("flag", ["include_runtime_connections", "include_tags"])
def test_a_flag_may_be_a_string(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, flag: str) -> None:
    filters: dict[str, Any] = {flag: "false"}
    hook.list_connections(**filters)
    assert only_request(sandbox)[2] == ""
    with pytest.raises(WorkatoConfigurationError, match=f"{flag} must be true or false"):
        hook.list_connections(**{flag: "perhaps"})  # type: ignore[arg-type]


def test_iter_connections_gives_the_same(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.seed(count=20, name="Many", provider="jira")
    assert list(hook.iter_connections()) == hook.list_connections()
    assert len(list(hook.iter_connections(provider="jira"))) == 20


@pytest.mark.parametrize("envelope", ["result_envelope", "extra_keys", "missing_keys"])
def test_real_answers_differ(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, envelope: str) -> None:
    sandbox.control.add_fault(envelope, times=None)
    assert ids(hook.list_connections()) == ids(list(hook.iter_connections())) == [PARENT]


def test_find(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    (user,) = sandbox.control.seed([{"is_runtime_user": True, "parent_id": PARENT}])
    assert hook.find_connection(str(user))["id"] == user
    assert only_request(sandbox)[2] == "include_runtime_connections=true"
    assert hook.find_connection(PARENT, folder_id=4515, include_runtime_connections=False)["id"] == PARENT


def test_find_a_missing_connection(hook: WorkatoConnectionsHook) -> None:
    with pytest.raises(WorkatoNotFoundError, match="deleted, or not visible to this token"):
        hook.find_connection(404)


# Create and update


def test_create_without_credentials(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    made = hook.create_connection(name="Empty", provider="jira")
    assert made["authorization_status"] is None
    assert only_request(sandbox) == ("POST", "/api/connections", "")
    assert sandbox.control.connection(made["id"])["name"] == "Empty"


def test_create_with_everything(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    made = hook.create_connection(
        name="Full",
        provider="salesforce",
        folder_id="4515",
        parent_id=str(PARENT),
        external_id="full-1",
        shell_connection=True,
        input={"auth_type": "api_token"},
    )
    row = sandbox.control.connection(made["id"])
    wanted = {
        "name": "Full",
        "provider": "salesforce",
        "folder_id": 4515,
        "parent_id": PARENT,
        "external_id": "full-1",
    }
    assert row | wanted == row
    assert row["authorization_status"] is None, "a shell connection is not tested"


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        ({"apitoken": "good"}, "success"),
        ({"a": [{"b": "wrong-credentials"}]}, "failed"),
        ({"a": "raise-exception"}, "exception"),
    ],
)
@pytest.mark.parametrize("wrap", [dict, Sealed])
def test_credentials_are_tested_at_once(
    hook: WorkatoConnectionsHook,
    credentials: dict[str, Any],
    status: str,
    wrap: Callable[[dict[str, Any]], Any],
) -> None:
    made = hook.create_connection(name="A", provider="jira", input=wrap(credentials))
    assert made["authorization_status"] == status


def test_request_bodies(connect: Connect) -> None:
    with listening(body=b'{"id": 7, "success": true, "data": []}') as workato:
        connect(host=f"{workato.url}/prefix/api")
        hook = WorkatoConnectionsHook()
        hook.create_connection(
            name="Ä", provider="jira", folder_id="5", shell_connection=False, input={"a": [1, None]}
        )
        hook.update_connection("7", external_id="e")
        hook.disconnect_connection(7, force=True)
        hook.disconnect_connection(7)
        hook.get_picklist(7, "tables_list")
        hook.get_picklist(7, "columns_list", {"table": "T"})
        hook.close()
    heard = workato.heard
    assert [json.loads(request.body or b"null") for request in heard] == [
        {
            "name": "Ä",
            "provider": "jira",
            "folder_id": 5,
            "shell_connection": False,
            "input": {"a": [1, None]},
        },
        {"external_id": "e"},
        {"force": True},
        None,
        {"pick_list_name": "tables_list", "pick_list_params": {}},
        {"pick_list_name": "columns_list", "pick_list_params": {"table": "T"}},
    ]
    assert [f"{request.method} {request.path}" for request in heard[:5]] == [
        "POST /prefix/api/connections",
        "PUT /prefix/api/connections/7",
        "POST /prefix/api/connections/7/disconnect",
        "POST /prefix/api/connections/7/disconnect",
        "POST /prefix/api/connections/7/pick_list",
    ]
    for request in heard:
        assert request.headers["Authorization"].startswith("Bearer ")
        assert request.headers["Accept"] == "application/json"
        assert request.headers["User-Agent"].startswith("airflow-provider-workato/")
        assert request.headers.get("Content-Type") == ("application/json" if request.body else None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": ""},
        {"name": "  "},
        {"provider": None},
        {"folder_id": "abc"},
        {"parent_id": -1},
        {"external_id": ""},
        {"input": "not an object"},
        {"input": {"a": {1, 2}}},
        {"input": {"a": float("nan")}},
        {"input": [("a", "b")]},
    ],
)
def test_invalid_arguments_are_not_sent(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, arguments: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoConfigurationError, match=next(iter(arguments))):
        hook.create_connection(**{"name": "A", "provider": "jira"} | arguments)
    assert sandbox.control.requests() == []


def test_field_errors(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    with pytest.raises(WorkatoValidationError) as caught:
        hook.create_connection(name="A", provider="no_such_app", folder_id=1)
    assert caught.value.status == 400
    assert set(caught.value.field_errors) == {"folder_id", "provider"}
    assert "folder_id: is not a folder of this workspace" in str(caught.value)
    assert len(sandbox.control.requests()) == 1, "what is wrong stays wrong"


@pytest.mark.parametrize("call", ["create_connection", "ensure_connection", "update_connection"])
def test_an_input_that_rendered_to_a_string(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, call: str
) -> None:
    given: dict[str, Any] = {"connection_id": 7} if call == "update_connection" else {"provider": "jira"}
    with pytest.raises(WorkatoConfigurationError) as caught:
        getattr(hook, call)(name="A", input='{"apitoken": "s3cret-t0ken"}', **given)
    assert "input must be a dict of parameters such as {'email': '…', 'apitoken': '…'}, not str" in str(
        caught.value
    )
    assert "'{{ var.json.jira }}'" in str(caught.value)
    assert "s3cret-t0ken" not in everything_shown(caught.value)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("call", ["create_connection", "ensure_connection", "update_connection"])
def test_an_empty_input(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, call: str) -> None:
    given: dict[str, Any] = {"connection_id": 7} if call == "update_connection" else {"provider": "jira"}
    with pytest.raises(WorkatoConfigurationError, match="input is empty"):
        getattr(hook, call)(name="A", input={}, **given)
    assert sandbox.control.requests() == []


@pytest.mark.parametrize("call", ["create_connection", "ensure_connection"])
def test_a_password_where_a_person_logs_in(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, call: str
) -> None:
    with pytest.raises(WorkatoConfigurationError, match="salesforce takes no password"):
        getattr(hook, call)(name="A", provider="salesforce", input={"password": "s3cret-passw0rd"})
    assert sandbox.control.requests() == []


def test_other_settings_where_a_person_logs_in(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    # Workato's Salesforce also takes a JWT.
    hook.create_connection(
        name="A", provider="salesforce", input={"sandbox": True, "private_key": "s3cret-k3y"}
    )
    assert len(sandbox.control.requests()) == 1


def test_update_sends_what_is_given(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    (number,) = sandbox.control.seed(
        [{"name": "Old", "provider": "jira", "external_id": "e", "authorization_status": "success"}]
    )
    assert hook.update_connection(number, name="New")["name"] == "New"
    assert only_request(sandbox) == ("PUT", f"/api/connections/{number}", "")
    row = sandbox.control.connection(number)
    assert (row["name"], row["external_id"], row["authorization_status"]) == ("New", "e", "success")
    hook.update_connection(str(number), folder_id=FOLDER, input={"a": "wrong-credentials"})
    row = sandbox.control.connection(number)
    assert (row["name"], row["folder_id"], row["authorization_status"]) == ("New", FOLDER, "failed")


def test_update_empties_a_field(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    row = {"name": "unset", "provider": "salesforce", "parent_id": PARENT, "custom_oauth_profile_id": 17}
    (number,) = sandbox.control.seed([row])
    assert hook.update_connection(number, parent_id="unset")["parent_id"] is None
    assert sandbox.control.connection(number)["custom_oauth_profile_id"] == 17
    hook.update_connection(number, custom_oauth_profile_id="18", parent_id=PARENT)
    row = sandbox.control.connection(number)
    assert (row["custom_oauth_profile_id"], row["parent_id"]) == (18, PARENT)
    hook.update_connection(number, name="unset", external_id="unset", custom_oauth_profile_id="unset")
    row = sandbox.control.connection(number)
    assert (row["name"], row["external_id"], row["custom_oauth_profile_id"]) == ("unset", "unset", None)


@pytest.mark.parametrize("given", [{"folder_id": "unset"}, {"parent_id": "Unset"}])
def test_what_no_update_empties(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, given: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoConfigurationError, match="number such as"):
        hook.update_connection(PARENT, **given)
    assert sandbox.control.requests() == []


def test_nothing_is_looked_for_by_an_empty_field(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    with pytest.raises(WorkatoConfigurationError, match="parent_id must be a connection's number"):
        hook.find_matching(external_id="a", provider="jira", parent_id="unset")
    with pytest.raises(WorkatoConfigurationError, match="parent_id must be a connection's number"):
        hook.create_runtime_user_connection(parent_id="unset", folder_id=FOLDER, external_id="a")
    assert sandbox.control.requests() == []


def test_update_without_changes(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    with pytest.raises(WorkatoConfigurationError, match="Nothing to change on connection 36"):
        hook.update_connection(PARENT)
    assert sandbox.control.requests() == []


# Disconnect and delete


def test_disconnect_twice(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    for _ in range(2):
        assert hook.disconnect_connection(PARENT) == {"success": True, "status": "disconnected"}
    assert sandbox.control.connection(PARENT)["authorization_status"] is None


def test_disconnect_by_force(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.use(PARENT, active_recipes=2)
    with pytest.raises(
        WorkatoRejectedError, match=r"active recipes use the connection.*force=True"
    ) as caught:
        hook.disconnect_connection(PARENT)
    assert caught.value.status == 200
    assert caught.value.detail == "You can't disconnect a connection used by active recipes"
    assert sandbox.control.connection(PARENT)["authorization_status"] == "success"
    assert hook.disconnect_connection(PARENT, force=True)["success"] is True


def test_delete(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    assert hook.delete_connection(PARENT) == {"success": True, "status": "deleted"}
    assert only_request(sandbox) == ("DELETE", "/api/connections/36", "")
    with pytest.raises(WorkatoNotFoundError):
        hook.delete_connection(PARENT)


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        ({"active_recipes": 1}, "Stop them first"),
        ({"audit_log_streaming": True}, "Choose another destination"),
    ],
)
def test_delete_a_connection_in_use(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, use: dict[str, Any], advice: str
) -> None:
    sandbox.control.use(PARENT, **use)
    with pytest.raises(WorkatoRejectedError, match=advice):
        hook.delete_connection(PARENT)


def test_rejected_for_another_reason(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("success_false", message="Not today")
    with pytest.raises(WorkatoRejectedError, match=r"Workato rejected the call\. Workato said: 'Not today'"):
        hook.delete_connection(PARENT)


def test_a_delete_whose_answer_was_lost(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("reset_before_answer", operation="delete_connection", performed=True)
    assert hook.delete_connection(36) == {"success": True, "status": "deleted"}
    assert [request["status"] for request in sandbox.control.requests()] == [None, 404, 200], (
        "the list confirms it"
    )


def test_a_delete_that_was_refused_before_has_deleted_nothing(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    sandbox.control.add_fault("rate_limited_no_header", operation="delete_connection")
    with pytest.raises(WorkatoNotFoundError):
        hook.delete_connection(404)


# Picklists and runtime users


def test_picklist(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    rows = hook.get_picklist(str(PARENT), "all_sobjects")
    assert rows[-1] == {"label": "Invoice", "value": "Invoice__c"}
    assert only_request(sandbox) == ("POST", "/api/connections/36/pick_list", "")
    fields = hook.get_picklist(PARENT, "sobject_fields", {"sobject_name": "Invoice__c"})
    assert fields[2]["label"] == "Invoice__c Name"


@pytest.mark.parametrize("fault", ["result_envelope", "missing_keys", "extra_keys"])
def test_picklist_rows_of_any_length(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, fault: str
) -> None:
    sandbox.control.add_fault(fault)
    assert hook.get_picklist(PARENT, "all_sobjects")[0] == {"label": "Account", "value": "Account"}


def test_picklist_of_an_unknown_name(hook: WorkatoConnectionsHook) -> None:
    with pytest.raises(WorkatoValidationError, match="salesforce has no pick list of this name"):
        hook.get_picklist(PARENT, "nonsense")
    with pytest.raises(WorkatoValidationError, match=r"check pick_list_name, .* did you mean all_sobjects\?"):
        hook.get_picklist(PARENT, "all_sobject")


@pytest.mark.parametrize("arguments", [("", None), ("x", ["a"]), ("x", "a"), ("x", {"a": object()})])
def test_wrong_picklist_arguments(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, arguments: tuple[str, Any]
) -> None:
    with pytest.raises(WorkatoConfigurationError):
        hook.get_picklist(PARENT, *arguments)
    assert sandbox.control.requests() == []


def test_runtime_user_connection(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    made = hook.create_runtime_user_connection(
        parent_id=str(PARENT),
        folder_id=USERS_FOLDER,
        external_id="ada",
        name="Ada",
        callback_url="https://example.com/done",
        redirect_url="https://example.com/thanks",
    )
    assert only_request(sandbox) == ("POST", "/api/connections/runtime_user_connections", "")
    row = sandbox.control.connection(made["id"])
    assert (row["name"], row["parent_id"], row["external_id"]) == ("Ada", PARENT, "ada")
    assert made["url"] is not None
    assert sandbox.control.click_authorize(made["url"]) == 303
    assert hook.find_connection(made["id"])["authorization_status"] == "success"


def test_another_oauth_url(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    made = hook.create_runtime_user_connection(parent_id=PARENT, folder_id=USERS_FOLDER, external_id="ada")
    sandbox.control.clear_requests()
    url = hook.get_oauth_url(str(made["id"]))
    assert only_request(sandbox)[:2] == (
        "GET",
        f"/api/connections/runtime_user_connections/{made['id']}/get_oauth_url",
    )
    assert url != made["url"]
    sandbox.control.click_deny(url)
    assert hook.find_connection(made["id"])["authorization_status"] == "failed"


def test_where_another_oauth_url_leads(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    user: dict[str, Any] = {"parent_id": PARENT, "folder_id": USERS_FOLDER, "external_id": "ada"}
    after: dict[str, Any] = {
        "callback_url": "https://example.com/done",
        "redirect_url": "https://example.com/thanks?for=it",
    }
    made = hook.create_runtime_user_connection(**user)
    sandbox.control.clear_requests()
    urls = [
        hook.get_oauth_url(made["id"], **after),
        hook.ensure_runtime_user_connection(**user, **after)["url"],
    ]
    queries = [request["query"] for request in sandbox.control.requests(operation="get_oauth_url")]
    assert [dict(parse_qsl(query)) for query in queries] == [after, after]
    assert [sandbox.control.click_authorize(url) for url in urls] == [303, 303]


@pytest.mark.parametrize("name", ["callback_url", "redirect_url"])
def test_a_wrong_url_after_the_login(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, name: str
) -> None:
    with pytest.raises(WorkatoConfigurationError, match=f"{name} is ' '"):
        hook.get_oauth_url(PARENT, **{name: " "})
    assert sandbox.control.requests() == []


# Ids


@pytest.mark.parametrize("bad", ["36/../../users/me", "", None, [36], "36?x", True])
@pytest.mark.parametrize(
    "call",
    [
        lambda hook, bad: hook.find_connection(bad),
        lambda hook, bad: hook.update_connection(bad, name="A"),
        lambda hook, bad: hook.disconnect_connection(bad),
        lambda hook, bad: hook.delete_connection(bad),
        lambda hook, bad: hook.get_picklist(bad, "x"),
        lambda hook, bad: hook.get_oauth_url(bad),
    ],
    ids=["find", "update", "disconnect", "delete", "picklist", "oauth"],
)
def test_ids_are_digits(
    hook: WorkatoConnectionsHook,
    sandbox: RunningSandbox,
    call: Callable[[WorkatoConnectionsHook, object], object],
    bad: object,
) -> None:
    with pytest.raises(WorkatoConfigurationError, match="connection_id must be a connection's number"):
        call(hook, bad)
    assert sandbox.control.requests() == []


# The Airflow side


def test_connection_test(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, connect: Connect) -> None:
    said = f"Workato at host {sandbox.url} accepts the API token. Visible connections: 1."
    assert hook.test_connection() == (True, said)
    assert only_request(sandbox)[:2] == ("GET", "/api/connections")
    hook.delete_connection(36)
    works, said = hook.test_connection()
    assert works
    assert said.endswith(
        "Visible connections: 0. If there should be some, give the API client access to their projects."
    )


def test_a_failed_connection_test_does_not_name_an_id(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, connect: Connect
) -> None:
    """Airflow's Test button gives the connection a random id."""

    def failed(**fields: str) -> str:
        connect("4Ic9J2Cl", **fields)
        works, said = WorkatoConnectionsHook("4Ic9J2Cl").test_connection()
        assert not works
        assert "4Ic9J2Cl" not in said
        return said

    rejected = failed(password="another-token")
    assert "the API token of this connection is not valid" in rejected
    assert sandbox.url in rejected
    assert failed(host="http://workato.example").startswith(
        "This connection: 'Base URL' (host) uses plain http"
    )
    assert "of this connection" in failed(host="http://127.0.0.1:1")


def test_one_session_for_all_calls(hook: WorkatoConnectionsHook) -> None:
    session = hook.get_conn()
    hook.list_connections()
    assert hook.get_conn() is session
    hook.close()
    hook.close()
    assert hook.get_conn() is not session


def test_the_session_reuses_its_network_connection(connect: Connect) -> None:
    with listening() as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        for _ in range(3):
            hook.list_connections()
        pools = hook.get_conn().get_adapter(workato.url).poolmanager.pools  # type: ignore[attr-defined]
        assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - no mapping
        hook.close()


def test_the_session_adds_the_token(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    answer = hook.get_conn().get(f"{sandbox.url}/api/users/me", timeout=10)
    assert answer.json()["name"] == "Sandbox workspace"


def test_another_airflow_connection(connect: Connect, sandbox: RunningSandbox) -> None:
    connect("workato_eu", password="another-token")
    assert WorkatoConnectionsHook("workato_eu").test_connection()[0] is False
    assert WorkatoConnectionsHook().test_connection()[0] is True


def test_a_missing_airflow_connection_can_be_retried(connect: Connect, airflow_db: None) -> None:
    """If a secrets backend cannot be reached, Airflow reports the connection as missing, too."""
    connect("workato_eu", password="a-s3cret-token")
    with pytest.raises(WorkatoConnIdError, match="Did you mean 'workato_eu'") as caught:
        WorkatoConnectionsHook("workato_ue").list_connections()
    assert isinstance(caught.value, AirflowNotFoundException)
    assert not isinstance(caught.value, AirflowFailException)
    assert caught.value.__context__ is None, "the message of a secrets backend can contain credentials"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "written", ["", "{'password': 'a-s3cret-token'}", '{"password": "a-s3cret-token", }']
)
def test_an_environment_variable_that_airflow_cannot_read(
    written: str, monkeypatch: pytest.MonkeyPatch, airflow_db: None
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", written)
    with pytest.raises(WorkatoConnIdError, match="AIRFLOW_CONN_WORKATO_DEFAULT is set, but") as caught:
        WorkatoConnectionsHook().list_connections()
    assert "s3cret" not in str(caught.value)


def test_an_invalid_airflow_connection_does_not_show_its_token(connect: Connect) -> None:
    connect(host="http://workato.example", password="s3cret-t0ken")
    with pytest.raises(WorkatoConfigurationError) as caught:
        WorkatoConnectionsHook().list_connections()
    assert "s3cret-t0ken" not in everything_shown(caught.value)


def test_the_hook_reads_nothing_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WORKATO_DEFAULT", raising=False)
    WorkatoConnectionsHook().close()


# Processes

COUNT = 15


def make_some(hook: WorkatoConnectionsHook, prefix: str, results: Any) -> None:
    """Create connections, and report those whose answer was another call's."""
    wrong: list[str] = []
    for number in range(COUNT):
        name = f"{prefix}-{number}"
        try:
            answered = hook.create_connection(name=name, provider="rest")["name"]
        except WorkatoError as error:
            answered = str(error)
        wrong += [] if answered == name else [f"{name}: {answered}"]
    results.put(wrong)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_used_hook_in_another_process(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, method: str
) -> None:
    """Over one socket, two processes would read each other's answers."""
    hook.list_connections()
    sandbox.control.add_fault("delay", operation="create_connection", seconds=0.02, times=None)
    context: Any = multiprocessing.get_context(method)
    results = context.SimpleQueue()
    children = [context.Process(target=make_some, args=(hook, str(number), results)) for number in range(2)]
    for child in children:
        child.start()
    make_some(hook, "parent", results)
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert [results.get() for _ in range(3)] == [[], [], []]
    assert len(sandbox.control.connections()) == 1 + 3 * COUNT


def test_a_session_that_a_fork_inherits(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    """The session keeps the adapters that its user mounted, but opens its own sockets."""
    session = hook.get_conn()
    session.mount("https://", HTTPAdapter(max_retries=3))
    assert session.get(f"{sandbox.url}/api/connections", timeout=30).ok
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        retries = session.get_adapter("https://workato.example").max_retries.total  # type: ignore[attr-defined]
        pools = len(session.get_adapter(sandbox.url).poolmanager.pools)  # type: ignore[attr-defined]
        status = session.get(f"{sandbox.url}/api/connections", timeout=30).status_code
        os.write(writer, json.dumps([retries, pools, status]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(reader, 1000)) == [3, 0, 200]


def pickled(hook: WorkatoConnectionsHook) -> Any:
    return pickle.loads(pickle.dumps(hook))  # noqa: S301 - our own


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_a_used_hook(hook: WorkatoConnectionsHook, connect: Connect, copied: Any) -> None:
    hook.list_connections()
    hook.log.info("used")
    connect(read_timeout=7)
    with copied(hook) as other:
        assert other.get_conn() is not hook.get_conn()
        assert (hook.settings.read_timeout, other.settings.read_timeout) == (5, 7)
        assert [row["id"] for row in other.list_connections()] == [PARENT]
        assert "transport" in vars(other)
    assert "transport" not in vars(other)
