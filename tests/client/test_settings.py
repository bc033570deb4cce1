"""The Airflow connection: from the form, as JSON and as URI, and the errors for a wrong one."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import Connection
from airflow.secrets.local_filesystem import load_connections_dict

from airflow_provider_workato.client.settings import WorkatoSettings
from airflow_provider_workato.connection_form import CONNECTION_FORM, DATA_CENTERS, SETTINGS
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from tests.support.secrets import everything_shown

TOKEN = "wrkaeu-eyJhbGciOi.s3cr3t-t0k3n"
PROXY = "http://proxyuser:pr0xy-passw0rd@proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_connection_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WORKATO_DEFAULT", raising=False)


def read(monkeypatch: pytest.MonkeyPatch, value: dict[str, Any] | str) -> WorkatoSettings:
    if not isinstance(value, str):
        value = json.dumps({"conn_type": "workato", "password": TOKEN} | value)
    monkeypatch.setenv("AIRFLOW_CONN_WORKATO_DEFAULT", value)
    return WorkatoConnectionsHook().settings


def refusal(monkeypatch: pytest.MonkeyPatch, value: dict[str, Any] | str) -> str:
    with pytest.raises(WorkatoConfigurationError) as caught:
        read(monkeypatch, value)
    shown = everything_shown(caught.value)
    assert TOKEN not in shown
    assert "pr0xy-passw0rd" not in shown
    return str(caught.value)


def test_a_token_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {})
    assert settings.base_url == "https://www.workato.com"
    assert settings.data_center == "us"
    assert settings.web_url == "https://app.workato.com"
    assert settings.token.reveal() == TOKEN
    assert settings.verify is True
    assert (settings.client_certificate, settings.client_key) == (None, None)
    assert settings.proxies.reveal() == {}
    assert settings.connect_timeout == 5
    assert settings.read_timeout > 40, "Workato itself answers after up to 40 s"
    assert settings.retry_budget == 120
    assert settings.server_timeout == 40
    assert settings.list_calls_per_minute == 60
    assert settings.calls_per_second == 1


@pytest.mark.parametrize(("name", "url"), [(name, center.url) for name, center in DATA_CENTERS.items()])
def test_data_centers(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    settings = read(monkeypatch, {"extra": {"data_center": name}})
    assert settings.base_url == url
    assert settings.data_center == name
    assert name in settings.place


def test_data_center_is_read_as_a_person_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {"extra": {"data_center": " EU "}}).data_center == "eu"


def test_the_form_saves_empty_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(monkeypatch, {})
    for empty in ("", None):
        saved = read(
            monkeypatch,
            {"host": "", "port": 0, "extra": dict.fromkeys(CONNECTION_FORM["conn-fields"], empty)},
        )
        assert (saved.base_url, saved.verify, saved.read_timeout) == (
            plain.base_url,
            plain.verify,
            plain.read_timeout,
        )
        assert saved.calls_per_second == plain.calls_per_second


def test_the_form_of_airflow_2_saves_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"connect_timeout": "2.5", "retry_budget": "0", "verify": "false", "allow_http": "true"}
    settings = read(monkeypatch, {"host": "http://workato.example", "extra": extra})
    assert settings.connect_timeout == 2.5
    assert settings.retry_budget == 0
    assert settings.verify is False
    assert settings.base_url == "http://workato.example"


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        pytest.param({"host": "workato.example"}, "https://workato.example", id="bare host"),
        pytest.param({"host": " https://workato.example/ "}, "https://workato.example", id="as pasted"),
        pytest.param({"host": "https://workato.example/api"}, "https://workato.example", id="with api"),
        pytest.param({"host": "https://gw.example/workato/api/"}, "https://gw.example/workato", id="prefix"),
        pytest.param({"host": "workato.example", "port": 8443}, "https://workato.example:8443", id="port"),
        pytest.param({"host": "workato.example:9443", "port": 1}, "https://workato.example:9443", id="ports"),
        pytest.param({"host": "http://localhost:8090"}, "http://localhost:8090", id="localhost"),
        pytest.param({"host": "http://box.localhost"}, "http://box.localhost", id="below localhost"),
        pytest.param({"host": "http://127.3.2.1"}, "http://127.3.2.1", id="loopback"),
        pytest.param({"host": "http://[::1]:8090"}, "http://[::1]:8090", id="IPv6 loopback"),
        pytest.param({"host": "https://[2001:db8::1]"}, "https://[2001:db8::1]", id="IPv6"),
        pytest.param({"host": "127.0.0.1", "schema": "http"}, "http://127.0.0.1", id="schema field"),
        pytest.param({"host": "workato.example", "schema": "x"}, "https://workato.example", id="odd schema"),
        pytest.param(
            {"host": "http://10.0.0.8:8090", "extra": {"allow_http": True}}, "http://10.0.0.8:8090", id="http"
        ),
    ],
)
def test_hosts(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], base_url: str) -> None:
    settings = read(monkeypatch, fields)
    assert settings.base_url == base_url
    assert settings.data_center is None
    assert settings.place == f"host {base_url}"
    assert settings.web_url == base_url


def test_a_data_center_given_as_host_is_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {"host": "www.workato.com"})
    assert (settings.data_center, settings.web_url) == ("us", "https://app.workato.com")
    assert read(monkeypatch, {"host": "app.eu.workato.com"}).data_center == "eu"


def test_the_address_comes_from_the_base_url_or_the_data_center(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {}).address_setting == "data_center"
    assert read(monkeypatch, {"host": "www.workato.com"}).address_setting == "host"


def test_every_setting_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is either a field of the result, or one of those that make up the address and the token."""
    composed = {"base_url", "address_setting", "is_default_address", "conn_id", "token"}
    names = {setting.name for setting in SETTINGS}
    assert {field.name for field in fields(WorkatoSettings)} - composed == (
        names - {"host", "port", "password", "allow_http"}
    )


