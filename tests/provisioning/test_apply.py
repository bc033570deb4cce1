"""A declared set against the sandbox: what a plan says, what an apply does, and what it costs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest

from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoConfigurationError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning import fingerprints, search
from airflow_provider_workato.provisioning.apply import Apply, Prune, check_prune, orphan_text
from airflow_provider_workato.provisioning.manifest import Scope, read_manifest
from airflow_provider_workato.provisioning.plan import DeclaredSet, Plan
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox

FOLDER = 1892
KEYS = {"apitoken": "password"}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Airflow's variables; tests/operators/test_sets.py uses the real ones."""
    stored: dict[str, str] = {}
    monkeypatch.setattr(fingerprints, "read_variable", stored.get)
    monkeypatch.setattr(fingerprints, "write_variable", lambda key, value, **_: stored.update({key: value}))
    return stored


@pytest.fixture(autouse=True)
def fernet_key(monkeypatch: pytest.MonkeyPatch) -> str:
    """Airflow's Fernet key."""
    set_key(monkeypatch, key := "a-key-of-an-installation")
    return key


def set_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)


def set_secret(monkeypatch: pytest.MonkeyPatch, conn_id: str, secret: str) -> None:
    value = json.dumps({"conn_type": "generic", "password": secret})
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)


def jira(tenant: str, **fields: Any) -> dict[str, Any]:
    """Return an entry whose credentials are in the Airflow connection of its tenant."""
    return {
        "name": f"Jira of {tenant}",
        "provider": "jira",
        "external_id": f"{tenant}-jira",
        "input_from": {"conn_id": tenant, "keys": KEYS},
    } | fields


def shell(name: str, **fields: Any) -> dict[str, Any]:
    """Return an entry without credentials."""
    return {"name": name, "provider": "jira"} | fields


