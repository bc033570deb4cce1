"""Whatever a server answers, a parser gives a result or one of our errors, and never anything else."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_workato import exceptions
from airflow_provider_workato.authorization import State, failure, judge, state_of
from airflow_provider_workato.client import fast_decoding
from airflow_provider_workato.client.answers import (
    decode_connections,
    iter_connections,
    parse_connection,
    parse_connections,
    parse_oauth_url,
    parse_outcome,
    parse_picklist,
    parse_runtime_user_connection,
    split_connections,
)
from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.failures import error_details, retry_after
from airflow_provider_workato.client.fast_decoding import cut
from airflow_provider_workato.exceptions import WorkatoAuthorizationError, WorkatoError, from_traceback
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.provisioning.identity import Identity
from airflow_provider_workato.redaction import MASK, redact, without_credentials
from airflow_provider_workato.triggers.rows import read_rows
from tests.support.answers import AnsweringServer

# The same examples in every run: a test that fails now and then helps nobody.
fixed = settings(derandomize=True, deadline=None, max_examples=150, database=None)

#: A row as it was recorded.
ROW = {
    "application": "github",
    "id": 13116439,
    "name": "My GitHub account Test 1",
    "description": None,
    "authorized_at": "2023-12-10T22:20:38.092-06:00",
    "authorization_status": "exception",
    "authorization_error": "GitHub OAuth connection is no longer valid",
    "created_at": "2023-12-10T22:20:38.058-06:00",
    "updated_at": "2023-12-10T22:20:38.093-06:00",
    "external_id": None,
    "folder_id": 16667974,
    "parent_id": None,
    "connection_lost_at": None,
    "connection_lost_reason": None,
    "provider": None,
    "tags": None,
}
KEYS = [
    *ROW,
    "result",
    "data",
    "url",
    "success",
    "status",
    "message",
    "errors",
    "error",
    "title",
    "code",
    "input",
]
TIMES = [
    "2023-12-10T22:20:38.092-06:00",
    "2023-12-10T22:20:38Z",
    "2023-12-10",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "24:00",
    "",
]

texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    [*TIMES, "success", "failed", "exception", "7"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | texts
    | st.text(st.characters(categories=["Cs"]), max_size=3)
)
keys = st.sampled_from(KEYS) | st.text(max_size=5)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Return a connection, right but for a few keys."""
    row: dict[str, Any] = dict(ROW)
    for key in draw(st.lists(st.sampled_from(list(ROW)), max_size=4)):
        row.pop(key, None)
    return {**row, **draw(st.dictionaries(keys, json_values, max_size=4))}


payloads = (
    json_values
    | rows()
    | st.lists(rows() | json_values, max_size=3)
    | rows().map(lambda row: {"result": row})
)

PARSERS: dict[str, Callable[[Any], Any]] = {
    "list": parse_connections,
    "connection": lambda payload: parse_connection(payload, operation="create_connection"),
    "picklist": parse_picklist,
    "runtime_user_connection": parse_runtime_user_connection,
    "oauth_url": parse_oauth_url,
    "outcome": lambda payload: parse_outcome(payload, operation="delete_connection"),
}


def result_or_error(call: Callable[[], Any]) -> Any:
    """Return what a call gives, or the class of our error; let every other error through."""
    try:
        return call()
    except WorkatoError as error:
        return type(error)


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


@fixed
@given(row=rows())
@example(row={**ROW, "provider": "x\n" * 5000, "name": ["x"] * 5000})
@example(row={**ROW, "authorization_status": None, "connection_lost_at": "x\n" * 5000})
def test_every_connection_has_a_state_and_a_short_error(row: dict[str, Any]) -> None:
    connection = result_or_error(lambda: parse_connection(row, operation="list_connections"))
    if not isinstance(connection, dict):
        return
    assert isinstance(state_of(connection), State)
    error = failure(connection, secrets=["GitHub OAuth connection"])
    assert (error is not None) == (state_of(connection) in (State.FAILED, State.LOST))
    if error is not None:
        assert isinstance(error, WorkatoAuthorizationError)
        assert len(str(error)) < 1500
        assert str(error).isprintable()
        assert "GitHub OAuth connection" not in str(error)
    verdict = judge({connection["id"]: connection}, [connection["id"], 1])
    assert verdict.settled


