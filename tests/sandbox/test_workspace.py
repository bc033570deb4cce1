"""What the calls do to the workspace."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workato.sandbox.providers import (
    CONNECTORS,
    OAUTH_PROVIDERS,
    OTHER_NAMES,
    PROVIDER_LISTS,
)
from tests.support.sandbox import RunningSandbox

JIRA = {"name": "Prod JIRA", "provider": "jira", "folder_id": 1892}


#: What the vendor's Terraform provider demands of every connection, null allowed.
DEMANDED = {
    "id", "name", "application", "description", "authorized_at", "authorization_status",
    "authorization_error", "created_at", "updated_at", "external_id", "folder_id", "parent_id",
    "connection_lost_at", "connection_lost_reason",
}  # fmt: skip


def create(sandbox: RunningSandbox, **body: Any) -> dict[str, Any]:
    answer = sandbox.call("POST", "connections", json={**JIRA, **body})
    assert answer.status_code == 200, answer.text
    connection: dict[str, Any] = answer.json()
    return connection


def update(sandbox: RunningSandbox, connection_id: int, **body: Any) -> dict[str, Any]:
    answer = sandbox.call("PUT", f"connections/{connection_id}", json=body)
    assert answer.status_code == 200, answer.text
    connection: dict[str, Any] = answer.json()
    return connection


def listed(sandbox: RunningSandbox, **query: Any) -> list[int]:
    answer = sandbox.call("GET", "connections", params=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


class TestCreate:
    @pytest.mark.parametrize(
        "body",
        [{}, {"input": {}}, {"input": {"apitoken": "wrong-credentials"}, "shell_connection": True}],
        ids=["no input", "empty input", "shell"],
    )
    def test_a_shell_has_no_status(self, sandbox: RunningSandbox, body: dict[str, Any]) -> None:
        made = create(sandbox, **body)
        assert (made["authorization_status"], made["authorized_at"], made["authorization_error"]) == (
            None,
        ) * 3

    def test_accepted_credentials(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, input={"host_name": "acme", "nested": {"deep": ["fine", 1, None, True]}})
        assert made["authorization_status"] == "success"
        assert made["authorized_at"] is not None
        assert made["authorization_error"] is None

    @pytest.mark.parametrize(
        ("word", "status"), [("wrong-credentials", "failed"), ("raise-exception", "exception")]
    )
    @pytest.mark.parametrize("shape", ["plain", "nested", "with a tail"])
    def test_refused_credentials(self, sandbox: RunningSandbox, word: str, status: str, shape: str) -> None:
        value: Any = {"plain": word, "nested": {"a": [{"b": word}]}, "with a tail": f"{word}-4711"}[shape]
        made = create(sandbox, input={"ok": "fine", "apitoken": value})
        assert made["authorization_status"] == status
        assert made["authorization_error"].startswith("jira")
        assert made["authorized_at"] is not None, "recorded answers stamp failed attempts too"
        assert listed(sandbox) == [made["id"], 36]

    def test_input_that_is_refused_as_such(self, sandbox: RunningSandbox) -> None:
        answer = sandbox.call("POST", "connections", json={**JIRA, "input": {"a": "malformed-credentials"}})
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == ["input"]
        assert listed(sandbox) == [36]

    def test_credentials_of_an_oauth_provider(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, provider="salesforce", input={"login": "fine"})
        assert made["authorization_status"] == "exception"
        assert "OAuth" in made["authorization_error"]

    def test_what_is_sent_comes_back(self, sandbox: RunningSandbox) -> None:
        parent = create(sandbox)["id"]
        made = create(
            sandbox, folder_id="28940", parent_id=parent, external_id="acme", custom_oauth_profile_id=17
        )
        wanted = {
            "name": "Prod JIRA",
            "provider": "jira",
            "application": "jira",
            "folder_id": 28940,
            "project_id": 302,
            "parent_id": parent,
            "external_id": "acme",
            "custom_oauth_profile_id": 17,
        }
        assert {key: made[key] for key in wanted} == wanted
        assert "input" not in made

    def test_without_a_folder_it_is_in_the_root(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, folder_id=None)
        assert (made["folder_id"], made["project_id"]) == (10294, None)

    def test_twins_are_two(self, sandbox: RunningSandbox) -> None:
        assert create(sandbox, external_id="x")["id"] != create(sandbox, external_id="x")["id"]
        assert sandbox.control.state()["counts"] == {
            "connections": 3,
            "by_status": {"success": 1, "None": 2},
            "created": 2,
        }

    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            ({}, {"name": "can't be blank", "provider": "can't be blank"}),
            ({**JIRA, "name": ""}, {"name": "can't be blank"}),
            ({**JIRA, "name": 5}, {"name": "is invalid"}),
            (
                {**JIRA, "provider": "jirra"},
                {"provider": "is not included in the list of connectors; did you mean jira?"},
            ),
            ({**JIRA, "folder_id": 1}, {"folder_id": "is not a folder of this workspace"}),
            ({**JIRA, "parent_id": 99}, {"parent_id": "is not a connection of this workspace"}),
            ({**JIRA, "parent_id": 36}, {"parent_id": "must be a connection of the same provider"}),
            ({**JIRA, "input": "secret"}, {"input": "is invalid"}),
        ],
    )
    def test_validation(self, sandbox: RunningSandbox, body: dict[str, Any], errors: dict[str, str]) -> None:
        answer = sandbox.call("POST", "connections", json=body)
        assert answer.status_code == 400
        assert answer.json() == {
            "message": "Validation failed",
            "errors": {field: [text] for field, text in errors.items()},
        }
        assert listed(sandbox) == [36]

    @pytest.mark.parametrize("body", ["{", "[]", "null", ""])
    def test_no_object(self, sandbox: RunningSandbox, body: str) -> None:
        answer = sandbox.call("POST", "connections", data=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()) == (400, {"message": "Bad request"})


def test_every_row_has_the_keys_that_the_vendor_demands(sandbox: RunningSandbox) -> None:
    made = create(sandbox)
    runtime = {"parent_id": 36, "folder_id": 4515, "external_id": "ada"}
    sandbox.call("POST", "connections/runtime_user_connections", json=runtime)
    everything = sandbox.call("GET", "connections", params={"include_runtime_connections": "true"}).json()
    assert len(everything) == 3
    for row in (made, update(sandbox, made["id"], name="New"), *everything):
        assert row.keys() >= DEMANDED


class TestProviders:
    @pytest.mark.parametrize(
        ("provider", "suggestion"),
        [
            ("jirra", "jira"),
            ("Salesforce", "salesforce"),
            ("google-sheets", "google_sheets"),
            ("Google Sheets", "google_sheets"),
            ("servicenow", "service_now"),
            ("postgres", "postgresql"),
            ("http", "rest"),
        ],
    )
    def test_misspelt(self, sandbox: RunningSandbox, provider: str, suggestion: str) -> None:
        answer = sandbox.call("POST", "connections", json={**JIRA, "provider": provider})
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]["provider"]
        assert error.endswith(f"; did you mean {suggestion}?")

    @pytest.mark.parametrize("provider", ["no_such_app", "x", "acme_connector", "a" * 10_000])
    def test_unknown(self, sandbox: RunningSandbox, provider: str) -> None:
        answer = sandbox.call("POST", "connections", json={**JIRA, "provider": provider})
        (error,) = answer.json()["errors"]["provider"]
        assert error.endswith("; the sandbox accepts other names if it is started with --any-provider")

    @pytest.mark.parametrize("provider", ["rest", "jira_secondary", "acme_connector_4771_1626869205"])
    def test_accepted(self, sandbox: RunningSandbox, provider: str) -> None:
        assert create(sandbox, provider=provider)["provider"] == provider

    def test_every_provider_with_a_meaning_is_a_connector(self) -> None:
        assert OAUTH_PROVIDERS <= CONNECTORS
        assert set(PROVIDER_LISTS) <= CONNECTORS
        assert set(OTHER_NAMES.values()) <= CONNECTORS
        assert not set(OTHER_NAMES) & CONNECTORS


class TestFolders:
    def test_below_the_root(self, sandbox: RunningSandbox) -> None:
        folders = sandbox.call("GET", "folders").json()
        assert [folder["name"] for folder in folders] == ["Jira", "Sales", "End users"]
        assert {folder["parent_id"] for folder in folders} == {10294}
        assert all(folder["is_project"] for folder in folders)

    def test_below_another(self, sandbox: RunningSandbox) -> None:
        (folder,) = sandbox.call("GET", "folders", params={"parent_id": 4515}).json()
        wanted = {"id": 28940, "name": "Outreach", "is_project": False, "project_id": 302}
        assert {key: folder[key] for key in wanted} == wanted
        assert sandbox.call("GET", "folders", params={"parent_id": 1}).status_code == 404

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"per_page": 2}, ["Jira", "Sales"]),
            ({"per_page": 2, "page": 2}, ["End users"]),
            ({"page": 2}, []),
        ],
    )
    @pytest.mark.parametrize("path", ["folders", "projects"])
    def test_pages(self, sandbox: RunningSandbox, path: str, query: dict[str, int], names: list[str]) -> None:
        assert [item["name"] for item in sandbox.call("GET", path, params=query).json()] == names

    def test_on_all_levels(self, sandbox: RunningSandbox) -> None:
        """As the vendor's Terraform provider looks for one."""
        deep = sandbox.call("POST", "folders", json={"name": "Deep", "parent_id": "28940"}).json()["id"]

        def listed(**query: Any) -> list[int]:
            query = {"with_nested_folders": "true", **query}
            return [folder["id"] for folder in sandbox.call("GET", "folders", params=query).json()]

        assert sorted(listed()) == [1892, 4515, 28940, 26204321, deep]
        assert listed(parent_id=4515) == [28940, deep]
        assert listed(parent_id=4515, with_nested_folders="false") == [28940]
        assert [*listed(per_page=3), *listed(per_page=3, page=2)] == listed()

    def test_one(self, sandbox: RunningSandbox) -> None:
        (listed,) = sandbox.call("GET", "folders", params={"parent_id": 4515}).json()
        assert sandbox.call("GET", "folders/28940").json() == listed
        assert sandbox.call("GET", "folders/10294").json()["parent_id"] is None
        assert sandbox.call("GET", "folders/1").status_code == 404

    @pytest.mark.parametrize("query", [{"page": 0}, {"per_page": 0}, {"per_page": 101}, {"parent_id": "x"}])
    def test_nonsense(self, sandbox: RunningSandbox, query: dict[str, Any]) -> None:
        answer = sandbox.call("GET", "folders", params=query)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, list(query))

    def test_create_a_project(self, sandbox: RunningSandbox) -> None:
        made = sandbox.call("POST", "folders", json={"name": "New"}).json()
        assert (made["parent_id"], made["is_project"]) == (10294, True)
        project = {"id": made["project_id"], "description": None, "folder_id": made["id"], "name": "New"}
        assert sandbox.call("GET", "projects").json()[-1] == project
        assert create(sandbox, folder_id=made["id"])["project_id"] == made["project_id"]

    def test_create_a_folder(self, sandbox: RunningSandbox) -> None:
        made = sandbox.call("POST", "folders", json={"name": "New", "parent_id": 28940}).json()
        assert (made["is_project"], made["project_id"]) == (False, 302)
        assert sandbox.call("GET", "folders", params={"parent_id": 28940}).json() == [made]
        answer = sandbox.call("POST", "folders", json={"name": "New", "parent_id": 1})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["parent_id"])

    def test_rename_and_move(self, sandbox: RunningSandbox) -> None:
        """To another project, with all that is in it."""
        inner = sandbox.call("POST", "folders", json={"name": "Inner", "parent_id": 28940}).json()
        connection = create(sandbox, folder_id=inner["id"])
        renamed = sandbox.call("PUT", "folders/28940", json={"name": "New"}).json()
        assert (renamed["name"], renamed["parent_id"], renamed["project_id"]) == ("New", 4515, 302)
        moved = sandbox.call("PUT", "folders/28940", json={"parent_id": "1892"}).json()
        assert (moved["name"], moved["parent_id"], moved["project_id"]) == ("New", 1892, 301)
        assert moved["updated_at"] > moved["created_at"]
        inner = sandbox.call("GET", f"folders/{inner['id']}").json()
        assert (inner["parent_id"], inner["project_id"]) == (28940, 301)
        assert sandbox.control.connection(connection["id"])["project_id"] == 301
        assert connection["id"] in listed(sandbox, project_id=301)

    @pytest.mark.parametrize(
        ("folder_id", "body", "status"),
        [
            (28940, {"parent_id": 1}, 400),
            (28940, {"parent_id": 28940}, 400),
            (28940, {"parent_id": 10294}, 400),
            (28940, {"name": ""}, 400),
            (4515, {"name": "A project"}, 403),
            (10294, {"name": "The root"}, 403),
            (1, {"name": "None"}, 404),
        ],
    )
    def test_an_update_that_is_refused(
        self, sandbox: RunningSandbox, folder_id: int, body: dict[str, Any], status: int
    ) -> None:
        before = sandbox.control.state()["folders"]
        assert sandbox.call("PUT", f"folders/{folder_id}", json=body).status_code == status
        assert sandbox.control.state()["folders"] == before

    def test_delete_an_empty_folder(self, sandbox: RunningSandbox) -> None:
        last = sandbox.call("POST", "folders", json={"name": "Last", "parent_id": 28940}).json()["id"]
        assert sandbox.call("DELETE", f"folders/{last}").json() == {"success": True}
        assert sandbox.call("DELETE", f"folders/{last}").status_code == 404
        assert sandbox.call("POST", "folders", json={"name": "Next"}).json()["id"] > last

    @pytest.mark.parametrize("content", ["folder", "connection"])
    def test_delete_what_is_not_empty(self, sandbox: RunningSandbox, content: str) -> None:
        connection = create(sandbox)["id"] if content == "folder" else create(sandbox, folder_id=28940)["id"]
        if content == "folder":
            sandbox.call("POST", "folders", json={"name": "Inner", "parent_id": 28940})
        answer = sandbox.call("DELETE", "folders/28940")
        assert (answer.status_code, answer.json()) == (403, {"message": "Cannot destroy folder"})
        assert sandbox.call("DELETE", "folders/28940", params={"force": "true"}).status_code == 200
        assert sandbox.call("GET", "folders", params={"parent_id": 4515}).json() == []
        assert (connection in listed(sandbox)) is (content == "folder")

    @pytest.mark.parametrize("path", ["folders/4515", "folders/10294"])
    def test_a_project_is_no_folder_to_delete(self, sandbox: RunningSandbox, path: str) -> None:
        assert sandbox.call("DELETE", path, params={"force": "true"}).status_code == 403

    def test_change_a_project(self, sandbox: RunningSandbox) -> None:
        renamed = sandbox.call("PUT", "projects/302", json={"name": "CRM", "description": "Customers"}).json()
        assert renamed == {"id": 302, "name": "CRM", "description": "Customers", "folder_id": 4515}
        assert sandbox.call("PUT", "projects/302", json={"description": None}).json()["description"] is None
        assert sandbox.call("GET", "folders/4515").json()["name"] == "CRM"
        assert sandbox.call("PUT", "projects/1", json={"name": "CRM"}).status_code == 404

    def test_delete_a_project(self, sandbox: RunningSandbox) -> None:
        inside = create(sandbox, folder_id=28940)["id"]
        sandbox.control.use(inside, active_recipes=1)
        assert sandbox.call("DELETE", "projects/302").status_code == 403
        assert inside in listed(sandbox)
        sandbox.control.use(inside)
        assert sandbox.call("DELETE", "projects/302").json() == {"success": True}
        assert listed(sandbox) == []
        assert [project["id"] for project in sandbox.call("GET", "projects").json()] == [301, 303]
        assert sandbox.call("GET", "folders/28940").status_code == 404
        assert sandbox.call("DELETE", "projects/302").status_code == 404


