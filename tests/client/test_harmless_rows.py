"""What rows of a list bring along that must go no further: credentials that an app quotes, and odd values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_workato.exceptions import WorkatoAuthorizationError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.connections import WorkatoListConnectionsOperator
from airflow_provider_workato.redaction import without_credentials
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.airflow import AIRFLOW
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.secrets import SECRET, everything_shown
from tests.support.tasks import TaskInstance

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nIBADAN\n-----END PRIVATE KEY-----"

#: What an app says, and the credential in it.
QUOTING = {
    "a name and a value": ("Invalid login, password=hunter is wrong", "hunter"),
    "a name that nobody knows": ("Rejected: x_acme_thing=hunter", "hunter"),
    "two words": ("Wrong password: 'hunter gatherer' given", "gatherer"),
    "JSON": ('{"error": "no", "apitoken": "hunter"}', "hunter"),
    "JSON in JSON": (r"{\"client_secret\":\"hunter\"}", "hunter"),
    "prose": ("Incorrect API key provided: sk-hunt. You can find yours there.", "sk-hunt"),
    "prose without a colon": ("The password hunter2 is not valid", "hunter2"),
    "prose with quotes": ('The API token "hunter" is not valid', "hunter"),
    "a header": ("Request had Authorization: Token hunter, X-Id: 3", "hunter"),
    "a key in a header": ("Sent X-Api-Key: hunter", "hunter"),
    "a cookie": ("Sent Cookie: a=hunter; b=gatherer", "gatherer"),
    "bearer": ("401 for Bearer hunter", "hunter"),
    "basic": ("401 for Basic aHVudGVyOng=", "aHVudGVyOng="),
    "userinfo": ("Cannot reach https://feas:hunter@acme.example/rest", "hunter"),
    "userinfo without a scheme": ("Cannot reach feas:hunter@acme.example", "hunter"),
    "a query": ("404 for https://acme.example/rest?q=1&hunter", "hunter"),
    "a long key": ("S3CR3T-VALUE is wrong", "S3CR3T-VALUE"),
    "a longer key": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N is expired", "eyJzdWIi"),
    "a key in a path": ("404 for https://hooks.example/T00/B00/hunterhunter2hunter", "hunterhunter2"),
    "a PEM file": (f"Cannot use {PEM}", "IBADAN"),
    "HTML": ("<form><input value='hunter'>Sign in</form>", "hunter"),
    "at the end of a long text": ("so it goes " * 200 + "password=hunter", "hunter"),
    "where a long text is cut": ("word " * 398 + "hunterhunter2" * 4, "hunterhunter2"),
}
#: What has to stay readable.
PLAIN = [
    "GitHub OAuth connection is no longer valid",
    "Basic authentication failed",
    "invalid_grant: Token has been expired or revoked.",
    '{"error":"invalid_grant","error_description":"Bad refresh token"}',
    "error=invalid_client status=401",
    "AADSTS700016: no such application",
    "Session expired at 2026-01-31T08:00:00Z",
    "No route to host acme-prod-eu.atlassian.net",
    "Connection to https://acme.example/rest/api timed out",
    "The user has no access; ask feas@acme.example",
]


def body(**keys: Any) -> bytes:
    row = {"id": 36, "name": "Jira", "provider": "jira", "authorization_status": "failed"}
    return json.dumps([row | keys]).encode()


@pytest.mark.parametrize(("said", "credential"), QUOTING.values(), ids=QUOTING)
@pytest.mark.parametrize("key", ["authorization_error", "connection_lost_reason"])
def test_a_row_quotes_no_credential(connect: Connect, key: str, said: str, credential: str) -> None:
    with listening(body=body(**{key: said})) as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        (row,) = hook.list_connections()
        assert credential in said
        assert credential not in row[key]
        assert [row] == list(hook.iter_connections())
        hook.close()


@pytest.mark.parametrize("said", PLAIN)
def test_what_a_person_needs_stays(said: str) -> None:
    assert without_credentials(said) == said


def test_what_an_app_says_is_cut() -> None:
    assert len(without_credentials("no way " * 1000)) <= 300


def test_what_is_not_a_string(connect: Connect) -> None:
    with listening(
        body=body(authorization_error={"password": "hunter"}, connection_lost_reason=7)
    ) as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        (row,) = hook.list_connections()
        hook.close()
    assert "hunter" not in row["authorization_error"]
    assert row["connection_lost_reason"] == 7


def test_neither_a_sensor_nor_a_list_shows_it(connect: Connect) -> None:
    said = "401 for https://acme.example/rest?token=hunter (password: gatherer)"
    with listening(body=body(authorization_error=said)) as workato:
        connect(host=workato.url)
        with pytest.raises(WorkatoAuthorizationError, match="401 for https://acme") as caught:
            WorkatoConnectionSensor(task_id="wait", connection_id=36).execute(TaskInstance().context)
        listed = WorkatoListConnectionsOperator(task_id="list").execute(TaskInstance().context)
    shown = everything_shown(caught.value) + repr(listed)
    assert "hunter" not in shown
    assert "gatherer" not in shown


def test_a_task_that_knows_its_credentials_hides_them_exactly(connect: Connect) -> None:
    """Nothing announces it and it is a word, but the task that looks for its connection knows it."""
    rows = body(authorization_error=f"{'so ' * 95} bananas are no password here", external_id="e")
    with listening(body=rows) as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        row = hook.ensure_connection(
            name="Jira", provider="jira", external_id="e", shell_connection=True, input={"p": "bananas"}
        )
        hook.close()
    assert "banan" not in row["authorization_error"]
    assert row["id"] == 36


def test_the_app_may_quote_the_credentials_it_refuses(connect: Connect) -> None:
    body = {"id": 7, "authorization_status": "failed", "authorization_error": f"{SECRET} is wrong"}
    with listening(body=json.dumps(body).encode()) as workato, hooked(connect, host=workato.url) as hook:
        assert create(hook)["authorization_error"] == "*** is wrong"


#: Rows that are JSON, and that hardly anything else can write down.
ODD: dict[str, tuple[str, Any]] = {
    "half a character": (r'"a\ud800b"', "a\ufffdb"),
    "the other half": (r'"\uDFFF"', "\ufffd"),
    "two halves": (r'"\ud83d\ude00"', "\U0001f600"),
    "half a character inside": (r'[{"\ud800": ["\ud800"]}]', [{"\ufffd": ["\ufffd"]}]),
    "other escapes": (r'"\u00fc\\ud800"', "ü\\ud800"),
    "a large integer": ("18446744073709551616", "18446744073709551616"),
    "a large negative integer": ("-9223372036854775809", "-9223372036854775809"),
    "a huge integer": ("1" * 5000, "1" * 5000),
    "an integer of 64 bits": ("18446744073709551615", 2**64 - 1),
    "a negative integer of 64 bits": ("-9223372036854775808", -(2**63)),
    "not a number": ("NaN", None),
    "infinity": ("[Infinity, -Infinity]", [None, None]),
    "a float that is too large": ("1e999", None),
    "a float": ("-1.5e3", -1500.0),
}


@pytest.mark.parametrize(("written", "read"), ODD.values(), ids=ODD)
def test_odd_values_are_made_harmless(connect: Connect, written: str, read: Any) -> None:
    for text in (f'[{{"id": 36, "x": {written}}}]', f'{{"result": [{{"id": 36, "x": {written}}}]}}'):
        with listening(body=text.encode()) as workato:
            connect(host=workato.url)
            hook = WorkatoConnectionsHook()
            rows = hook.list_connections()
            assert rows == list(hook.iter_connections()) == [{"id": 36, "x": read}]
            hook.close()
        json.dumps(rows, allow_nan=False, ensure_ascii=False).encode()


def test_half_a_character_in_the_bytes(connect: Connect) -> None:
    with listening(body=b'[{"id": 36, "name": "\xed\xa0\x80"}]') as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        assert hook.list_connections() == list(hook.iter_connections()) == [{"id": 36, "name": "\ufffd"}]
        hook.close()


@pytest.mark.skipif(AIRFLOW.major == 2, reason="Airflow 2 has no supervisor to write to")
@pytest.mark.parametrize("written", [written for written, _ in ODD.values()], ids=ODD)
def test_the_triggerer_can_write_them(connect: Connect, written: str) -> None:
    """The triggerer hands events to its supervisor as msgpack; a row it cannot write ends all triggers."""
    from airflow.sdk.execution_time.comms import _RequestFrame

    with listening(body=f'[{{"id": 36, "x": {written}}}]'.encode()) as workato:
        connect(host=workato.url)
        hook = WorkatoConnectionsHook()
        for row in hook.iter_connections():
            _RequestFrame(id=1, body={"connection": row}).as_bytes()
        hook.close()