@fixed
@given(
    row=rows(),
    identity=st.builds(
        Identity,
        provider=st.none() | st.just("github"),
        name=st.none() | st.just(ROW["name"]),
        folder_id=st.none() | st.just(ROW["folder_id"]),
        parent_id=st.none() | st.just(7),
        external_id=st.none() | texts,
    ),
)
def test_an_identity_is_met_or_not_or_it_cannot_be_told(row: dict[str, Any], identity: Identity) -> None:
    connection = result_or_error(lambda: parse_connection(row, operation="list_connections"))
    if isinstance(connection, dict):
        met = result_or_error(lambda: identity.matches(connection))
        decides = "name" if identity.external_id is None else "external_id"
        assert met in (True, False) if decides in row else met is not True


@fixed
@given(payload=st.dictionaries(keys, json_values, max_size=6))
def test_the_details_of_an_error_are_texts(payload: dict[str, Any]) -> None:
    message, fields, support_id = error_details(payload)
    assert isinstance(message, str)
    assert all(isinstance(text, str) for name, texts in fields.items() for text in (name, *texts))
    assert isinstance(support_id, str | None)


@fixed
@given(
    value=st.text(max_size=40)
    | st.from_regex(
        r"(Sun, )?[0-9]{1,3} (Nov|Foo|) [0-9]{1,6} [0-9:]{1,9} ?(GMT|[+-][0-9]{1,7})?", fullmatch=True
    ),
    date=st.none() | st.sampled_from(["Sun, 22 Nov 2026 06:00:00 GMT", "Sun, 22 Nov 2026 06:00:00", "soon"]),
)
@example(value="٣", date=None)
@example(value="9" * 5000, date=None)
@example(value="Sun, 22 Nov 2026 06:00:07 GMT", date="Sun, 22 Nov 2026 06:00:00 GMT")
def test_retry_after_is_a_time_or_nothing(value: str, date: str | None) -> None:
    headers = {"Retry-After": value} | ({"Date": date} if date is not None else {})
    seconds = retry_after(headers)
    assert seconds is None or 0 <= seconds < 1e12


ERRORS = [
    value
    for value in vars(exceptions).values()
    if isinstance(value, type) and issubclass(value, WorkatoError)
]


@fixed
@given(
    error=st.sampled_from(ERRORS),
    message=st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=60),
)
def test_an_error_is_rebuilt_from_its_traceback(error: type[WorkatoError], message: str) -> None:
    try:
        raise error(message)
    except WorkatoError:
        lines = traceback.format_exc().splitlines()
    for told in (lines, "\n".join(lines)):
        rebuilt = from_traceback(told)
        assert type(rebuilt) is error
        assert str(rebuilt) == message


@fixed
@given(
    lines=st.none()
    | st.text()
    | st.lists(
        st.text()
        | st.builds(
            "{}{}{}".format,
            st.sampled_from(["airflow_provider_workato.exceptions.", ""]),
            st.sampled_from([*vars(exceptions), "", "."]),
            st.sampled_from([": ", ":", "", ": a: b"]),
        )
    )
)
def test_any_traceback_gives_our_error_or_nothing(lines: list[str] | str | None) -> None:
    assert isinstance(from_traceback(lines), WorkatoError | None)


words = st.text(st.characters(exclude_characters="*…"), min_size=1, max_size=12)


@fixed
@given(text=st.text() | json_values, secrets=st.lists(words, max_size=3), limit=st.integers(1, 60))
def test_redacted_text_is_one_short_line(text: Any, secrets: list[str], limit: int) -> None:
    shown = redact(text, secrets, limit=limit)
    assert len(shown) <= limit
    assert shown.isprintable()


@fixed
@given(
    before=st.text(max_size=10), secret=words.filter(lambda word: len(word) >= 5), after=st.text(max_size=10)
)
@example(before="", secret="two words", after="")
@example(before="two\n", secret="two words", after="words")
@example(before="", secret="a b c", after="")
def test_a_secret_is_not_in_redacted_text(before: str, secret: str, after: str) -> None:
    assert secret not in redact(before + secret + after, [secret])


@fixed
@given(
    before=st.text() | st.text("ab=:@/'\"\\ \n<>-?", max_size=60),
    secret=words.filter(lambda word: len(word) >= 5),
    after=st.text() | st.text("ab=:@/'\"\\ \n<>-?", max_size=60),
    repeated=st.sampled_from([1, 1, 40]),
)
def test_what_an_app_says_is_short_and_shows_no_known_secret(
    before: str, secret: str, after: str, repeated: int
) -> None:
    shown = without_credentials((before + secret + after) * repeated, [secret])
    assert secret not in shown
    assert len(shown) <= 300
    assert shown.isprintable()