@pytest.fixture
def tenants(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three tenants with credentials in Airflow connections."""
    names = ["acme", "bell", "cole"]
    for name in names:
        set_secret(monkeypatch, name, f"secret-of-{name}")
    return names


def declared(hook: WorkatoConnectionsHook, entries: Sequence[Mapping[str, Any]], **scope: Any) -> DeclaredSet:
    found = Scope.checked(
        **{"folder_id": None, "external_id_prefix": None} | (scope or {"folder_id": FOLDER})
    )
    return DeclaredSet(hook.transport, read_manifest(entries, scope=found), found)


def planned(
    hook: WorkatoConnectionsHook,
    entries: Sequence[Mapping[str, Any]],
    *,
    reauthenticate: bool = False,
    **scope: Any,
) -> Plan:
    return declared(hook, entries, **scope).plan(reauthenticate=reauthenticate)


def applied(
    hook: WorkatoConnectionsHook,
    entries: Sequence[Mapping[str, Any]],
    *,
    prune: Prune = "report",
    limit: int | None = None,
    reauthenticate: bool = False,
    states: dict[str, Any] | None = None,
    **scope: Any,
) -> Apply:
    """Apply a set as the operator does."""
    what = declared(hook, entries, **scope)
    plan = what.plan(reauthenticate=reauthenticate, orphans_are=partial(orphan_text, prune=prune))
    check_prune(plan, prune=prune, limit=limit)
    removes = {"disconnect": hook.disconnect_connection, "delete": hook.delete_connection}
    apply = Apply(
        plan=plan,
        transport=hook.transport,
        search=what.search,
        fingerprints=what.fingerprints,
        remove=removes.get(prune),
        prune=prune,
    )
    apply.run()
    return apply


class DictRecord:
    """The record of a create's tries, in a dict.

    :param records: all records.
    :param key: the key of this one.
    """

    def __init__(self, records: dict[str, dict[str, Any]], key: str) -> None:
        self._records, self._key = records, key

    def read(self) -> dict[str, Any]:
        """Return the latest record."""
        return self._records.get(self._key, {})

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record."""
        self._records[self._key] = record


def did(apply: Apply) -> dict[str, str]:
    return {result["name"]: result["did"] for result in apply.results}


def in_folder(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    return [row for row in sandbox.control.connections() if row["folder_id"] == FOLDER]


def actions(plan: Plan) -> dict[str, str]:
    return {change.name: change.action for change in plan.changes}


@pytest.fixture
def calls(sandbox: RunningSandbox) -> Callable[[], list[str]]:
    """A function that returns the operations since its last call."""
    seen = 0

    def since_last() -> list[str]:
        nonlocal seen
        requests = sandbox.control.requests()
        new, seen = requests[seen:], len(requests)
        return [request["operation"] for request in new]

    return since_last


def test_applies_a_set_and_then_changes_nothing(
    hook: WorkatoConnectionsHook, tenants: list[str], sandbox: RunningSandbox, calls: Any
) -> None:
    entries = [jira(name) for name in tenants]
    assert set(did(applied(hook, entries)).values()) == {"created"}
    assert calls() == ["list_connections", *["create_connection"] * 3]
    assert [row["name"] for row in in_folder(sandbox)] == [entry["name"] for entry in entries]
    again = applied(hook, entries)
    assert set(did(again).values()) == {"unchanged"}
    assert not again.plan.has_drift
    assert calls() == ["list_connections"]


def test_sends_the_credentials_that_changed(
    hook: WorkatoConnectionsHook, tenants: list[str], calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [jira(name) for name in tenants]
    applied(hook, entries)
    set_secret(monkeypatch, "bell", "a-new-secret")
    calls()
    apply = applied(hook, entries)
    assert actions(apply.plan) == {
        "Jira of acme": "unchanged",
        "Jira of bell": "authenticate",
        "Jira of cole": "unchanged",
    }
    assert "the credentials changed" in apply.plan.changes[1].reason
    assert calls() == ["list_connections", "update_connection"]
    applied(hook, entries)
    assert calls() == ["list_connections"]


@pytest.mark.parametrize(
    ("key", "purge", "sent", "reason"),
    [
        pytest.param("newer,a-key-of-an-installation", False, False, "", id="rotating"),
        pytest.param("newer", False, True, "or the Fernet key did", id="rotated"),
        pytest.param("a-key-of-an-installation", True, True, "is not known", id="purged"),
        pytest.param("", False, True, "without core.fernet_key", id="no key"),
    ],
)
def test_sends_once_more_if_nothing_is_known(
    hook: WorkatoConnectionsHook,
    tenants: list[str],
    calls: Any,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    purge: bool,
    sent: bool,
    reason: str,
) -> None:
    entries = [jira("acme")]
    applied(hook, entries)
    set_key(monkeypatch, key)
    if purge:
        variables.clear()
    calls()
    apply = applied(hook, entries)
    assert calls() == ["list_connections", *["update_connection"] * sent]
    assert reason in apply.plan.changes[0].reason
    applied(hook, entries)
    assert calls() == ["list_connections", *["update_connection"] * (not key)]


def test_a_fingerprint_shows_nothing(
    hook: WorkatoConnectionsHook, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for conn_id in ("acme", "bell"):
        set_secret(monkeypatch, conn_id, "hunter2-hunter2")
    applied(hook, [jira("acme"), jira("bell")])
    (stored,) = variables.values()
    assert "hunter2" not in stored
    assert "acme" not in stored
    # Equal credentials do not look equal.
    assert len(set(json.loads(stored).values())) == 2
    # What was dropped from the manifest is forgotten.
    applied(hook, [jira("acme")])
    (stored,) = variables.values()
    assert len(json.loads(stored)) == 1


def test_a_damaged_variable_counts_as_none(
    hook: WorkatoConnectionsHook,
    tenants: list[str],
    variables: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    applied(hook, [jira("acme")])
    variables.update(dict.fromkeys(variables, "[nonsense"))
    assert did(applied(hook, [jira("acme")])) == {"Jira of acme": "changed"}
    assert "is damaged; sending all credentials again" in caplog.text


def test_environments_of_one_account_do_not_share_fingerprints(
    hook: WorkatoConnectionsHook, tenants: list[str], connect: Connect
) -> None:
    """They have one base URL, and what was sent to the one was not sent to the other."""
    connect("workato_production")
    applied(hook, [jira("acme")])
    with closing(WorkatoConnectionsHook("workato_production")) as production:
        assert actions(planned(production, [jira("acme")])) == {"Jira of acme": "authenticate"}
    assert actions(planned(hook, [jira("acme")])) == {"Jira of acme": "unchanged"}


def test_sends_the_old_credentials_after_a_kill_while_it_sent_new_ones(
    hook: WorkatoConnectionsHook,
    tenants: list[str],
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applied(hook, [jira("acme")])
    set_secret(monkeypatch, "acme", "new")
    stored_while_it_runs = []

    def report(_: object) -> None:
        stored_while_it_runs.append(variables.copy())

    what = declared(hook, [jira("acme")])
    plan = what.plan(reauthenticate=False)
    Apply(
        plan=plan,
        transport=hook.transport,
        search=what.search,
        fingerprints=what.fingerprints,
        report=report,
    ).run()
    # What a process that is killed now leaves behind. Then somebody takes the new credentials back.
    variables.update(stored_while_it_runs[0])
    set_secret(monkeypatch, "acme", "secret-of-acme")
    assert actions(planned(hook, [jira("acme")])) == {"Jira of acme": "authenticate"}


def test_sends_new_credentials_after_kills_during_a_slow_create_with_old_ones(
    hook: WorkatoConnectionsHook,
    tenants: list[str],
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class KilledError(BaseException):
        pass

    def store_and_die(key: str, value: str, **_: Any) -> None:
        variables[key] = value
        raise KilledError

    with monkeypatch.context() as context:
        context.setattr(fingerprints, "write_variable", store_and_die)
        for secret in ("old", "new", "new"):
            set_secret(monkeypatch, "acme", secret)
            with suppress(KilledError):
                applied(hook, [jira("acme")])
    # What the first try sent arrives.
    hook.ensure_connection(
        **{key: jira("acme")[key] for key in ("name", "provider", "external_id")},
        folder_id=FOLDER,
        input={"apitoken": "old"},
    )
    assert did(applied(hook, [jira("acme")])) == {"Jira of acme": "changed"}
    assert did(applied(hook, [jira("acme")])) == {"Jira of acme": "unchanged"}


@pytest.mark.parametrize("extra", ["[1, 2]", '"text"', "7"])
def test_an_extra_without_names_does_not_hold_up_the_others(
    hook: WorkatoConnectionsHook, tenants: list[str], monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps({"conn_type": "generic", "extra": extra}))
    entry = jira("odd", input_from={"conn_id": "odd", "keys": {"apitoken": "extra.token"}})
    assert did(applied(hook, [entry, jira("acme")])) == {"Jira of odd": "failed", "Jira of acme": "created"}


def test_reauthenticates_on_demand(hook: WorkatoConnectionsHook, tenants: list[str], calls: Any) -> None:
    entries = [jira("acme"), shell("No credentials")]
    applied(hook, entries)
    calls()
    apply = applied(hook, entries, reauthenticate=True)
    assert actions(apply.plan) == {"Jira of acme": "authenticate", "No credentials": "unchanged"}
    assert calls() == ["list_connections", "update_connection"]


def test_repairs_what_was_lost(
    hook: WorkatoConnectionsHook, tenants: list[str], sandbox: RunningSandbox
) -> None:
    number = applied(hook, [jira("acme")]).results[0]["id"]
    sandbox.control.lose(number)
    apply = applied(hook, [jira("acme")])
    assert apply.plan.changes[0].as_data() | {"declared_at": ""} == {
        "action": "authenticate",
        "name": "Jira of acme",
        "provider": "jira",
        "connection_id": number,
        "fields": {},
        "reason": "lost",
        "declared_at": "",
    }
    assert did(apply) == {"Jira of acme": "changed"}


def test_updates_the_fields_that_differ_without_credentials(
    hook: WorkatoConnectionsHook, tenants: list[str], sandbox: RunningSandbox
) -> None:
    applied(hook, [jira("acme")])
    apply = applied(hook, [jira("acme", name="New")])
    assert apply.plan.changes[0].fields == {"name": ("Jira of acme", "New")}
    assert "~  update  New  jira" in apply.plan.text()
    assert "name: 'Jira of acme' -> 'New'" in apply.plan.text()
    (update,) = sandbox.control.requests(operation="update_connection")
    assert "input" not in json.dumps(update)
    assert [row["name"] for row in in_folder(sandbox)] == ["New"]


def test_does_not_hold_up_the_others(
    hook: WorkatoConnectionsHook, tenants: list[str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_secret(monkeypatch, "bell", "wrong-credentials")
    set_secret(monkeypatch, "malformed", "malformed-credentials")
    entries = [
        jira("acme"),
        jira("bell"),
        jira("nobody"),
        jira("malformed"),
        jira("cole", provider="no-such-app"),
        shell("Last"),
    ]
    apply = applied(hook, entries)
    assert did(apply) == {
        "Jira of acme": "created",
        "Jira of bell": "failed",
        "Jira of nobody": "failed",
        "Jira of malformed": "failed",
        "Jira of cole": "failed",
        "Last": "created",
    }
    assert [result["error"] for result in apply.results] == [
        None,
        "WorkatoAuthorizationError",
        "WorkatoConfigurationError",
        "WorkatoValidationError",
        "WorkatoValidationError",
        None,
    ]
    assert apply.results[2]["reason"] == "Airflow has no connection 'nobody'."
    # The one that was refused exists, and is repaired once its credentials are right.
    refused = next(result for result in apply.results if result["name"] == "Jira of bell")
    set_secret(monkeypatch, "bell", "right")
    again = applied(hook, entries[:2])
    assert again.results[1] == refused | {
        "did": "changed",
        "status": "authorized",
        "reason": "failed",
        "error": None,
    }


def test_what_is_wrong_with_all_stops_at_once(
    hook: WorkatoConnectionsHook, tenants: list[str], sandbox: RunningSandbox
) -> None:
    sandbox.control.add_fault("unauthorized", operation="create_connection", times=10)
    with pytest.raises(WorkatoAuthError):
        applied(hook, [jira(name) for name in tenants])
    assert len(sandbox.control.requests(operation="create_connection")) == 1


def test_touches_nothing_outside_the_scope(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, calls: Any
) -> None:
    sandbox.control.seed([shell("Same", folder_id=77), shell("Other", folder_id=77)])
    before = sandbox.control.connections()
    apply = applied(hook, [shell("Same")], prune="delete", limit=10)
    assert did(apply) == {"Same": "created"}
    assert sandbox.control.connections()[: len(before)] == before
    assert calls() == ["list_connections", "create_connection"]


@pytest.mark.parametrize("scope", [{"folder_id": FOLDER}, {"external_id_prefix": "acme-"}])
def test_does_not_prune_what_may_be_elsewhere(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, scope: dict[str, Any]
) -> None:
    sandbox.control.seed([shell("Orphan", external_id="acme-1", folder_id=FOLDER)])
    assert [change.action for change in planned(hook, [], **scope).changes] == ["orphan"]
    sandbox.control.add_fault("missing_keys", operation="list_connections")
    assert planned(hook, [], **scope).changes == []


def test_a_prefix_is_a_scope_over_folders(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    sandbox.control.seed(
        [
            shell("Old", external_id="acme-old", folder_id=77),
            shell("Keep", external_id="acme-keep", folder_id=78),
            shell("Not ours", external_id="bell-old", folder_id=77),
        ]
    )
    entries = [shell("Keep", external_id="acme-keep"), shell("New", external_id="acme-new")]
    apply = applied(hook, entries, prune="delete", external_id_prefix="acme-")
    assert did(apply) == {"Keep": "unchanged", "New": "created", "Old": "deleted"}
    assert {"Keep", "Not ours", "New"} < {row["name"] for row in sandbox.control.connections()}


@pytest.mark.parametrize("prune", ["report", "disconnect", "delete"])
def test_prunes(hook: WorkatoConnectionsHook, sandbox: RunningSandbox, calls: Any, prune: Prune) -> None:
    sandbox.control.seed([shell("Orphan", folder_id=FOLDER, authorization_status="success")])
    apply = applied(hook, [shell("Declared")], prune=prune)
    number = apply.plan.changes[1].connection_id
    will = {"report": "", "disconnect": "; will be disconnected", "delete": "; will be deleted"}
    assert f"-  orphan  Orphan    jira  {number}  not declared{will[prune]}\n" in apply.plan.text() + "\n"
    operations = {"report": [], "disconnect": ["disconnect_connection"], "delete": ["delete_connection"]}
    assert calls() == ["list_connections", "create_connection", *operations[prune]]


@pytest.mark.parametrize(
    ("declares", "limit", "said"),
    [
        (0, None, "and the manifest declares none"),
        (0, 10, "and the manifest declares none"),
        (7, None, "more than prune_limit allows (2)"),
        (8, 1, "more than prune_limit allows (1)"),
        (8, None, ""),
        (7, 3, ""),
    ],
)
def test_prune_cannot_run_away(
    hook: WorkatoConnectionsHook,
    sandbox: RunningSandbox,
    calls: Any,
    declares: int,
    limit: int | None,
    said: str,
) -> None:
    entries = [shell(f"Connection {number}") for number in range(10)]
    sandbox.control.seed([entry | {"folder_id": FOLDER} for entry in entries])
    if not said:
        applied(hook, entries[:declares], prune="delete", limit=limit)
        assert len(in_folder(sandbox)) == declares
        return
    with pytest.raises(WorkatoConfigurationError, match=r"Connection 9.*Nothing was changed") as caught:
        applied(hook, entries[:declares], prune="delete", limit=limit)
    assert said in str(caught.value)
    assert calls() == ["list_connections"]


def test_what_was_disconnected_is_left_alone(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, calls: Any
) -> None:
    """Every night after a tenant left: no call, and nothing that counts for the limit."""
    names = [f"Connection {number}" for number in range(5)]
    sandbox.control.seed([shell(name, folder_id=FOLDER, authorization_status="success") for name in names])
    for declares in (4, 4, 3):
        apply = applied(hook, [shell(name) for name in names[:declares]], prune="disconnect")
    assert did(apply) | {"Connection 3": "disconnected", "Connection 4": "reported"} == did(apply)
    one = ["list_connections", "disconnect_connection"]
    assert calls() == [*one, "list_connections", *one]


def test_an_orphan_in_use_stays_and_is_reported(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    used, audited, _ = sandbox.control.seed(
        [shell(name, folder_id=FOLDER) for name in ("Used", "Audited", "Free")]
    )
    sandbox.control.use(used, active_recipes=1)
    sandbox.control.use(audited, audit_log_streaming=True)
    apply = applied(hook, [shell("Declared")], prune="delete", limit=3)
    assert did(apply) == {"Declared": "created", "Used": "failed", "Audited": "failed", "Free": "deleted"}
    said = " ".join(str(result["reason"]) for result in apply.results if result["error"])
    assert "active recipes use the connection" in said
    assert "the connection is the destination of audit log streaming" in said


def test_refuses_what_matches_twice(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, calls: Any
) -> None:
    twin, one = shell("Twin", folder_id=FOLDER), shell("One", external_id="one", folder_id=FOLDER)
    sandbox.control.seed([twin, twin, one])
    apply = applied(hook, [shell("Twin"), shell("One"), shell("Another", external_id="one")], prune="delete")
    assert [change.action for change in apply.plan.changes] == ["conflict", "unchanged", "conflict"]
    assert "2 connections match name='Twin'" in apply.plan.changes[0].reason
    assert apply.plan.changes[2].reason == "entry 2 means it, too"
    assert calls() == ["list_connections"]


def test_creates_nothing_that_appeared_since_the_plan(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, tenants: list[str], calls: Any
) -> None:
    what = declared(hook, [jira("acme"), jira("bell")])
    plan = what.plan(reauthenticate=False)
    # Another task of this machine, between the plan and the first create. The list is young, but from before.
    other = hook.ensure_connection(
        name="x", provider="jira", external_id="bell-jira", folder_id=FOLDER, input={"apitoken": "other"}
    )
    calls()
    apply = Apply(plan=plan, transport=hook.transport, search=what.search, fingerprints=what.fingerprints)
    apply.run()
    assert did(apply) == {"Jira of acme": "created", "Jira of bell": "reused"}
    assert apply.results[1]["id"] == other["id"]
    assert calls() == ["list_connections", "create_connection"]
    # Nobody knows its credentials, so the next apply sends them.
    assert actions(planned(hook, [jira("acme"), jira("bell")])) == {
        "Jira of acme": "unchanged",
        "Jira of bell": "authenticate",
    }


def test_does_not_delete_what_an_earlier_try_created(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    """It was renamed before the retry, so the plan counts it as an orphan."""
    records: dict[str, dict[str, Any]] = {}

    def run(prune: Prune) -> Apply:
        what = declared(hook, [shell("One"), shell("Two")])
        apply = Apply(
            plan=what.plan(reauthenticate=False),
            transport=hook.transport,
            search=what.search,
            fingerprints=what.fingerprints,
            state_of_tries=lambda key: DictRecord(records, key),
            remove=hook.delete_connection,
            prune=prune,
        )
        apply.run()
        return apply

    number = run("report").results[0]["id"]
    hook.update_connection(number, name="Renamed")
    retry = run("delete")
    assert [(each["name"], each["did"]) for each in retry.results] == [
        ("One", "created"),
        ("Two", "unchanged"),
        ("Renamed", "reported"),
    ]
    assert number in [row["id"] for row in in_folder(sandbox)]


def test_a_plan_can_be_read_by_people(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, tenants: list[str]
) -> None:
    applied(hook, [jira("acme"), shell("Nobody logged in")])
    plan = planned(hook, [jira("acme"), jira("bell"), shell("Nobody logged in"), jira("nobody")])
    number = sandbox.control.connections()[-1]["id"]
    assert plan.text().splitlines() == [
        "Plan for folder 1892: 1 create, 2 unchanged, 1 invalid.",
        "+  create     Jira of bell      jira",
        f"   unchanged  Nobody logged in  jira  {number}  no status yet",
        "!  invalid    Jira of nobody    jira            Airflow has no connection 'nobody'.",
    ]


def test_tells_its_progress(
    hook: WorkatoConnectionsHook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_workato.provisioning.apply._PROGRESS", 0.0)
    with caplog.at_level(logging.INFO):
        applied(hook, [shell(f"Connection {number}") for number in range(3)])
    assert "2 of 3 done; about" in caplog.text


def test_the_hook_returns_the_same_plan(hook: WorkatoConnectionsHook, tenants: list[str], calls: Any) -> None:
    entries = [jira("acme"), shell("Other")]
    applied(hook, entries[:1])
    calls()
    plan = hook.plan_connections(entries, folder_id=str(FOLDER))
    assert plan.as_data() == planned(hook, entries).as_data()
    assert plan.as_data()["counts"] | {"create": 1, "unchanged": 1} == plan.as_data()["counts"]
    assert calls() == ["list_connections"] * 2
    plan = hook.plan_connections("- {name: A, provider: jira}", folder_id=FOLDER, reauthenticate=True)
    assert plan.changes[0].as_data()["declared_at"] == "manifest, line 1 (entry 1)"


def test_prunes_nothing_that_was_moved_out_of_the_scope_since_the_plan(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    moved, _ = sandbox.control.seed([shell(name, folder_id=FOLDER) for name in ("Moved", "Orphan")])
    what = declared(hook, [shell("Declared")])
    plan = what.plan(reauthenticate=False)
    hook.update_connection(moved, folder_id=4515)
    # As long as creating the others may take.
    what.search.at -= search.FRESH + 1
    apply = Apply(
        plan=plan,
        transport=hook.transport,
        search=what.search,
        fingerprints=what.fingerprints,
        remove=hook.delete_connection,
        prune="delete",
    )
    apply.run()
    assert did(apply) == {"Declared": "created", "Moved": "reported", "Orphan": "deleted"}
    assert sandbox.control.connection(moved)["folder_id"] == 4515


def test_a_name_from_before_external_ids_is_no_new_connection(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, calls: Any
) -> None:
    (number,) = sandbox.control.seed([shell("Jira", folder_id=FOLDER)])
    apply = applied(hook, [shell("Jira", external_id="jira"), shell("Other")], prune="delete", limit=5)
    assert [change.action for change in apply.plan.changes] == ["conflict", "create"]
    assert apply.plan.changes[0].reason.startswith(f"connection {number} has this name, and no external_id")
    assert did(apply) == {"Jira": "failed", "Other": "created"}
    hook.update_connection(number, external_id="jira")
    assert not planned(hook, [shell("Jira", external_id="jira"), shell("Other")]).has_drift


@pytest.mark.parametrize(("prune", "drifts"), [("report", True), ("disconnect", False), ("delete", True)])
def test_what_was_disconnected_on_purpose_is_no_drift(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, prune: Prune, drifts: bool
) -> None:
    sandbox.control.seed([shell(name, folder_id=FOLDER) for name in ("Orphan", "Declared")])
    plan = declared(hook, [shell("Declared")]).plan(
        reauthenticate=False, orphans_are=partial(orphan_text, prune=prune)
    )
    assert actions(plan) == {"Declared": "unchanged", "Orphan": "orphan"}
    assert plan.has_drift is drifts


def test_only_what_is_secret_is_hidden(hook: WorkatoConnectionsHook, tenants: list[str]) -> None:
    found = declared(hook, [jira("acme", input={"host_name": "acme.example.com"})])
    assert found.search.secrets is not None
    assert list(found.search.secrets.leaves()) == ["secret-of-acme"]