@pytest.mark.parametrize(
    "host",
    [
        "ftp://workato.example",
        "https://user:pw@workato.example",
        "https://workato.example?x=1",
        "https://workato.example#x",
        "https://workato.example/a b",
        "https://work ato.example",
        "https://",
        "https://workato.example:port",
        "https://workato.example:99999",
        "https://[::1",
        "https://workäto.example",
        "workato.example\nX-Evil: 1",
    ],
)
def test_malformed_hosts(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    said = refusal(monkeypatch, {"host": host})
    assert "'workato_default': 'Base URL' (host) is not a URL such as https://www.workato.com" in said


@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
def test_invalid_ports(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    said = refusal(monkeypatch, {"host": "workato.example", "port": port})
    assert "'workato_default': 'Port' (port) must be a number between 1 and 65535" in said


@pytest.mark.parametrize("host", ["http://workato.example", "http://10.0.0.8", "http://127.0.0.1.example"])
def test_plain_http_is_for_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    said = refusal(monkeypatch, {"host": host})
    assert "'Base URL' (host) uses plain http" in said
    assert "'Allow plain HTTP' (extra allow_http)" in said
    refusal(monkeypatch, {"host": host, "extra": {"allow_http": "false"}})


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(f"{TOKEN}\nX-Evil: 1", id="line break"),
        pytest.param(f"{TOKEN}\n\n", id="two line breaks at the end"),
        pytest.param(f" {TOKEN}", id="space"),
        pytest.param(f"{TOKEN}ü", id="non-ASCII"),
        pytest.param(f"{TOKEN}\x00", id="NUL"),
    ],
)
def test_a_token_is_one_word_of_ascii(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    said = refusal(monkeypatch, {"password": bad})
    assert "'API token' (password) has a space, a line break or a non-ASCII character" in said


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_file_of_a_mounted_secret_ends_with_a_line_break(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    assert read(monkeypatch, {"password": TOKEN + end}).token.reveal() == TOKEN


@pytest.mark.parametrize("missing", ["", None, "\n"])
def test_missing_token(monkeypatch: pytest.MonkeyPatch, missing: str | None) -> None:
    assert "'API token' (password) is missing" in refusal(monkeypatch, {"password": missing})


def test_a_token_without_its_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, f"workato://{TOKEN}@/")
    assert "'API token' (password) is missing, but there is a login" in said
    assert "workato://:TOKEN@/" in said


@pytest.mark.parametrize("host", ["https://app.eu.workato.com/api/connections", "app.eu.workato.com/api/x/"])
def test_a_host_with_the_path_of_a_call(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert "'Base URL' (host) must end before /api" in refusal(monkeypatch, {"host": host})


@pytest.mark.parametrize(
    "given",
    [
        {"host": "https://www.workato.com", "port": 443},
        {"host": "www.workato.com:443"},
        {"host": "https://WWW.Workato.com/"},
    ],
)
def test_one_workspace_has_one_address(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> None:
    """Otherwise it would have two locks, two rate limiters and two records."""
    settings = read(monkeypatch, given)
    assert settings.base_url == "https://www.workato.com"
    assert settings.data_center == "us"
    assert settings.web_url == "https://app.workato.com"


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"data_center": "mars"}, "'Data center' (extra data_center) must be one of us, eu, jp, sg, au"),
        ({"connect_timeout": "fast"}, "'Connect timeout (s)' (extra connect_timeout) must be a number"),
        ({"connect_timeout": 0}, "'Connect timeout (s)' (extra connect_timeout) must be a number between"),
        ({"read_timeout": -1}, "'Read timeout (s)' (extra read_timeout) must be a number between 0.001 and"),
        ({"read_timeout": 1e12}, "(extra read_timeout) must be a number between 0.001 and 1,000,000,000"),
        ({"calls_per_second": 1e30}, "(extra calls_per_second) must be a number between 0.001 and 1,000"),
        ({"calls_per_second": 1e-300}, "(extra calls_per_second) must be a number between 0.001 and"),
        ({"read_timeout": True}, "'Read timeout (s)' (extra read_timeout) must be a number"),
        ({"read_timeout": "nan"}, "'Read timeout (s)' (extra read_timeout) must be a number"),
        ({"read_timeout": "inf"}, "'Read timeout (s)' (extra read_timeout) must be a number"),
        ({"read_timeout": []}, "'Read timeout (s)' (extra read_timeout) must be a number"),
        ({"retry_budget": -1}, "'Retry budget (s)' (extra retry_budget) must be a number between 0 and"),
        ({"server_timeout": "x"}, "'Server time limit (s)' (extra server_timeout) must be a number"),
        ({"list_calls_per_minute": 0}, "'List calls per minute' (extra list_calls_per_minute) must be a num"),
        ({"calls_per_second": 0}, "'Other calls per second' (extra calls_per_second) must be a number"),
        ({"verify": "/no/such/file"}, "'Verify TLS' (extra verify) must be true, false or the path of a CA"),
        (
            {"verify": "-----BEGIN CERTIFICATE-----\n" + "A" * 300},
            "the path of a CA bundle, not its contents",
        ),
        ({"client_certificate": "/no/such/file"}, "'Client certificate' (extra client_certificate) must be"),
        ({"client_certificate": True}, "must be the path of a file in PEM format; no file 'True'"),
        ({"client_key": "-----BEGIN PRIVATE KEY-----\npr0xy-passw0rd"}, "in PEM format, not its contents"),
        ({"client_key": __file__}, "extra client_key) is set, but 'Client certificate' is empty"),
        ({"verify": "A" * 5000}, "'Verify TLS' (extra verify) must be true, false or the path of a CA"),
        ({"read_timeout": 10**400}, "'Read timeout (s)' (extra read_timeout) must be a number"),
        ({"proxies": "proxyuser:pr0xy-passw0rd@proxy"}, "'Proxies' (extra proxies) must be a proxy URL or"),
        ({"proxies": "{pr0xy-passw0rd"}, "'Proxies' (extra proxies) must be a proxy URL or an object"),
        ({"proxies": ["pr0xy-passw0rd"]}, "'Proxies' (extra proxies) must be a proxy URL or an object"),
        (
            {"proxies": {"no_proxy": ["intern.example"]}},
            "'Proxies' (extra proxies) must be a proxy URL or an object such",
        ),
        ({"proxies": {"https": 3128}}, "'Proxies' (extra proxies) must be a proxy URL or an object such as"),
    ],
)
def test_wrong_extras(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], said: str) -> None:
    assert said in refusal(monkeypatch, {"extra": extra})


