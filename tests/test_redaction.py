"""Credentials in what apps and Workato say are hidden, and the rest stays readable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_workato.exceptions import WorkatoAuthorizationError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.operators.connections import WorkatoListConnectionsOperator
from airflow_provider_workato.redaction import MASK, Sealed, redact, without_credentials
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor
from tests.support.hook import Connect, create, hooked
from tests.support.listener import listening
from tests.support.secrets import SECRET, everything_shown
from tests.support.strategies import fixed, json_values
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


# Any text


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


@pytest.mark.parametrize("secret", ["1234", 1234, "corp", "x"])
def test_a_public_value_that_contains_a_short_secret_is_masked(secret: Any) -> None:
    sealed = Sealed({"host": "acme1234.corp-x.example", "port": 443, "pin": secret}, public=["host", "port"])
    assert sealed.masked() == {"host": "***", "port": 443, "pin": "***"}
