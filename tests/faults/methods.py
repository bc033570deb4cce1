"""The calls of the fault matrix: every method of the hook that sends requests to Workato."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato import exceptions
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning.apply import Apply
from airflow_provider_workato.provisioning.manifest import Scope, read_manifest
from airflow_provider_workato.provisioning.plan import DeclaredSet
from airflow_provider_workato.sandbox.client import SandboxControl
from tests.faults.matrix import Kind

#: The credential in every ``input``, which one of the sandbox's faults quotes.
CREDENTIAL = "matrix-credential-7d1f"
#: The external id of the connections that the calls create or look up.
WANTED = "wanted by the matrix"
#: The Airflow connection that holds it for a set.
SECRETS = "matrix_secrets"
PARENT, JIRA, THERE, FOLDER = 36, 777, 778, 4515

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method, and how to check its effect.

    :param name: the method's name, and the part of it that the fault affects.
    :param operation: the endpoint with the fault.
    :param kind: the column of the matrix.
    :param call: calls the method.
    :param did: returns whether the result and the workspace show that the method worked.
    """

    name: str
    operation: str
    kind: Kind
    call: Callable[[WorkatoConnectionsHook], Any]
    did: Callable[[Any, Rows], bool]


def prepare(control: SandboxControl, method: Method) -> None:
    """Seed the connections that a call needs.

    :param control: a sandbox in its initial state.
    :param method: the method to be called.
    """
    rows: list[dict[str, Any]] = [{"id": JIRA, "name": "Prod JIRA", "provider": "jira", "folder_id": FOLDER}]
    if method.kind == "look-up":
        of_a_user = {"provider": "salesforce", "parent_id": PARENT, "is_runtime_user": True}
        kind = of_a_user if "runtime_user" in method.name else {"provider": "jira"}
        rows.append({"id": THERE, "name": "Another JIRA", "external_id": WANTED, **kind})
    control.seed([{**row, "authorization_status": "success"} for row in rows])


def wanted(rows: Rows) -> list[int]:
    """Return the ids of the connections that the calls create or look up.

    :param rows: all connections of the workspace.
    """
    return [row["id"] for row in rows if row["external_id"] == WANTED]


def _create(hook: WorkatoConnectionsHook) -> Any:
    return hook.create_connection(
        name="Another JIRA", provider="jira", external_id=WANTED, input={"apitoken": CREDENTIAL}
    )


def _ensure(hook: WorkatoConnectionsHook) -> Any:
    return hook.ensure_connection(
        name="Another JIRA", provider="jira", external_id=WANTED, input={"apitoken": CREDENTIAL}
    )


def _entry(**fields: str) -> dict[str, Any]:
    return {
        "provider": "jira",
        "input_from": {"conn_id": SECRETS, "keys": {"apitoken": "password"}},
        **(fields or {"name": "Another JIRA", "external_id": WANTED}),
    }


def _plan(hook: WorkatoConnectionsHook) -> Any:
    return hook.plan_connections([_entry()], external_id_prefix=WANTED).as_data()["changes"]


def _apply(hook: WorkatoConnectionsHook, entry: Mapping[str, Any], scope: Scope) -> Any:
    """Apply a set of one connection, and raise its error, which an apply only notes."""
    declared = DeclaredSet(hook.transport, read_manifest([entry], scope=scope), scope)
    apply = Apply(
        plan=declared.plan(reauthenticate=False),
        transport=hook.transport,
        search=declared.search,
        fingerprints=declared.fingerprints,
    )
    apply.run()
    (result,) = [result for result in apply.results if result["declared_at"]]
    if result["error"]:
        raise getattr(exceptions, result["error"])(result["reason"])
    return result


def _create_runtime_user(hook: WorkatoConnectionsHook) -> Any:
    return hook.create_runtime_user_connection(parent_id=PARENT, folder_id=4515, external_id=WANTED)


def _ensure_runtime_user(hook: WorkatoConnectionsHook) -> Any:
    return hook.ensure_runtime_user_connection(parent_id=PARENT, folder_id=4515, external_id=WANTED)


def _shows_all(result: Any, _: Rows) -> bool:
    return {row["id"] for row in result} == {PARENT, JIRA}


def _is_the_one(result: Any, rows: Rows) -> bool:
    return [result["id"]] == wanted(rows)