def test_a_wrong_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, {"host": "http://workato.example", "extra": {"allow_http": "maybe"}})
    assert "'Allow plain HTTP' (extra allow_http) must be true or false" in said


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("datacenter", "data_center"),
        ("data-center", "data_center"),
        ("dataCentre", "data_center"),
        ("Verify", "verify"),
        ("proxie", "proxies"),
        ("connection_timeout", "connect_timeout"),
        ("retry_budget_s", "retry_budget"),
        ("calls_per_seconds", "calls_per_second"),
    ],
)
def test_a_misspelled_extra_is_an_error(monkeypatch: pytest.MonkeyPatch, written: str, meant: str) -> None:
    said = refusal(monkeypatch, {"extra": {written: "eu"}})
    assert f"'workato_default': extra {written!r} is unknown. Did you mean {meant!r} (" in said


@pytest.mark.parametrize("beside", [{}, {"data_center": ""}, {"data_center": None}])
def test_the_prefix_of_old_forms(monkeypatch: pytest.MonkeyPatch, beside: dict[str, Any]) -> None:
    """If they were ignored, the token would go to another data center."""
    extra = beside | {"extra__workato__data_center": "eu", "extra__workato__read_timeout": 50}
    settings = read(monkeypatch, {"extra": extra})
    assert (settings.data_center, settings.read_timeout) == ("eu", 50)
    assert "unknown. Did you mean 'data_center'" in refusal(
        monkeypatch, {"extra": {"extra__workato__datacenter": "eu"}}
    )