def test_connectors(sandbox: RunningSandbox) -> None:
    pages = [sandbox.call("GET", "integrations/all", params={"page": page}).json() for page in (1, 2, 3, 4)]
    items = [item for page in pages for item in page["items"]]
    assert {item["name"] for item in items} == CONNECTORS
    assert len(items) == pages[0]["count"] == len(CONNECTORS)
    oauth = {item["name"] for item in items if item["oauth"]}
    assert oauth == OAUTH_PROVIDERS
    assert sandbox.call("GET", "custom_connectors").json() == {"result": []}
    assert sandbox.call("GET", "export_manifests/folder_assets").json() == {"result": {"assets": []}}
    assert sandbox.call("GET", "recipes").json() == {"items": []}


class TestUpdate:
    def test_only_what_is_sent_changes(self, sandbox: RunningSandbox) -> None:
        before = create(sandbox, external_id="acme", input={"apitoken": "fine"})
        after = update(sandbox, before["id"], name="New name")
        changed = {key for key in before if before[key] != after[key]}
        assert "name" in changed
        assert changed <= {"name", "updated_at"}

    def test_everything_can_change(self, sandbox: RunningSandbox) -> None:
        parent, child = create(sandbox)["id"], create(sandbox)["id"]
        wanted = {
            "folder_id": 4515, "parent_id": parent, "external_id": "e", "custom_oauth_profile_id": 17
        }  # fmt: skip
        after = update(sandbox, child, **wanted)
        assert {key: after[key] for key in (*wanted, "project_id")} == {**wanted, "project_id": 302}
        unset = dict.fromkeys(("parent_id", "external_id", "custom_oauth_profile_id"))
        after = update(sandbox, child, **unset)
        assert {key: after[key] for key in (*wanted, "project_id")} == {**wanted, "project_id": 302, **unset}

    def test_nothing_sent(self, sandbox: RunningSandbox) -> None:
        answer = sandbox.call("PUT", "connections/36")
        assert (answer.status_code, answer.json()["id"]) == (200, 36)

    def test_right_credentials_repair(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, input={"user": "fine", "apitoken": "wrong-credentials"})
        assert update(sandbox, made["id"], name="Other")["authorization_status"] == "failed"
        assert update(sandbox, made["id"], input={"user": "fine"})["authorization_status"] == "failed"
        repaired = update(sandbox, made["id"], input={"apitoken": "fine"})
        assert (repaired["authorization_status"], repaired["authorization_error"]) == ("success", None)

    def test_wrong_credentials_break(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, input={"apitoken": "fine"})
        broken = update(sandbox, made["id"], input={"apitoken": "raise-exception"})
        assert broken["authorization_status"] == "exception"

    def test_shell_credentials_are_not_tested(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, input={"apitoken": "fine"})
        after = update(sandbox, made["id"], input={"apitoken": "wrong-credentials"}, shell_connection=True)
        assert after["authorization_status"] is None

    @pytest.mark.parametrize(
        "body", [{"folder_id": 1}, {"parent_id": 99}, {"input": {"a": "malformed-credentials"}}, {"name": ""}]
    )
    def test_validation_changes_nothing(self, sandbox: RunningSandbox, body: dict[str, Any]) -> None:
        made = create(sandbox, input={"apitoken": "fine"})
        answer = sandbox.call("PUT", f"connections/{made['id']}", json={"external_id": "new", **body})
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == list(body)
        assert sandbox.control.connection(made["id"])["updated_at"] == made["updated_at"]