def _leads_to_login(result: Any, rows: Rows) -> bool:
    return _is_the_one(result, rows) and "/oauth/authorize?" in result["url"]


def _named(rows: Rows, connection_id: int) -> Mapping[str, Any]:
    return next((row for row in rows if row["id"] == connection_id), {})


METHODS: list[Method] = [
    Method(
        name="list_connections",
        operation="list_connections",
        kind="repeatable",
        call=lambda hook: hook.list_connections(),
        did=_shows_all,
    ),
    Method(
        name="iter_connections",
        operation="list_connections",
        kind="repeatable",
        call=lambda hook: list(hook.iter_connections()),
        did=_shows_all,
    ),
    Method(
        name="find_connection",
        operation="list_connections",
        kind="repeatable",
        call=lambda hook: hook.find_connection(JIRA),
        did=lambda result, _: result["id"] == JIRA,
    ),
    Method(
        name="test_connection",
        operation="list_connections",
        kind="repeatable",
        call=lambda hook: hook.test_connection(),
        did=lambda result, _: result[0] is True and "accepts the API token" in result[1],
    ),
    Method(
        name="update_connection",
        operation="update_connection",
        kind="repeatable",
        call=lambda hook: hook.update_connection(JIRA, name="Renamed", input={"apitoken": CREDENTIAL}),
        did=lambda result, rows: result["id"] == JIRA and _named(rows, JIRA)["name"] == "Renamed",
    ),
    Method(
        name="disconnect_connection",
        operation="disconnect_connection",
        kind="repeatable",
        call=lambda hook: hook.disconnect_connection(JIRA),
        did=lambda result, rows: (
            result["success"] is True and _named(rows, JIRA)["authorization_status"] is None
        ),
    ),
    Method(
        name="delete_connection",
        operation="delete_connection",
        kind="repeatable",
        call=lambda hook: hook.delete_connection(JIRA),
        did=lambda result, rows: result["success"] is True and not _named(rows, JIRA),
    ),
    Method(
        name="get_picklist",
        operation="get_picklist",
        kind="repeatable",
        call=lambda hook: hook.get_picklist(PARENT, "all_sobjects"),
        did=lambda result, _: {"label": "Invoice", "value": "Invoice__c"} in result,
    ),
    Method(
        name="get_oauth_url",
        operation="get_oauth_url",
        kind="repeatable",
        call=lambda hook: hook.get_oauth_url(PARENT),
        did=lambda result, _: "/oauth/authorize?" in result,
    ),
    Method(
        name="create_connection",
        operation="create_connection",
        kind="create",
        call=_create,
        did=_is_the_one,
    ),
    Method(
        name="create_runtime_user_connection",
        operation="create_runtime_user_connection",
        kind="create",
        call=_create_runtime_user,
        did=_leads_to_login,
    ),
    Method(
        name="ensure_connection",
        operation="create_connection",
        kind="ensure",
        call=_ensure,
        did=_is_the_one,
    ),
    Method(
        name="ensure_runtime_user_connection",
        operation="create_runtime_user_connection",
        kind="ensure",
        call=_ensure_runtime_user,
        did=_leads_to_login,
    ),
    Method(
        name="plan_connections",
        operation="list_connections",
        kind="look-up",
        call=_plan,
        # Outside a task, nobody knows which credentials were sent.
        did=lambda result, _: (
            [(it["action"], it["connection_id"]) for it in result] == [("authenticate", THERE)]
        ),
    ),
    Method(
        name="create of an apply",
        operation="create_connection",
        kind="ensure",
        call=lambda hook: _apply(hook, _entry(), Scope(external_id_prefix=WANTED)),
        did=lambda result, rows: result["did"] in ("created", "reused") and _is_the_one(result, rows),
    ),
    Method(
        name="update of an apply",
        operation="update_connection",
        kind="repeatable",
        call=lambda hook: _apply(hook, _entry(name="Prod JIRA"), Scope(folder_id=FOLDER)),
        did=lambda result, _: (result["did"], result["id"]) == ("changed", JIRA),
    ),
    Method(
        name="ensure_connection of one that exists",
        operation="list_connections",
        kind="look-up",
        call=_ensure,
        did=_is_the_one,
    ),
    Method(
        name="ensure_runtime_user_connection of one that exists",
        operation="list_connections",
        kind="look-up",
        call=_ensure_runtime_user,
        did=_leads_to_login,
    ),
]
