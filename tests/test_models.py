"""Parsing is lenient where real answers differ, and strict where a wrong answer would be believed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoConfigurationError, WorkatoResponseError
from airflow_provider_workato.models import (
    Identity,
    connection_ids,
    decode,
    iter_connections,
    parse_connection,
    parse_connections,
    parse_oauth_url,
    parse_outcome,
    parse_picklist,
    parse_runtime_user_connection,
    parse_time,
    result_of,
    to_id,
    to_optional_id,
    to_timestamp,
    with_details,
)
from tests.support.recorded import recorded_rows

# Ids


@pytest.mark.parametrize(("value", "number"), [(36, 36), ("36", 36), ("0036", 36), (2**62, 2**62)])
def test_ids(value: int | str, number: int) -> None:
    assert to_id(value) == number
    assert to_optional_id(value, what="folder_id") == number


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 36",
        "36\n",
        "36/../../users/me",
        "3.6",
        "-1",
        "0",
        "٣٦",
        "9" * 20,
        "None",
        None,
        0,
        -1,
        True,
        3.0,
        [36],
        {},
    ],
)
def test_what_is_no_id(value: object) -> None:
    with pytest.raises(WorkatoConfigurationError, match="connection_id must be a connection's number"):
        to_id(value)
    with pytest.raises(WorkatoConfigurationError, match="folder_id must be a number such as 1892"):
        to_id(value, what="folder_id")


def test_the_error_shows_a_bounded_piece_of_what_is_no_id() -> None:
    with pytest.raises(WorkatoConfigurationError) as caught:
        to_id("x" * 1000)
    assert len(str(caught.value)) < 200


def test_an_id_that_was_not_given() -> None:
    assert to_optional_id(None, what="folder_id") is None


def test_one_id_or_a_list_of_them() -> None:
    assert connection_ids(36) == connection_ids("36") == [36]
    assert connection_ids([36, "37"]) == connection_ids((36, 37)) == [36, 37]


@pytest.mark.parametrize("empty", [[], (), ""])
def test_nothing_to_wait_for(empty: list[int] | str) -> None:
    with pytest.raises(WorkatoConfigurationError):
        connection_ids(empty)


def test_the_result_has_the_shape_of_the_question() -> None:
    row = {"id": 36}
    assert result_of(36, [row]) == result_of("36", [row]) == row
    assert result_of([36], [row]) == [row]


# Times


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (datetime(2026, 1, 31, 8, 0, 0, 999, tzinfo=UTC), "2026-01-31T08:00:00Z"),
        (datetime(2026, 1, 31, 8, tzinfo=timezone(timedelta(hours=-8))), "2026-01-31T16:00:00Z"),
        ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
        ("2026-01-31 08:00:00+01:00", "2026-01-31T07:00:00Z"),
    ],
)
def test_times_are_sent_in_utc(given: datetime | str, sent: str) -> None:
    assert to_timestamp(given) == sent


@pytest.mark.parametrize("given", ["yesterday", "2026-01-31T08:00:00", datetime(2026, 1, 31), 1, None])  # noqa: DTZ001
def test_what_is_no_time(given: Any) -> None:
    with pytest.raises(WorkatoConfigurationError, match="updated_after must be a datetime with a time zone"):
        to_timestamp(given)


def test_offsets_are_understood() -> None:
    assert parse_time("2020-12-23T14:12:06.751-08:00") == datetime(
        2020, 12, 23, 22, 12, 6, 751000, tzinfo=UTC
    )
    assert parse_time("2020-12-23T22:12:06Z") == datetime(2020, 12, 23, 22, 12, 6, tzinfo=UTC)
    for nothing in (None, "", "soon", 1608761526):
        assert parse_time(nothing) is None


# Connections


def test_recorded_rows_pass_with_all_they_have() -> None:
    for row in parse_connections(recorded_rows()):
        was = next(item for item in recorded_rows() if item["id"] == row["id"])
        assert row == was | {"provider": was["application"]}


@pytest.mark.parametrize("envelope", [None, "result", "data"])
def test_envelopes_of_a_list(envelope: str | None) -> None:
    payload: Any = recorded_rows()
    payload = payload if envelope is None else {envelope: payload}
    body = json.dumps(payload).encode()
    assert [row["id"] for row in parse_connections(payload)] == [13116439, 13116220, 398086]
    assert [row["id"] for row in iter_connections(body)] == [13116439, 13116220, 398086]


@pytest.mark.parametrize("envelope", [None, "result", "data"])
def test_envelopes_of_a_connection(envelope: str | None) -> None:
    row: Any = {"id": 36, "name": "a"}
    row = row if envelope is None else {envelope: row}
    assert parse_connection(row, operation="create_connection") == {"id": 36, "name": "a"}


def test_provider_and_application_mean_the_same() -> None:
    assert parse_connection({"id": 1, "application": "jira"}, operation="x")["provider"] == "jira"
    assert (
        parse_connection({"id": 1, "application": "x", "provider": "jira"}, operation="x")["provider"]
        == "jira"
    )
    assert (
        parse_connection({"id": 1, "application": "jira", "provider": None}, operation="x")["provider"]
        == "jira"
    )


def test_an_id_in_quotes_is_a_number() -> None:
    assert parse_connection({"id": "36"}, operation="x")["id"] == 36


def test_credentials_in_an_answer_go_no_further() -> None:
    assert "input" not in parse_connection({"id": 1, "input": {"apitoken": "s"}}, operation="x")


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        1,
        "36",
        {},
        {"name": "a"},
        {"id": None},
        {"id": True},
        {"id": "a"},
        {"id": 3.6},
        {"id": [36]},
    ],
)
def test_what_is_no_connection(row: object) -> None:
    with pytest.raises(WorkatoResponseError, match="create_connection") as caught:
        parse_connection(row, operation="create_connection")
    assert caught.value.operation == "create_connection"
    with pytest.raises(WorkatoResponseError):
        parse_connections([row])


@pytest.mark.parametrize(
    "payload", [None, 1, "[]", {}, {"result": None}, {"result": {"id": 1}}, {"message": "no"}]
)
def test_what_is_no_list(payload: object) -> None:
    with pytest.raises(WorkatoResponseError, match="a list of connections was expected"):
        parse_connections(payload)


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b'{"result": []}'])
def test_an_empty_list(body: bytes) -> None:
    assert list(iter_connections(body)) == parse_connections(json.loads(body)) == []


def test_rows_are_decoded_one_by_one() -> None:
    rows = iter_connections(b'[{"id": 1}, {"id": 2}, {"id": ')
    assert next(rows)["id"] == 1
    assert next(rows)["id"] == 2
    with pytest.raises(WorkatoResponseError, match="not complete JSON"):
        next(rows)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[,]",
        b"[{}",
        b'[{"id": 1},]',
        b'[,{"id": 1}]',
        b'[{"id": 1} {"id": 2}]',
        b'[{"id": 1}] x',
        b'[{"id": 1}, 2]',
        b"[" * 5000,
        b"<html>",
    ],
)
def test_torn_lists(body: bytes) -> None:
    with pytest.raises(WorkatoResponseError):
        list(iter_connections(body))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": ', b"\xff", b"[" * 100_000])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(
        WorkatoResponseError, match="The answer to get_picklist is not complete JSON"
    ) as caught:
        decode(body, operation="get_picklist")
    assert caught.value.__context__ is None, "the decoder's error carries the whole body"


# Other answers


@pytest.mark.parametrize(
    "payload",
    [
        {"data": [["Bug", "10001", None, False], ["Task", 7]]},
        {"result": [["Bug", "10001"], ["Task", 7, 1, 2, 3]]},
        [["Bug", "10001", None], ["Task", 7]],
    ],
)
def test_picklists(payload: object) -> None:
    assert parse_picklist(payload) == [{"label": "Bug", "value": "10001"}, {"label": "Task", "value": 7}]


@pytest.mark.parametrize("payload", [{"data": []}, {"data": None}, {"result": None}, []])
def test_empty_picklists(payload: object) -> None:
    assert parse_picklist(payload) == []


@pytest.mark.parametrize(
    "payload", [None, {}, 1, {"data": [["alone"]]}, {"data": ["ab"]}, {"data": {"a": 1}}]
)
def test_what_is_no_picklist(payload: object) -> None:
    with pytest.raises(WorkatoResponseError, match="get_picklist"):
        parse_picklist(payload)


@pytest.mark.parametrize("envelope", [None, "result", "data"])
def test_runtime_user_connections(envelope: str | None) -> None:
    made: Any = {"id": "7", "url": "https://workato.example/oauth"}
    made = made if envelope is None else {envelope: made}
    assert parse_runtime_user_connection(made) == {"id": 7, "url": "https://workato.example/oauth"}


@pytest.mark.parametrize("url", [None, "", 5])
def test_a_runtime_user_connection_without_url(url: object) -> None:
    assert parse_runtime_user_connection({"data": {"id": 7, "url": url}}) == {"id": 7, "url": None}


@pytest.mark.parametrize("payload", [None, [], {"data": []}, {"data": {"url": "https://x"}}])
def test_what_is_no_runtime_user_connection(payload: object) -> None:
    with pytest.raises(WorkatoResponseError, match="create_runtime_user_connection"):
        parse_runtime_user_connection(payload)


def test_an_envelope_around_an_envelope() -> None:
    assert parse_picklist({"result": {"data": [["Bug", 1]]}}) == [{"label": "Bug", "value": 1}]
    assert parse_runtime_user_connection({"result": {"data": {"id": 7}}})["id"] == 7
    assert parse_oauth_url({"result": {"data": {"url": "https://x"}}}) == "https://x"


@pytest.mark.parametrize("envelope", [None, "result", "data"])
def test_oauth_urls(envelope: str | None) -> None:
    body: Any = {"url": "https://workato.example/oauth?state=1"}
    body = body if envelope is None else {envelope: body}
    assert parse_oauth_url(body) == "https://workato.example/oauth?state=1"


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "https://a b", "ftp://x", 1, "https://x\n"])
def test_what_is_no_oauth_url(url: object) -> None:
    with pytest.raises(WorkatoResponseError, match="get_oauth_url"):
        parse_oauth_url({"data": {"url": url}})


@pytest.mark.parametrize("payload", [{"success": True, "status": "deleted"}, {"result": {"success": True}}])
def test_outcomes(payload: dict[str, Any]) -> None:
    assert parse_outcome(payload, operation="delete_connection")["success"] is True


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"success": "true"}, {"success": 1}, {"status": "deleted"}]
)
def test_what_is_no_success(payload: object) -> None:
    with pytest.raises(WorkatoResponseError, match="delete_connection"):
        parse_outcome(payload, operation="delete_connection")


@pytest.mark.parametrize(
    ("payload", "message", "fields", "support_id"),
    [
        ({"message": "Not found"}, "Not found", {}, None),
        ({"message": "Oops", "id": "3188c2d0"}, "Oops", {}, "3188c2d0"),
        ({"message": "", "error": "bad"}, "bad", {}, None),
        ({"message": {"a": 1}, "detail": "bad"}, "bad", {}, None),
        ({"id": 7}, "", {}, None),
        (
            {"errors": {"name": ["is empty", "is odd"], "x": "bad"}},
            "",
            {"name": ["is empty", "is odd"], "x": ["bad"]},
            None,
        ),
        ({"errors": [{"title": "a"}, {"message": "b"}, {"code": 3}, "d"]}, "a; b; 3; d", {}, None),
        ({"message": "m", "errors": ["d"]}, "m", {}, None),
        ({}, "", {}, None),
    ],
)
def test_bodies_of_errors(
    payload: dict[str, Any], message: str, fields: dict[str, list[str]], support_id: str | None
) -> None:
    assert with_details(payload) == (message, fields, support_id)


# Identity

ROW = {"id": 1, "name": "A", "provider": "jira", "folder_id": 5, "parent_id": None, "external_id": "e-1"}


@pytest.mark.parametrize(
    ("identity", "same"),
    [
        pytest.param(Identity(provider="jira", name="A"), True, id="name and provider"),
        pytest.param(Identity(provider="jira", name="B"), False, id="another name"),
        pytest.param(Identity(provider="rest", name="A"), False, id="another provider"),
        pytest.param(Identity(provider="jira", name="A", folder_id=5), True, id="in the folder"),
        pytest.param(Identity(provider="jira", name="A", folder_id=6), False, id="in another folder"),
        pytest.param(Identity(provider="jira", name="A", parent_id=9), False, id="below a parent"),
        pytest.param(Identity(provider="jira", name="B", external_id="e-1"), True, id="external id"),
        pytest.param(Identity(provider="jira", name="A", external_id="e-2"), False, id="another external id"),
        pytest.param(Identity(provider="rest", name="A", external_id="e-1"), False, id="of another provider"),
        pytest.param(Identity(provider=None, external_id="e-1"), True, id="of any provider"),
        pytest.param(Identity(provider="jira", external_id="e-1", folder_id=6), False, id="folder counts"),
        pytest.param(Identity(provider="jira", external_id="e-1", parent_id=9), False, id="parent counts"),
    ],
)
def test_identity(identity: Identity, same: bool) -> None:
    assert identity.matches(ROW) is same


def test_a_child_is_not_its_parents_namesake() -> None:
    child = ROW | {"parent_id": 36}
    assert not Identity(provider="jira", name="A").matches(child)
    assert Identity(provider="jira", name="A", parent_id=36).matches(child)


def test_what_an_answer_leaves_out_proves_nothing() -> None:
    assert Identity(provider="jira", name="A", folder_id=6, parent_id=36).matches({"id": 1, "name": "A"})
    assert Identity(provider="jira", external_id="e-1").matches({"id": 1, "external_id": "e-1"})


def test_an_answer_without_what_decides_stops_the_look_up() -> None:
    with pytest.raises(WorkatoResponseError, match="shows no external_id for connection 1"):
        Identity(provider="jira", name="A", external_id="e-1").matches({"id": 1, "name": "A"})
    with pytest.raises(WorkatoResponseError, match="shows no name for connection 1"):
        Identity(provider="jira", name="A").matches({"id": 1})
    assert not Identity(provider="jira", name="A").matches({"id": 1, "provider": "rest"})


def test_identity_says_what_it_looks_for() -> None:
    assert str(Identity(provider="jira", name="A", folder_id=5)) == "name='A', provider='jira', folder_id=5"
    assert str(Identity(provider="jira", name="A", external_id="e")) == "external_id='e', provider='jira'"