class TestDisconnect:
    def test_twice(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, input={"apitoken": "fine"})
        for _ in range(2):
            answer = sandbox.call("POST", f"connections/{made['id']}/disconnect")
            assert answer.json() == {"success": True, "status": "disconnected"}
            row = sandbox.control.connection(made["id"])
            assert (row["authorization_status"], row["authorized_at"]) == (None, None)

    @pytest.mark.parametrize("body", [None, {}, {"force": False}])
    def test_in_use(self, sandbox: RunningSandbox, body: dict[str, Any] | None) -> None:
        sandbox.control.use(36, active_recipes=2)
        answer = sandbox.call("POST", "connections/36/disconnect", json=body)
        assert answer.status_code == 200
        assert answer.json()["success"] is False
        assert "active recipes" in answer.json()["message"]
        assert sandbox.control.connection(36)["authorization_status"] == "success"

    def test_force_is_read_from_the_body_only(self, sandbox: RunningSandbox) -> None:
        sandbox.control.use(36, active_recipes=2)
        refused = sandbox.call("POST", "connections/36/disconnect", params={"force": "true"})
        assert refused.json()["success"] is False
        done = sandbox.call("POST", "connections/36/disconnect", json={"force": True})
        assert done.json()["success"] is True

    def test_credentials_are_gone(self, sandbox: RunningSandbox) -> None:
        made = create(sandbox, input={"apitoken": "wrong-credentials"})
        sandbox.call("POST", f"connections/{made['id']}/disconnect")
        assert update(sandbox, made["id"], input={"user": "fine"})["authorization_status"] == "success"