@fixed
@given(
    before=st.text(max_size=10), secret=words.filter(lambda word: len(word) < 5), after=st.text(max_size=10)
)
@example(before="key", secret="§7", after="x")
@example(before="key=", secret="qZ~", after="x")
@example(before=" ", secret="443", after=",")
def test_a_short_secret_is_redacted_where_it_is_not_part_of_a_word(
    before: str, secret: str, after: str
) -> None:
    glued = (before[-1:].isalnum() and secret[0].isalnum()) or (after[:1].isalnum() and secret[-1].isalnum())
    shown = redact(f"{before}{secret}{after}", [secret])
    if not glued and secret.isprintable() and secret.strip() == secret and "_" not in before + secret + after:
        assert secret not in shown or secret in before + MASK + after


blanks = st.text(st.sampled_from(" \t\r\n\v\f\x00\u00a0\u2028,"), max_size=3)


@st.composite
def list_bodies(draw: st.DrawFn) -> bytes:
    """Return the bytes of a list answer, right but for blanks, a cut, a flipped byte or an odd encoding."""
    parts = [json.dumps(row, ensure_ascii=draw(st.booleans())) for row in draw(st.lists(rows(), max_size=3))]
    separator = draw(st.sampled_from([",", ", ", ",\n", ",,", "", " "]))
    text = draw(blanks) + "[" + draw(blanks) + separator.join(parts) + draw(blanks) + "]" + draw(blanks)
    encoding = draw(
        st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
    )
    body = bytearray(text.encode(encoding, "surrogatepass"))
    if body and draw(st.booleans()):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body[: draw(st.integers(0, len(body))) if draw(st.booleans()) else len(body)])


@settings(fixed, max_examples=200)
@given(
    body=list_bodies() | st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode())
)
@example(body=b"[" + b"[" * 5000 + b"]" * 5000 + b"]")
@example(body=b'[{"id": ' + b"1" * 5000 + b"}]")
@example(body=b'[{"id": 1, "name": "\xff"}]')
@example(body=b"[\xc2\xa0]")
@example(body=b"[]\x0b")
@example(body='[{"id": 1}]'.encode("utf-16-le"))
@example(body='\ufeff[{"id": 1}]'.encode())
@example(body=b"[NaN]")
@example(body=b'[{"id": 1, "x": 18446744073709551616}]')
@example(body=b'[{"id": 1, "x": [-9223372036854775809]}]')
@example(body=b'[{"id": 1, "x": 1e999}]')
@example(body=b'[{"id": 1, "x": -0, "y": 1.0, "z": -0.0}]')
@example(body=b'[{"id": 1, "id": "2", "input": 3}]')
@example(body=b'[{"id": 1, "x": "\\ud800"}]')
@example(body=b'[{"id": 1, "x": [[[[[[]]]]]]}]')
@example(body=b'[{"id": 1, "application": "jira"}]')
@example(body=b'[{"id": 1, "x": "{},{"},{"id": 2},{"id": 3, "x": [{},{"y": "},{"}]},{"id": 4}]')
@example(body=b'[{"id": 1},{"id": 2, "x": NaN},{"id": 3}]')
@example(body=b'[{"id": 1},{"id": 2},3]')
@example(body=b'{"result": [{"id": 1},{"id": 2}]}')
@pytest.mark.parametrize("part", [0, 30, 1 << 20])
def test_every_way_to_decode_a_list_gives_the_same(part: int, body: bytes) -> None:
    with mock.patch.object(fast_decoding, "_PART", part):
        every_way_gives_the_same(body)


def every_way_gives_the_same(body: bytes) -> None:
    by_json = result_or_error(lambda: parse_connections(decode(body, operation="list_connections")))
    at_once = result_or_error(lambda: decode_connections(cut(body)))
    row_by_row = result_or_error(lambda: list(iter_connections(cut(body))))
    polled = result_or_error(lambda: polled_rows(body))
    # By their texts: -0.0 is equal to 0.
    assert repr(at_once) == repr(by_json)
    assert repr(row_by_row) == repr(by_json)
    if isinstance(by_json, list):
        by_id = {row["id"]: row for row in by_json}
        assert repr(polled) == repr(by_id)
    else:
        assert polled is by_json