def test_an_extra_wins_over_its_old_form(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"data_center": "eu", "extra__workato__data_center": "jp", "extra__workato__verify": ""}
    settings = read(monkeypatch, {"extra": extra})
    assert (settings.data_center, settings.verify) == ("eu", True)


def test_an_import_that_took_json_for_a_uri(tmp_path: Path) -> None:
    """As ``airflow connections import`` does with the file of its own export."""
    exported = tmp_path / "connections.env"
    fields = {"conn_type": "workato", "password": TOKEN, "extra": json.dumps({"data_center": "eu"})}
    exported.write_text(f"spoiled={json.dumps(fields)}\n")
    connection = load_connections_dict(str(exported))["spoiled"]
    assert TOKEN in (connection.schema or "")
    with pytest.raises(
        WorkatoConfigurationError, match="'spoiled' has no type, and JSON in its sch"
    ) as caught:
        WorkatoSettings.from_airflow(connection)
    assert "--serialization-format uri" in str(caught.value)
    assert TOKEN not in everything_shown(caught.value)


@pytest.mark.parametrize(
    ("fields", "assumed"),
    [
        ({}, True),
        ({"extra": {"data_center": ""}}, True),
        ({"extra": {"data_center": "us"}}, False),
        ({"host": "www.workato.com"}, False),
    ],
)
def test_a_data_center_that_nobody_named(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], assumed: bool
) -> None:
    """An import or a secrets backend may have dropped it, without a word."""
    settings = read(monkeypatch, fields)
    assert settings.data_center == "us"
    assert settings.assumption.startswith(" 'Data center' is empty, so 'us' was taken.") is assumed


@pytest.mark.parametrize("name", ["team", "__extra__", "is_encrypted", "extra__workato__x", "timeout", ""])
def test_other_extras_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert read(monkeypatch, {"extra": {name: "another value", "data_center": "eu"}}).data_center == "eu"


@pytest.mark.filterwarnings("ignore")  # Airflow 2 says so too
@pytest.mark.parametrize("extra", ["[1]", "no JSON", "{", "null"])
def test_extra_must_be_a_json_object(extra: str) -> None:
    connection = Connection(conn_id="odd", conn_type="workato", password=TOKEN)
    connection.extra = extra
    with pytest.raises(WorkatoConfigurationError, match="'odd': Extra is not a JSON object") as caught:
        WorkatoSettings.from_airflow(connection)
    assert TOKEN not in everything_shown(caught.value)