@pytest.mark.parametrize(
    ("use", "reason"),
    [({"active_recipes": 1}, "active recipes"), ({"audit_log_streaming": True}, "audit log streaming")],
)
def test_delete_in_use(sandbox: RunningSandbox, use: dict[str, Any], reason: str) -> None:
    sandbox.control.use(36, **use)
    answer = sandbox.call("DELETE", "connections/36")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": False,
        "status": "rejected",
        "message": f"You can't delete a connection used by {reason}",
    }
    assert listed(sandbox) == [36]
    sandbox.control.use(36)
    assert sandbox.call("DELETE", "connections/36").json()["success"] is True
    assert listed(sandbox) == []


class TestList:
    @pytest.fixture
    def ids(self, sandbox: RunningSandbox) -> dict[str, int]:
        names = ("jira", "sales", "child", "user")
        rows = [
            {"provider": "jira", "folder_id": 1892, "external_id": "acme", "tags": ["tag-1"]},
            {"provider": "salesforce", "folder_id": 28940},
            {"provider": "salesforce", "folder_id": 4515, "parent_id": 36},
            {"provider": "salesforce", "folder_id": 4515, "parent_id": 36, "is_runtime_user": True},
        ]
        return dict(zip(names, sandbox.control.seed(rows), strict=True))

    def test_newest_first(self, sandbox: RunningSandbox, ids: dict[str, int]) -> None:
        sandbox.control.seed([{"id": 7}])
        assert listed(sandbox) == [ids["child"], ids["sales"], ids["jira"], 36, 7]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"folder_id": 4515}, ["child", "seed"]),
            ({"project_id": 302}, ["child", "sales", "seed"]),
            ({"parent_id": 36}, ["child"]),
            ({"parent_id": 36, "include_runtime_connections": "true"}, ["user", "child"]),
            ({"parent_id": 36, "include_runtime_connections": "True"}, ["child"]),
            ({"parent_id": 36, "include_runtime_connections": "1"}, ["child"]),
            ({"external_id": "acme"}, ["jira"]),
            ({"external_id": "ACME"}, []),
            ({"provider": "jira"}, ["jira"]),
            ({"provider": "jira", "folder_id": 4515}, []),
            ({"page": 3, "unknown": "x"}, ["child", "sales", "jira", "seed"]),
        ],
    )
    def test_filters(
        self, sandbox: RunningSandbox, ids: dict[str, int], query: dict[str, Any], found: list[str]
    ) -> None:
        assert listed(sandbox, **query) == [{**ids, "seed": 36}[name] for name in found]

    def test_tags_on_demand(self, sandbox: RunningSandbox, ids: dict[str, int]) -> None:
        def tags(**query: str) -> Any:
            return sandbox.call("GET", "connections", params={"external_id": "acme", **query}).json()[0][
                "tags"
            ]

        assert tags() is None
        assert tags(includes="tags") is None
        assert tags(**{"includes[]": "other"}) is None
        assert tags(**{"includes[]": "tags"}) == ["tag-1"]

    def test_updated_after(self, sandbox: RunningSandbox, ids: dict[str, int]) -> None:
        updated = sandbox.control.connection(ids["jira"])["updated_at"]
        assert ids["jira"] not in listed(sandbox, updated_after=updated)
        assert listed(sandbox, updated_after="2016-01-01T00:00:00Z") == [
            ids[n] for n in ("child", "sales", "jira")
        ]
        assert 36 in listed(sandbox, updated_after="2015-05-26T22:53:52")
        assert 36 not in listed(sandbox, updated_after="2015-05-26T22:53:53")

    @pytest.mark.parametrize("query", [{"folder_id": "x"}, {"updated_after": "yesterday"}])
    def test_nonsense(self, sandbox: RunningSandbox, query: dict[str, str]) -> None:
        answer = sandbox.call("GET", "connections", params=query)
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == list(query)

    def test_answers_kept_are_never_stale(self, sandbox: RunningSandbox) -> None:
        """Every way to change something shows in the very next list."""
        made = create(sandbox)["id"]

        def row() -> Any:
            return next(r for r in sandbox.call("GET", "connections").json() if r["id"] == made)

        assert row()["authorization_status"] is None
        sandbox.control.authorize(made)
        assert row()["authorization_status"] == "success"
        sandbox.control.lose(made)
        assert row()["connection_lost_reason"] == "Account credentials refresh failed"
        sandbox.control.fail(made, error="No")
        assert (row()["authorization_error"], row()["connection_lost_at"]) == ("No", None)
        update(sandbox, made, name="Renamed")
        assert row()["name"] == "Renamed"
        sandbox.call("POST", f"connections/{made}/disconnect")
        assert row()["authorization_status"] is None
        sandbox.call("DELETE", f"connections/{made}")
        assert made not in listed(sandbox)

    def test_many_different_lists(self, sandbox: RunningSandbox) -> None:
        ids = sandbox.control.seed(count=40, external_id="many")
        for number, connection_id in enumerate(ids, start=1):
            assert listed(sandbox, external_id=f"many-{number}") == [connection_id]