def polled_rows(body: bytes) -> dict[int, Any]:
    """Return the rows as a shared poll gives them, and check what it shows of them without decoding them."""
    rows = read_rows(split_connections(cut(body)), {})
    again = read_rows(split_connections(cut(body)), rows)
    assert list(rows) == list(again)
    assert all(again[number] is row for number, row in rows.items())
    whole = {number: row.connection() for number, row in rows.items()}
    for number, row in rows.items():
        assert row.state is state_of(whole[number])
        for name in ("external_id", "folder_id", "provider"):
            assert repr(getattr(row.fields(), name)) == repr(whole[number].get(name))
    return whole


CALLS: dict[str, Callable[[WorkatoConnectionsHook], Any]] = {
    "list": lambda hook: hook.list_connections(),
    "iter": lambda hook: list(hook.iter_connections()),
    "create": lambda hook: hook.create_connection(name="x", provider="rest", input={"k": "s3cret"}),
    "delete": lambda hook: hook.delete_connection(1),
    "picklist": lambda hook: hook.get_picklist(1, "x"),
    "oauth_url": lambda hook: hook.get_oauth_url(1),
}

header_lines = st.builds(
    "{}: {}".format,
    st.sampled_from(
        [
            "Location",
            "Retry-After",
            "Date",
            "Content-Encoding",
            "Transfer-Encoding",
            "Content-Length",
            "Set-Cookie",
        ]
    ),
    st.sampled_from(
        [
            "http://[",
            "//",
            "http://\u2100.example",
            "gzip",
            "br",
            "chunked",
            "-1",
            "0",
            "3",
            "a=b",
            "http://x:99999999/",
        ]
    )
    | st.text(st.characters(codec="latin-1"), max_size=12),
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Return the bytes of an answer: HTTP of any status, headers and body, or something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60))
    status = draw(
        st.sampled_from([200, 200, 201, 204, 301, 302, 304, 400, 404, 422, 429, 500]) | st.integers(100, 999)
    )
    body = draw(
        st.binary(max_size=60) | payloads.map(lambda value: json.dumps(value).encode()) | list_bodies()
    )
    lines = [
        f"HTTP/1.1 {status} Whatever",
        *draw(st.lists(header_lines, max_size=3)),
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with closing(AnsweringServer()) as server:
        yield server


@pytest.fixture
def hook(server: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkatoConnectionsHook]:
    # One attempt only, else each failure would wait for the next.
    extra = {"retry_budget": 0, "calls_per_second": 1e6, "list_calls_per_minute": 1e8}
    connection = {"conn_type": "workato", "host": server.url, "password": "t0ken", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", json.dumps(connection))
    with closing(WorkatoConnectionsHook()) as hook:
        yield hook


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@settings(fixed, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=answers())
@example(answer=b"")
@example(answer=b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n")
@example(answer=b"HTTP/1.1 302 Found\r\nLocation: http://x:99999999/\r\nContent-Length: 0\r\n\r\n")
@example(answer=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]")
@example(answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]")
@example(answer=b"HTTP/1.1 204 No Content\r\n\r\n")
def test_any_bytes_over_the_line_give_a_result_or_our_error(
    call: Callable[[WorkatoConnectionsHook], Any],
    answer: bytes,
    server: AnsweringServer,
    hook: WorkatoConnectionsHook,
) -> None:
    server.answer = answer
    result_or_error(lambda: call(hook))


DEPTHS = [10, 500, 900, *range(sys.getrecursionlimit() - 100, sys.getrecursionlimit(), 3), 10_000]
DEEP_ROWS = [
    b'{"id": 1, "authorization_status": %s, "connection_lost_at": "x", "%s": DEEP}' % (status, key)
    for status in (b'"failed"', b"null")
    for key in (
        b"authorization_status",
        b"authorization_error",
        b"connection_lost_reason",
        b"name",
        b"provider",
    )
]
DEEP_ERRORS = [b'{"errors": {"a": DEEP}}', b'{"errors": [DEEP]}', b'{"errors": {"a": [DEEP]}}']


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_nesting_is_our_error_or_none(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth

    def decoded(text: bytes) -> Any:
        return result_or_error(lambda: decode(text.replace(b"DEEP", deep), operation="list_connections"))

    for row in map(decoded, DEEP_ROWS):
        if isinstance(row, dict):
            assert failure(row) is not None
    for payload in map(decoded, DEEP_ERRORS):
        if isinstance(payload, dict):
            assert error_details(payload)
