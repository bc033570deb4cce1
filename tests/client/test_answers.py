"""Parsing is lenient where real answers differ, and strict where a wrong answer would be believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_workato.client.answers import (
    decode_connections,
    iter_connections,
    parse_connection,
    parse_connections,
    parse_oauth_url,
    parse_outcome,
    parse_picklist,
    parse_runtime_user_connection,
    single_or_list,
)
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.exceptions import WorkatoResponseError
from tests.support.recorded import recorded_rows
from tests.support.strategies import fixed, payloads, result_or_error, rows


def test_the_result_has_the_shape_of_the_question() -> None:
    row = {"id": 36}
    assert single_or_list(36, [row]) == single_or_list("36", [row]) == row
    assert single_or_list([36], [row]) == [row]


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
    assert [row["id"] for row in iter_connections(memoryview(body))] == [13116439, 13116220, 398086]


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
    assert list(iter_connections(memoryview(body))) == parse_connections(json.loads(body)) == []


def test_a_list_that_is_cut_off_gives_no_rows() -> None:
    for body in (b'[{"id": 1}, {"id": 2}, {"id": ', b'[{"id": 1}, {"id": 2}, '):
        with pytest.raises(WorkatoResponseError, match="not complete JSON"):
            next(iter_connections(memoryview(body)))
        with pytest.raises(WorkatoResponseError, match="not complete JSON"):
            decode_connections(memoryview(body))


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
        list(iter_connections(memoryview(body)))


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


# Any answer

PARSERS: dict[str, Callable[[Any], Any]] = {
    "list": parse_connections,
    "connection": lambda payload: parse_connection(payload, operation="create_connection"),
    "picklist": parse_picklist,
    "runtime_user_connection": parse_runtime_user_connection,
    "oauth_url": parse_oauth_url,
    "outcome": lambda payload: parse_outcome(payload, operation="delete_connection"),
}


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@fixed
@given(payload=payloads)
def test_a_parser_gives_a_result_or_our_error(parse: Callable[[Any], Any], payload: Any) -> None:
    result_or_error(lambda: parse(payload))


@fixed
@given(payload=st.lists(rows(), max_size=3))
def test_what_is_taken_for_a_connection_has_a_number_and_no_input(payload: list[Any]) -> None:
    result = result_or_error(lambda: parse_connections(payload))
    if isinstance(result, list):
        assert all(type(row["id"]) is int and "input" not in row for row in result)