class TestPicklist:
    def rows(self, sandbox: RunningSandbox, connection_id: int, name: str, **parameters: str) -> Any:
        body = {"pick_list_name": name, "pick_list_params": parameters}
        answer = sandbox.call("POST", f"connections/{connection_id}/pick_list", json=body)
        return answer.json().get("data") or (answer.status_code, answer.json())

    def test_known_lists(self, sandbox: RunningSandbox) -> None:
        jira = create(sandbox, input={"apitoken": "fine"})["id"]
        assert ["Bug", "OPS--Bug", None, False] in self.rows(
            sandbox, jira, "get_project_issuetypes", project="OPS"
        )
        fields = self.rows(sandbox, 36, "sobject_fields", sobject_name="Invoice__c")
        assert ["Invoice__c Name", "Name", None, False] in fields
        assert len(self.rows(sandbox, jira, "sandbox_items")) == 3

    def test_missing_parameter(self, sandbox: RunningSandbox) -> None:
        status, body = self.rows(sandbox, 36, "sobject_fields")
        assert status == 400
        assert body["errors"] == {"pick_list_params": ["sobject_name can't be blank"]}

    def test_list_of_another_provider(self, sandbox: RunningSandbox) -> None:
        status, body = self.rows(sandbox, 36, "get_project_issuetypes", project="OPS")
        assert (status, body) == (400, {"message": "salesforce has no pick list of this name"})

    def test_connection_that_is_not_authorized(self, sandbox: RunningSandbox) -> None:
        shell = create(sandbox)["id"]
        sandbox.control.lose(36)
        for connection_id in (shell, 36):
            status, body = self.rows(sandbox, connection_id, "sandbox_items")
            assert (status, body) == (400, {"message": "The connection is not authorized"})
