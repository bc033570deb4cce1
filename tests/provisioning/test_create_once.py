"""Exactly one connection, with existing connections, lost answers and earlier tries."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_workato.client.retries import is_ambiguous
from airflow_provider_workato.exceptions import (
    WorkatoAuthorizationError,
    WorkatoConfigurationError,
    WorkatoExistsError,
    WorkatoMismatchError,
    WorkatoPermissionError,
    WorkatoRateLimitError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTransportError,
    WorkatoValidationError,
)
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning import search
from airflow_provider_workato.provisioning.identity import Identity
from tests.support.creates import Told, ensure
from tests.support.hook import Connect
from tests.support.listener import listening
from tests.support.sandbox import RunningSandbox
from tests.support.secrets import everything_shown

GOOD = {"apitoken": "g00d-s3cret"}
WRONG = {"apitoken": "wrong-credentials-s3cret"}
JIRA: dict[str, Any] = {"name": "A", "provider": "jira", "folder_id": 1892, "external_id": "a-1"}
PARENT = 36


class Memory:
    """A record that keeps all that is written, and starts with a given record for the task's connection."""

    def __init__(self, sandbox: RunningSandbox | None = None, **written: Any) -> None:
        self.written = [written | ({"at": sandbox.url} if sandbox else {})]

    def read(self) -> dict[str, Any]:
        return self.written[-1]

    def write(self, record: dict[str, Any]) -> None:
        self.written.append(record)