def test_a_client_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate, key = (str(tmp_path / name) for name in ("client.crt", "client.key"))
    Path(certificate).touch()
    Path(key).touch()
    settings = read(monkeypatch, {"extra": {"client_certificate": certificate}})
    assert (settings.client_certificate, settings.client_key) == (certificate, None)
    settings = read(monkeypatch, {"extra": {"client_certificate": f" {certificate} ", "client_key": key}})
    assert (settings.client_certificate, settings.client_key) == (certificate, key)


@pytest.mark.parametrize(
    ("given", "verify"),
    [(True, True), ("true", True), ("1", True), (False, False), ("no", False), (" False ", False)],
)
def test_verify(monkeypatch: pytest.MonkeyPatch, given: bool | str, verify: bool) -> None:
    assert read(monkeypatch, {"extra": {"verify": given}}).verify is verify


def test_verify_by_a_ca_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    assert read(monkeypatch, {"extra": {"verify": str(bundle)}}).verify == str(bundle)


@pytest.mark.parametrize(
    ("given", "proxies"),
    [
        (PROXY, {"http": PROXY, "https": PROXY}),
        ({"https": PROXY}, {"https": PROXY}),
        (
            {"https": None, "all": PROXY, "no_proxy": "a.example,b.example"},
            {"https": None, "all": PROXY, "no_proxy": "a.example,b.example"},
        ),
        (json.dumps({"https": PROXY}), {"https": PROXY}),
    ],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, given: object, proxies: dict[str, str]) -> None:
    settings = read(monkeypatch, {"extra": {"proxies": given}})
    assert settings.proxies.reveal() == proxies
    assert "pr0xy-passw0rd" not in repr(settings)


def test_nothing_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {})
    assert TOKEN not in f"{settings!r}{settings}{settings.token!r}{settings.token}"


def test_as_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"workato://:{quote(TOKEN, safe='')}@127.0.0.1:8090/http?connect_timeout=2&verify=false"
    settings = read(monkeypatch, uri)
    assert settings.base_url == "http://127.0.0.1:8090"
    assert settings.token.reveal() == TOKEN
    assert settings.connect_timeout == 2
    assert settings.verify is False


def test_as_uri_without_host(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, f"workato://:{quote(TOKEN, safe='')}@/?data_center=eu")
    assert settings.base_url == "https://app.eu.workato.com"


@pytest.mark.parametrize(
    ("place", "base_url"),
    [
        ("[2001:db8::1]", "https://[2001:db8::1]"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("[::1]:8090/http", "http://[::1]:8090"),
    ],
)
def test_ipv6_in_a_uri(monkeypatch: pytest.MonkeyPatch, place: str, base_url: str) -> None:
    assert read(monkeypatch, f"workato://:{quote(TOKEN, safe='')}@{place}").base_url == base_url


@pytest.mark.parametrize("host", ["https://gw.example", "workato.example", "http://127.0.0.1"])
def test_json_and_uri_say_the_same(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    extra = {"read_timeout": 50, "proxies": {"https": PROXY}, "data_center": "eu"}
    as_json = read(monkeypatch, {"host": host, "port": 8443, "extra": extra})
    uri = Connection(
        conn_id="workato_default",
        conn_type="workato",
        host=host,
        port=8443,
        password=TOKEN,
        extra=json.dumps(extra),
    ).get_uri()
    as_uri = read(monkeypatch, uri)
    assert as_uri.base_url == as_json.base_url
    assert as_uri.token.reveal() == as_json.token.reveal()
    assert as_uri.proxies.reveal() == as_json.proxies.reveal()
    assert as_uri.read_timeout == as_json.read_timeout


def test_missing_airflow_connection() -> None:
    with pytest.raises(Exception, match="workato_nowhere"):
        _ = WorkatoConnectionsHook("workato_nowhere").settings