def made(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    """Return the connections other than the one of a fresh workspace."""
    return [row for row in sandbox.control.connections() if row["id"] != PARENT]


def calls(sandbox: RunningSandbox) -> dict[str, int]:
    counts: dict[str, int] = sandbox.control.counts()["by_operation"]
    return counts


# Texts that the server stores in another form

ODD = {"trimmed": " acme\n", "normalized": "Zoe\u0308", "cut": "x" * 300}


@pytest.mark.parametrize("how", ODD)
@pytest.mark.parametrize("by", ["external id", "name", "runtime user"])
def test_a_text_that_the_server_changed_is_found_again(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture, how: str, by: str
) -> None:
    sandbox.control.add_fault("stored_otherwise", how=how, times=None)

    def ensure() -> int:
        if by == "runtime user":
            found = hook.ensure_runtime_user_connection(
                parent_id=PARENT, folder_id=1892, external_id=ODD[how], with_url=False
            )
        else:
            arguments = JIRA | ({"external_id": ODD[how]} if by == "external id" else {"external_id": None})
            found = hook.ensure_connection(**arguments | {"name": ODD[how]}, input=GOOD)
        return int(found["id"])

    first = ensure()
    if by != "runtime user":
        assert "not as it was sent" in caplog.text
    assert ensure() == first
    assert len(made(sandbox)) == 1


def test_a_beginning_may_belong_to_another_owner(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    """Two long texts that differ only at their ends look the same once they are cut."""
    sandbox.control.add_fault("stored_otherwise", how="cut", times=None)
    first = hook.ensure_connection(**JIRA | {"external_id": "x" * 300 + "-a"}, input=GOOD)
    with pytest.raises(WorkatoExistsError, match="shows only the beginning of the external_id") as caught:
        hook.ensure_connection(**JIRA | {"external_id": "x" * 300 + "-b"}, input=GOOD, if_exists="update")
    assert caught.value.connection_ids == [first["id"]]
    assert "update_connection" not in calls(sandbox)


def test_a_create_that_is_answered_with_another_connection(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    """It is searched for but never repeated: it may exist under another name, and so would the next."""
    sandbox.control.add_fault("stored_otherwise", how="replaced", operation="create_connection", times=None)
    told, memory = Told(), Memory()
    with pytest.raises(WorkatoMismatchError) as caught:
        ensure(hook, **JIRA, input=GOOD, told=told, record=memory)
    assert isinstance(caught.value, AirflowFailException)
    assert is_ambiguous(caught.value)
    assert "external_id 'another a-1' where 'a-1' was sent" in str(caught.value)
    assert told.connections == []
    assert "id" not in memory.read()
    assert len(made(sandbox)) == 1
    assert calls(sandbox)["create_connection"] == 1
    assert calls(sandbox)["list_connections"] > 1


ANOTHER = {"id": 99, "name": "B", "provider": "rest", "external_id": "b-1"}


@pytest.mark.parametrize("key", ["name", "provider", "external_id"])
def test_an_answer_of_another_call(
    connect: Connect, sandbox: RunningSandbox, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection that the create made is found in the list; the one of the answer is left alone."""
    right = {**JIRA, "id": 7, "authorization_status": "success"}
    told = Told()
    answers = [[], right | {key: ANOTHER[key], "id": 99}, [], [right]]
    with listening(first_bodies=[json.dumps(answer).encode() for answer in answers]) as workato:
        connect(host=workato.url, server_timeout=5)
        with WorkatoConnectionsHook() as hook:
            assert ensure(hook, **JIRA, input=GOOD, told=told)["id"] == 7
    assert [row["id"] for row in told.connections] == [7]
    assert told.created == [True]
    assert f"shows another connection: {key} {ANOTHER[key]!r} where {JIRA[key]!r} was sent" in caplog.text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"id": 37}, "id '37' where '36' was sent"),
        ({"id": 36, "name": "C"}, "name 'C' where 'B' was sent"),
        ({"id": 36, "external_id": "c"}, "external_id 'c' where 'b' was sent"),
    ],
)
def test_an_update_that_is_answered_with_another_connection(
    connect: Connect, answer: dict[str, Any], said: str
) -> None:
    with listening(body=json.dumps(answer).encode()) as workato:
        connect(host=workato.url)
        with WorkatoConnectionsHook() as hook, pytest.raises(WorkatoMismatchError, match=said):
            hook.update_connection(36, name="B", external_id="b")
    assert len(workato.heard) == 1


def test_an_answer_about_another_connection_may_quote_a_credential(connect: Connect) -> None:
    with listening(body=json.dumps({"id": 7, "name": f"refused: {GOOD['apitoken']}"}).encode()) as workato:
        connect(host=workato.url)
        with WorkatoConnectionsHook() as hook, pytest.raises(WorkatoMismatchError) as caught:
            hook.create_connection(**JIRA, input=GOOD)
    assert "name 'refused: ***' where 'A' was sent" in str(caught.value)
    assert GOOD["apitoken"] not in everything_shown(caught.value)


def test_a_runtime_user_that_is_answered_with_another_connection(connect: Connect) -> None:
    body = {"data": {"id": 7, "url": "https://a.example/", "external_id": "b-2"}}
    with listening(body=json.dumps(body).encode()) as workato:
        connect(host=workato.url)
        with WorkatoConnectionsHook() as hook, pytest.raises(WorkatoMismatchError, match="'b-2' where 'b-1'"):
            hook.create_runtime_user_connection(parent_id=36, folder_id=1892, external_id="b-1")
    assert len(workato.heard) == 1


def test_what_an_answer_leaves_out_or_calls_by_its_second_name_proves_nothing(connect: Connect) -> None:
    body = {"id": 7, "provider": "jira_cloud", "application": "jira", "external_id": None}
    with listening(body=json.dumps(body).encode()) as workato:
        connect(host=workato.url)
        with WorkatoConnectionsHook() as hook:
            assert hook.create_connection(**JIRA)["id"] == 7


# Existing connections


def test_created_if_it_does_not_exist(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    connection = hook.ensure_connection(**JIRA, input=GOOD)
    (row,) = made(sandbox)
    assert (connection["id"], connection["authorization_status"]) == (row["id"], "success")
    assert calls(sandbox) == {"list_connections": 1, "create_connection": 1}


@pytest.mark.parametrize("by", [JIRA, {**JIRA, "external_id": None}, {"name": "A", "provider": "jira"}])
def test_reused_if_it_exists(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, by: dict[str, Any]
) -> None:
    first = hook.ensure_connection(**by, input=GOOD)
    second = hook.ensure_connection(**by, input=GOOD)
    assert second["id"] == first["id"]
    assert calls(sandbox) == {"list_connections": 2, "create_connection": 1}


@pytest.mark.parametrize(
    "other",
    [
        {"external_id": "a-2"},
        {"provider": "rest"},
        {"folder_id": 4515},
        {"external_id": None, "name": "B"},
        {"external_id": None, "folder_id": 4515},
    ],
)
def test_other_connections_do_not_match(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, other: dict[str, Any]
) -> None:
    first = hook.ensure_connection(**JIRA)
    assert hook.ensure_connection(**JIRA | other)["id"] != first["id"]
    assert len(made(sandbox)) == 2


def test_updated_with_all_arguments(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    first = hook.ensure_connection(**JIRA, input=GOOD)
    changed = hook.ensure_connection(
        name="B", provider="jira", external_id="a-1", input=GOOD, if_exists="update"
    )
    assert (changed["id"], changed["name"], changed["folder_id"]) == (first["id"], "B", 1892)
    assert made(sandbox)[0]["name"] == "B"
    assert calls(sandbox)["update_connection"] == 1


def test_an_update_empties_what_a_create_leaves_out(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    unset: dict[str, Any] = {"parent_id": "unset", "custom_oauth_profile_id": "unset"}
    parent = hook.ensure_connection(**JIRA | {"external_id": "parent"} | unset)
    given: dict[str, Any] = {"parent_id": parent["id"], "custom_oauth_profile_id": 17}
    first = hook.ensure_connection(**JIRA, **given)
    assert (parent["parent_id"], {key: first[key] for key in given}) == (None, given)
    assert hook.ensure_connection(**JIRA, **unset)["parent_id"] == parent["id"], "it is reused as it is"
    changed = hook.ensure_connection(**JIRA, **unset, if_exists="update")
    assert changed["id"] == first["id"]
    assert {key: changed[key] for key in unset} == dict.fromkeys(unset)


@pytest.mark.parametrize(
    ("change", "updates"),
    [
        ({}, 0),
        ({"name": "B"}, 1),
        ({"parent_id": None}, 0),
        ({"parent_id": "unset"}, 0),
        ({"parent_id": "unset", "name": "A\n"}, 0),
        # What the list does not show may have changed.
        ({"shell_connection": True}, 1),
        ({"input": GOOD}, 1),
    ],
)
def test_an_update_that_changes_nothing_is_not_sent(
    hook: WorkatoConnectionsHook,
    sandbox: RunningSandbox,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    updates: int,
) -> None:
    caplog.set_level("INFO")
    first = hook.ensure_connection(**JIRA)
    told = Told()
    again = ensure(hook, **JIRA | change, if_exists="update", told=told)
    assert (again["id"], told.created[-1]) == (first["id"], False)
    assert calls(sandbox).get("update_connection", 0) == updates
    says = f"Connection {first['id']} (external_id='a-1', provider='jira', folder_id=1892) is unchanged"
    assert (f"{says}; status: no status yet." in caplog.messages) is (updates == 0)


def test_an_update_is_sent_if_the_list_does_not_show_everything(connect: Connect) -> None:
    row = {"id": 7, "name": "A", "provider": "jira", "external_id": "a-1"}
    with listening(body=json.dumps([row]).encode()) as workato:
        connect(host=workato.url, retry_budget=0)
        # The server answers every call with the list.
        with closing(WorkatoConnectionsHook()) as hook, pytest.raises(WorkatoResponseError) as caught:
            hook.ensure_connection(**JIRA, if_exists="update")
    assert caught.value.operation == "update_connection"


def test_an_update_of_what_a_person_authorized_warns(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    sandbox.control.seed(
        [
            {"name": name, "provider": name, "external_id": "e", "authorization_status": "success"}
            for name in ("salesforce", "jira")
        ]
    )
    given: dict[str, Any] = {"external_id": "e", "if_exists": "update"}
    hook.ensure_connection(name="jira", provider="jira", input=GOOD, **given)
    assert caplog.messages == []
    with pytest.raises(WorkatoAuthorizationError, match="If a person logs in to this app, leave 'input' out"):
        hook.ensure_connection(name="salesforce", provider="salesforce", input={"sandbox": True}, **given)
    (warning,) = caplog.messages
    assert "(salesforce) is authorized, probably by a person's login" in warning


def test_an_update_may_be_refused(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    first = hook.ensure_connection(**JIRA, input=GOOD)
    with pytest.raises(WorkatoAuthorizationError) as caught:
        hook.ensure_connection(**JIRA, input=WRONG, if_exists="update")
    assert caught.value.connection_id == first["id"]
    assert caught.value.authorization_error is not None
    assert "Correct 'input' and clear this task" in str(caught.value)


def test_fails_if_it_exists(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    first = hook.ensure_connection(**JIRA, if_exists="fail")
    with pytest.raises(WorkatoExistsError, match=f"Connection {first['id']} exists already") as caught:
        hook.ensure_connection(**JIRA, if_exists="fail")
    assert caught.value.connection_ids == [first["id"]]
    assert len(made(sandbox)) == 1


def test_a_duplicate_on_purpose(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    ids = {hook.ensure_connection(**JIRA, if_exists="duplicate")["id"] for _ in range(3)}
    assert len(ids) == len(made(sandbox)) == 3


@pytest.mark.parametrize("if_exists", ["reuse", "update", "fail"])
def test_several_matches_are_an_error(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, if_exists: Any
) -> None:
    ids = sandbox.control.seed([JIRA] * 2)
    with pytest.raises(WorkatoExistsError, match=f"2 connections match.*: {ids[0]}, {ids[1]}") as caught:
        hook.ensure_connection(**JIRA, if_exists=if_exists)
    assert caught.value.connection_ids == ids
    assert calls(sandbox) == {"list_connections": 1}


def test_an_unknown_mode(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    with pytest.raises(WorkatoConfigurationError, match="if_exists must be one of reuse, update, fail, dup"):
        hook.ensure_connection(**JIRA, if_exists="replace")  # type: ignore[arg-type]
    assert calls(sandbox) == {}


# Credentials that are refused, and repaired


@pytest.mark.parametrize("if_exists", ["reuse", "update"])
def test_the_next_try_repairs_refused_credentials(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, if_exists: Any
) -> None:
    with pytest.raises(WorkatoAuthorizationError) as caught:
        hook.ensure_connection(**JIRA, input=WRONG, if_exists=if_exists)
    (row,) = made(sandbox)
    assert caught.value.connection_id == row["id"]
    assert "jira: 401 Unauthorized, the app refused the credentials" in str(caught.value)
    repaired = hook.ensure_connection(**JIRA, input=GOOD, if_exists=if_exists)
    assert (repaired["id"], repaired["authorization_status"]) == (row["id"], "success")
    assert repaired["authorization_error"] is None
    assert len(made(sandbox)) == 1


def test_still_refused(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    for _ in range(2):
        with pytest.raises(WorkatoAuthorizationError):
            hook.ensure_connection(**JIRA, input=WRONG)
    assert len(made(sandbox)) == 1


@pytest.mark.parametrize(
    "state",
    [
        {"authorization_status": None},
        {"authorization_status": "exception", "authorization_error": "x"},
        {"authorization_status": "success", "connection_lost_at": "2099-01-01T00:00:00Z"},
    ],
    ids=["null", "exception", "lost"],
)
def test_an_unauthorized_connection_is_repaired(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, state: dict[str, Any]
) -> None:
    (number,) = sandbox.control.seed([JIRA | state])
    connection = hook.ensure_connection(**{**JIRA, "name": "Only the credentials change"}, input=GOOD)
    assert (connection["id"], connection["name"]) == (number, "A")
    assert connection["authorization_status"] == "success"


@pytest.mark.parametrize("given", [{}, {"input": GOOD, "shell_connection": True}])
def test_without_tested_credentials_nothing_is_repaired(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, given: dict[str, Any]
) -> None:
    (number,) = sandbox.control.seed([JIRA | {"authorization_status": "failed"}])
    assert hook.ensure_connection(**JIRA, **given)["id"] == number
    assert calls(sandbox) == {"list_connections": 1}


def test_an_authorized_connection_is_left_alone(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    hook.ensure_connection(**JIRA, input=GOOD)
    assert hook.ensure_connection(**JIRA, input=WRONG)["authorization_status"] == "success"
    assert "update_connection" not in calls(sandbox)


def test_a_definite_refusal_leaves_no_connection_and_no_record(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    record = Memory()
    with pytest.raises(WorkatoValidationError):
        ensure(hook, **JIRA, input={"a": "malformed-credentials"}, record=record)
    assert made(sandbox) == []
    assert "sent_at" not in record.written[-1]


# Lost answers

ADOPTED, SENT_AGAIN = "Adopted connection", "The connection was not created; sending the request again"


@pytest.mark.parametrize(
    ("fault", "performed", "outcome"),
    [
        ("reset_before_answer", True, ADOPTED),
        ("reset_before_answer", False, SENT_AGAIN),
        ("reset_mid_body", True, ADOPTED),
        ("timeout", True, ADOPTED),
        ("timeout", False, SENT_AGAIN),
        ("server_error", True, ADOPTED),
        ("server_error", False, SENT_AGAIN),
        ("gateway_timeout_html", True, ADOPTED),
        ("gateway_timeout_html", False, SENT_AGAIN),
        ("html_page", True, ADOPTED),
        ("html_page", False, SENT_AGAIN),
        ("truncated_json", True, ADOPTED),
    ],
)
def test_a_lost_answer_makes_no_second_connection(
    connect: Connect,
    sandbox: RunningSandbox,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    performed: bool,
    outcome: str,
) -> None:
    connect(connect_timeout=1, read_timeout=0.5)
    sandbox.control.add_fault(fault, operation="create_connection", performed=performed)
    hook = WorkatoConnectionsHook()
    with caplog.at_level("INFO"):
        connection = hook.ensure_connection(**JIRA, input=GOOD)
    hook.close()
    (row,) = made(sandbox)
    assert connection["id"] == row["id"]
    assert connection["authorization_status"] == "success"
    assert calls(sandbox)["create_connection"] == (1 if outcome == ADOPTED else 2)
    assert outcome in caplog.text
    assert caplog.text.count(ADOPTED) + caplog.text.count(SENT_AGAIN) == 1, "the log says which happened"


def test_a_connection_in_another_folder_is_another_one_but_named(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = {**JIRA, "external_id": "acme", "folder_id": 4515}
    first = hook.ensure_connection(**tenant, input=GOOD)
    assert "Creating another" not in caplog.text
    second = hook.ensure_connection(**{**tenant, "folder_id": 1892}, input=GOOD)
    assert second["id"] != first["id"]
    assert f"but connection {first['id']} in folder 4515 does. Creating another." in caplog.text


def test_a_create_tells_that_it_waits_for_an_earlier_one(
    connect: Connect, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    connect(retry_budget=0, server_timeout=2)
    sandbox.control.add_fault("close_before_answer", operation="create_connection", performed=False)
    sandbox.control.add_fault("server_error", operation="list_connections", times=None, skip=1)
    with closing(WorkatoConnectionsHook()) as hook, pytest.raises(WorkatoServerError):
        hook.ensure_connection(**JIRA, input=GOOD)
    sandbox.control.reset()
    caplog.clear()
    with closing(WorkatoConnectionsHook()) as hook, caplog.at_level("INFO"):
        hook.ensure_connection(**JIRA, input=GOOD)
    said = re.findall(
        r"A create of this connection \(.+\) may still be under way; searching for", caplog.text
    )
    assert len(said) == 1


def test_gives_up_within_the_budget(connect: Connect, sandbox: RunningSandbox) -> None:
    connect(retry_budget=1.5)
    sandbox.control.add_fault("server_error", operation="create_connection", times=None)
    record = Memory()
    with pytest.raises(WorkatoServerError):
        ensure(WorkatoConnectionsHook(), **JIRA, input=GOOD, record=record)
    assert made(sandbox) == []
    assert calls(sandbox)["create_connection"] > 1
    assert "sent_at" not in record.written[-1], "the next try has nothing of its own to find"


def test_searches_until_workato_must_be_done(connect: Connect, sandbox: RunningSandbox) -> None:
    connect(retry_budget=0, server_timeout=1.5)
    sandbox.control.add_fault("reset_before_answer", operation="create_connection", performed=False)
    begin = time.monotonic()
    with pytest.raises(WorkatoTransportError):
        WorkatoConnectionsHook().ensure_connection(**JIRA, input=GOOD)
    assert time.monotonic() - begin >= 1.5, "to look is no attempt, so that the retry budget is not for it"
    assert calls(sandbox)["create_connection"] == 1


def test_a_connection_that_existed_before_is_not_adopted(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    (old,) = sandbox.control.seed([JIRA])
    sandbox.control.add_fault("reset_before_answer", operation="create_connection", performed=True)
    connection = hook.ensure_connection(**JIRA, input=GOOD, if_exists="duplicate")
    assert connection["id"] != old
    assert len(made(sandbox)) == 2


def test_refused_credentials_are_reported_after_a_lost_answer(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    sandbox.control.add_fault("reset_before_answer", operation="create_connection", performed=True)
    with pytest.raises(WorkatoAuthorizationError):
        hook.ensure_connection(**JIRA, input=WRONG)
    assert len(made(sandbox)) == 1


def test_an_unreadable_search_fails_the_create(connect: Connect, sandbox: RunningSandbox) -> None:
    connect(retry_budget=0)
    sandbox.control.add_fault("html_page", operation="list_connections")
    with pytest.raises(WorkatoResponseError):
        WorkatoConnectionsHook().ensure_connection(**JIRA)
    assert made(sandbox) == []


# Earlier tries

WHO = str(Identity(name="A", provider="jira", folder_id=1892, external_id="a-1"))


def test_the_records_of_a_try(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    record = Memory()
    before = time.time()
    connection = ensure(hook, **JIRA, input=GOOD, record=record)
    assert record.written[1:] == [
        {"sent_at": record.written[1]["sent_at"], "known": [], "for": WHO, "at": sandbox.url},
        {"id": connection["id"], "for": WHO, "at": sandbox.url},
    ]
    assert before <= record.written[1]["sent_at"] <= time.time()
    assert "g00d-s3cret" not in str(record.written)


@pytest.mark.parametrize("if_exists", ["reuse", "update", "fail", "duplicate"])
def test_a_connection_created_by_an_interrupted_try_is_adopted(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, if_exists: Any
) -> None:
    old, mine = sandbox.control.seed([JIRA] * 2)
    record = Memory(sandbox, sent_at=time.time(), known=[old], **{"for": WHO})
    connection = ensure(hook, **JIRA, input=GOOD, if_exists=if_exists, record=record)
    assert (connection["id"], connection["authorization_status"]) == (mine, "success")
    assert record.written[-1] == {"id": mine, "for": WHO, "at": sandbox.url}
    assert len(made(sandbox)) == 2


def test_several_after_an_interrupted_try(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    ids = sandbox.control.seed([JIRA] * 2)
    with pytest.raises(WorkatoExistsError) as caught:
        ensure(
            hook,
            **JIRA,
            if_exists="duplicate",
            record=Memory(sandbox, sent_at=time.time(), known=[], **{"for": WHO}),
        )
    assert caught.value.connection_ids == ids


def test_an_interrupted_try_that_created_nothing(connect: Connect, sandbox: RunningSandbox) -> None:
    connect(server_timeout=1)
    before = time.time()
    ensure(WorkatoConnectionsHook(), **JIRA, record=Memory(sandbox, sent_at=before, known=[], **{"for": WHO}))
    assert time.time() - before >= 1, "the call of that try may have run for so long"
    assert len(made(sandbox)) == 1
    assert calls(sandbox)["list_connections"] > 1


@pytest.mark.parametrize(
    "record",
    [
        {"sent_at": 1_000_000_000.0, "known": [], "for": WHO},
        {"sent_at": 9_000_000_000.0, "known": [], "for": "name='Another', provider='jira'"},
        {"for": WHO},
        {"id": 5, "for": WHO},
        {"unknown": 1},
        {},
    ],
)
def test_records_that_change_nothing(
    connect: Connect, sandbox: RunningSandbox, record: dict[str, Any]
) -> None:
    connect(server_timeout=600)
    ensure(WorkatoConnectionsHook(), **JIRA, record=Memory(sandbox, **record))
    assert calls(sandbox) == {"list_connections": 1, "create_connection": 1}


def test_a_record_from_the_future_does_not_prolong_the_wait(
    connect: Connect, sandbox: RunningSandbox
) -> None:
    connect(server_timeout=0.5)
    written = {"sent_at": time.time() + 86_400, "known": [], "for": WHO}
    ensure(WorkatoConnectionsHook(), **JIRA, record=Memory(sandbox, **written))
    assert len(made(sandbox)) == 1


def test_a_renamed_connection_is_still_found_by_its_id(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    by_name: dict[str, Any] = {"name": "A", "provider": "jira"}
    record = Memory()
    mine = ensure(hook, **by_name, record=record)
    hook.update_connection(mine["id"], name="B")
    assert ensure(hook, **by_name, record=record)["id"] == mine["id"]
    assert len(made(sandbox)) == 1


ELSEWHERE = [{"at": "https://www.workato.com"}, {"at": None}]


@pytest.mark.parametrize("other", ELSEWHERE)
def test_the_record_of_another_workspace_is_not_ours(
    connect: Connect, sandbox: RunningSandbox, other: dict[str, Any]
) -> None:
    connect(server_timeout=600)
    record = Memory(**{"for": WHO, "sent_at": time.time(), "known": [], **other})
    connection = ensure(WorkatoConnectionsHook(), **JIRA, record=record)
    assert [row["id"] for row in made(sandbox)] == [connection["id"]]
    assert calls(sandbox) == {"list_connections": 1, "create_connection": 1}


@pytest.mark.parametrize("other", ELSEWHERE)
def test_the_id_of_another_workspace_is_not_ours(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, other: dict[str, Any]
) -> None:
    # There the id is that of the connection meant; here it belongs to another connection.
    (theirs,) = sandbox.control.seed([{"name": "B", "provider": "jira"}])
    record = Memory(**{"for": "name='A', provider='jira'", "id": theirs, **other})
    assert ensure(hook, name="A", provider="jira", record=record)["id"] != theirs


def test_the_id_in_a_record_must_be_of_the_same_app(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    (other,) = sandbox.control.seed([{"name": "A", "provider": "rest"}])
    record = Memory(sandbox, id=other, **{"for": "name='A', provider='jira'"})
    assert ensure(hook, name="A", provider="jira", record=record)["id"] != other


def test_a_connection_created_much_later_is_not_adopted(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    (theirs,) = sandbox.control.seed([JIRA | {"authorization_status": "success"}])
    yesterday = time.time() - 86_400
    told = Told()
    ensure(hook, **JIRA, record=Memory(sandbox, sent_at=yesterday, known=[], **{"for": WHO}), told=told)
    assert told.created == [False]
    assert [row["id"] for row in made(sandbox)] == [theirs]


@pytest.mark.parametrize(("late", "created"), [(-200, False), (200, False), (-60, True), (60, True)])
def test_only_a_connection_created_about_when_the_request_left_is_adopted(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, late: float, created: bool
) -> None:
    sandbox.control.seed([JIRA])
    told = Told()
    written = {"sent_at": time.time() - late, "known": [], "for": WHO}
    ensure(hook, **JIRA, record=Memory(sandbox, **written), told=told)
    assert told.created == [created]


def failing_try(connect: Connect, sandbox: RunningSandbox, record: Memory, **arguments: Any) -> None:
    """Run a try whose create gets a 500 and creates nothing."""
    connect(retry_budget=0)
    sandbox.control.add_fault("server_error", operation="create_connection", performed=False)
    with pytest.raises(WorkatoServerError):
        ensure(WorkatoConnectionsHook(), **arguments, input=GOOD, record=record)
    assert made(sandbox) == []


def test_a_connection_created_after_a_failed_try_is_not_adopted(
    connect: Connect, sandbox: RunningSandbox
) -> None:
    record, told = Memory(), Told()
    failing_try(connect, sandbox, record, **JIRA)
    (theirs,) = sandbox.control.seed([JIRA | {"authorization_status": "success"}])
    connection = ensure(WorkatoConnectionsHook(), **JIRA, record=record, told=told)
    assert connection["id"] == theirs
    assert told.created == [False], "a teardown would delete it"


def test_another_owners_connection_of_the_same_name_gets_no_credentials(
    connect: Connect, sandbox: RunningSandbox
) -> None:
    record, told = Memory(), Told()
    failing_try(connect, sandbox, record, name="A", provider="jira")
    sandbox.control.seed([{"name": "A", "provider": "jira", "folder_id": 777, "authorization_status": None}])
    with pytest.raises(WorkatoExistsError, match="by its name alone"):
        ensure(WorkatoConnectionsHook(), name="A", provider="jira", input=GOOD, record=record, told=told)
    assert told.created == []
    assert "update_connection" not in calls(sandbox)


def test_an_interrupted_try_is_searched_for_once(connect: Connect, sandbox: RunningSandbox) -> None:
    connect(retry_budget=0, server_timeout=0.1)
    record = Memory(sandbox, sent_at=time.time(), known=[], **{"for": WHO})
    sandbox.control.add_fault("rate_limited_seconds", operation="create_connection", seconds=1)
    with pytest.raises(WorkatoRateLimitError):
        ensure(WorkatoConnectionsHook(), **JIRA, record=record)
    sent = [each for each in record.written if "sent_at" in each]
    assert len(sent) == 2, "that of the interrupted try, and our own"
    assert record.written[1] == {"for": WHO, "at": sandbox.url}


def test_a_failed_search_after_a_refusal_leaves_no_record(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 1.5)
    record = Memory()
    # The first request gets a 429; when the second leaves, the search is old.
    sandbox.control.add_fault("rate_limited_seconds", operation="create_connection", seconds=2)
    sandbox.control.add_fault("forbidden", operation="list_connections", skip=1)
    with pytest.raises(WorkatoPermissionError):
        ensure(WorkatoConnectionsHook(), **JIRA, record=record)
    assert any("sent_at" in each for each in record.written)
    assert "sent_at" not in record.written[-1]


# Connections of other owners

BY_NAME_ONLY: dict[str, Any] = {"name": "A", "provider": "jira"}


@pytest.mark.parametrize(
    ("status", "given"),
    [
        (None, {"input": GOOD}),
        ("failed", {"input": GOOD}),
        ("success", {"input": GOOD, "if_exists": "update"}),
        ("success", {"if_exists": "update"}),
    ],
)
def test_a_name_alone_is_not_enough_to_change_a_connection(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, status: str | None, given: dict[str, Any]
) -> None:
    (theirs,) = sandbox.control.seed([{**BY_NAME_ONLY, "folder_id": 4515, "authorization_status": status}])
    told = Told()
    with pytest.raises(WorkatoExistsError, match=r"by its name alone.*folder_id=4515.*external_id") as caught:
        ensure(hook, **BY_NAME_ONLY, **given, told=told)
    assert told.connections == [], "a clean-up must not get the id of somebody else's connection"
    assert caught.value.connection_ids == [theirs]
    assert calls(sandbox) == {"list_connections": 1}


def test_a_name_is_enough_to_use_an_authorized_connection(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    (theirs,) = sandbox.control.seed([{**BY_NAME_ONLY, "authorization_status": "success"}])
    assert hook.ensure_connection(**BY_NAME_ONLY, input=GOOD)["id"] == theirs


@pytest.mark.parametrize("if_exists", ["reuse", "update"])
def test_a_name_in_a_folder_is_certain(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, if_exists: Any
) -> None:
    (mine,) = sandbox.control.seed([{**BY_NAME_ONLY, "folder_id": 4515}])
    connection = hook.ensure_connection(**BY_NAME_ONLY, folder_id=4515, input=GOOD, if_exists=if_exists)
    assert (connection["id"], connection["authorization_status"]) == (mine, "success")


def test_a_connection_created_by_this_task_is_repaired_by_name(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    record = Memory()
    with pytest.raises(WorkatoAuthorizationError):
        ensure(hook, **BY_NAME_ONLY, input=WRONG, record=record)
    connection = ensure(hook, **BY_NAME_ONLY, input=GOOD, record=record)
    assert connection["authorization_status"] == "success"
    assert len(made(sandbox)) == 1


# What a create tells


def test_the_connection_is_told_before_the_credentials_are_refused(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    told, record = Told(), Memory()
    for _ in range(2):
        with pytest.raises(WorkatoAuthorizationError):
            ensure(hook, **JIRA, input=WRONG, record=record, told=told)
    (row,) = made(sandbox)
    # Created; then found and changed by the next try.
    assert [connection["id"] for connection in told.connections] == [row["id"]] * 3
    assert told.created == [True] * 3


def test_adopted_and_existing_connections_are_told(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    told = Told()
    sandbox.control.add_fault("reset_before_answer", operation="create_connection", performed=True)
    for _ in range(2):
        ensure(hook, **JIRA, told=told)
    assert told.created == [True, False], "adopted after a lost answer; there when another task looked"


def test_credentials_quoted_by_an_app_are_not_passed_on(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    told = Told()
    quoting = {
        "authorization_error": f"{GOOD['apitoken']} is wrong, and so is {sandbox.token}",
        "connection_lost_reason": f"no {GOOD['apitoken']}",
        "connection_lost_at": "2026-01-01T00:00:00Z",
        "authorization_status": "failed",
    }
    sandbox.control.seed([JIRA | quoting])
    connection = ensure(hook, **JIRA, input=GOOD, shell_connection=True, told=told)
    assert "***" in connection["authorization_error"]
    for secret in (GOOD["apitoken"], sandbox.token):
        assert secret not in str([connection, told.connections])


# Runtime user connections

ADA: dict[str, Any] = {"parent_id": PARENT, "folder_id": 26204321, "external_id": "ada"}


def test_a_runtime_user_connection_once(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    record = Memory()
    first = ensure(hook, **ADA, name="Ada", record=record)
    assert (first["external_id"], first["parent_id"]) == ("ada", PARENT)
    assert calls(sandbox) == {"list_connections": 1, "create_runtime_user_connection": 1}
    second = hook.ensure_runtime_user_connection(**ADA)
    assert second["id"] == first["id"] == record.written[-1]["id"]
    assert second["url"] != first["url"], "links are used once"
    assert sandbox.control.click_authorize(second["url"]) == 200
    assert len(made(sandbox)) == 1


def test_another_user_gets_another_one(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    hook.ensure_runtime_user_connection(**ADA)
    hook.ensure_runtime_user_connection(**ADA | {"external_id": "bob"})
    assert len(made(sandbox)) == 2


def test_an_ordinary_connection_with_this_external_id_does_not_match(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox
) -> None:
    sandbox.control.seed([{"provider": "salesforce", "external_id": "ada"}])
    hook.ensure_runtime_user_connection(**ADA)
    assert len(made(sandbox)) == 2


def test_modes_of_runtime_user_connections(hook: WorkatoConnectionsHook, sandbox: RunningSandbox) -> None:
    first = hook.ensure_runtime_user_connection(**ADA, name="Ada")
    changed = hook.ensure_runtime_user_connection(**ADA, name="Countess", if_exists="update")
    assert (changed["id"], changed["name"]) == (first["id"], "Countess")
    hook.ensure_runtime_user_connection(**ADA, name="Countess", if_exists="update")
    assert calls(sandbox)["update_connection"] == 1, "nothing changed since"
    with pytest.raises(WorkatoExistsError):
        hook.ensure_runtime_user_connection(**ADA, if_exists="fail")
    assert hook.ensure_runtime_user_connection(**ADA, if_exists="duplicate")["id"] != first["id"]
    with pytest.raises(WorkatoExistsError, match="2 connections match external_id='ada'"):
        hook.ensure_runtime_user_connection(**ADA)


@pytest.mark.parametrize("performed", [True, False])
def test_a_lost_answer_makes_no_second_runtime_user_connection(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, performed: bool
) -> None:
    sandbox.control.add_fault(
        "reset_before_answer", operation="create_runtime_user_connection", performed=performed
    )
    connection = hook.ensure_runtime_user_connection(**ADA)
    assert [row["id"] for row in made(sandbox)] == [connection["id"]]
    assert connection["url"].startswith(sandbox.url)


@pytest.mark.parametrize("wrong", [{"parent_id": "x"}, {"folder_id": None}, {"external_id": ""}])
def test_wrong_arguments_of_runtime_user_connections(
    hook: WorkatoConnectionsHook, sandbox: RunningSandbox, wrong: dict[str, Any]
) -> None:
    with pytest.raises(WorkatoConfigurationError, match=next(iter(wrong))):
        hook.ensure_runtime_user_connection(**ADA | wrong)
    assert calls(sandbox) == {}
