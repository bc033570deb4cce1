"""Reading a manifest: what its entries mean, and that each mistake is named before any call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import airflow_provider_workato
from airflow_provider_workato.exceptions import WorkatoConfigurationError
from airflow_provider_workato.provisioning.manifest import (
    _SECRET_NAME,
    _SECRET_VALUE,
    ENTRY_FIELDS,
    SOURCES,
    Declared,
    Scope,
    Source,
    read_manifest,
)

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((Path(airflow_provider_workato.__file__).parent / "connections.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
PAGE = ROOT / "docs" / "reference" / "manifest.md"
EXAMPLE = ROOT / "docs" / "snippets" / "connections.yaml"

FOLDER = Scope(folder_id=5)
PREFIX = Scope(external_id_prefix="acme-")
#: An entry without mistakes.
ENTRY: Mapping[str, Any] = {"name": "A", "provider": "jira"}
TEXT = "- name: A\n  provider: jira\n"
#: It stands in manifests where it should not.
CREDENTIAL = "S3cret-4711"


def read(manifest: Any, *, scope: Scope = FOLDER, file: str = "c.yaml") -> list[Declared]:
    return read_manifest(manifest, scope=scope, file=file)


def error(manifest: Any, *, scope: Scope = FOLDER, file: str = "c.yaml") -> str:
    with pytest.raises(WorkatoConfigurationError) as caught:
        read(manifest, scope=scope, file=file)
    return str(caught.value)


def mistakes(manifest: Any, *, scope: Scope = FOLDER, file: str = "c.yaml") -> list[str]:
    """Return the mistakes, without the line above them."""
    head, *lines = error(manifest, scope=scope, file=file).splitlines()
    count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    assert head == f"The manifest has {count}; nothing was sent:"
    return [line.removeprefix("- ") for line in lines]


# What is read


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        ({}, {}),
        ({"folder_id": "5"}, {}),
        ({"external_id": "0123"}, {"external_id": "0123"}),
        ({"external_id": "line\nline\n"}, {"external_id": "line\nline\n"}),
        ({"parent_id": "36"}, {"parent_id": 36}),
        ({"custom_oauth_profile_id": 7}, {"custom_oauth_profile_id": 7}),
        ({"shell_connection": "yes"}, {"shell_connection": True}),
        ({"shell_connection": False}, {"shell_connection": False}),
        ({"name": "A \U0001f600 \u00e9"}, {"name": "A \U0001f600 \u00e9"}),
    ],
)
@pytest.mark.parametrize("form", ["list", "json", "ascii json", "yaml", "yaml of one key"])
def test_an_entry(form: str, fields: dict[str, Any], payload: dict[str, Any]) -> None:
    (found,) = read(_as(form, [{**ENTRY, **fields}]))
    assert found.spec.payload() == {**ENTRY, "folder_id": 5, **payload}
    assert (found.input, found.source, found.problem) == ({}, None, "")
    VALIDATOR.validate([{**ENTRY, **fields}])


def _as(form: str, entries: list[Any]) -> Any:
    """Return entries as a list, or as the text of a file."""
    match form:
        case "list":
            return entries
        case "json":
            return "\ufeff" + json.dumps(entries, indent="\t", ensure_ascii=False)
        case "ascii json":
            return json.dumps({"$schema": "./connections.schema.json", "connections": entries})
        case "yaml":
            return f"# Ours.\n---\n{yaml.safe_dump(entries, allow_unicode=True)}...\n"
    return yaml.safe_dump({"connections": entries}).replace("\n", "\r\n")


def test_where_entries_stand() -> None:
    text = "# Ours.\n- name: A\n  provider: jira\n-\n  name: B\n  provider: jira\n"
    assert [each.place for each in read(text)] == ["c.yaml, line 2 (entry 1)", "c.yaml, line 5 (entry 2)"]
    text = '{"connections": [\n\n{"name": "A", "provider": "jira"}, {"name": "B",\n"provider": "jira"}]}'
    assert [each.place for each in read(text)] == ["c.yaml, line 3 (entry 1)", "c.yaml, line 3 (entry 2)"]
    assert [each.place for each in read([ENTRY])] == ["entry 1"]
    assert [each.place for each in read(TEXT, file="")] == ["manifest, line 1 (entry 1)"]


@pytest.mark.parametrize("nothing", ["[]", "connections: []", '{"connections": []}', []])
def test_a_manifest_may_declare_nothing(nothing: Any) -> None:
    assert read(nothing) == []


def test_a_byte_order_mark() -> None:
    assert read("\ufeff[]", file="c.json") == []
    assert len(read(f"\ufeff{TEXT}")) == 1


def test_input_and_where_the_credentials_come_from() -> None:
    given = {
        "host_name": "acme",
        "port": 443,
        "ratio": 1.5,
        "advanced": {"scopes": ["a", "b"], "text": "x\ny\n", "sandbox": True, "blank": ""},
    }
    keys = {"apitoken": "password", "key": "extra.a.b", "user": "login"}
    source = {"conn_id": "jira", "keys": keys}
    for form in ("list", "json", "yaml"):
        (found,) = read(_as(form, [{**ENTRY, "input": given, "input_from": source}]))
        assert found.input == given
        assert found.source == Source(conn_id="jira", keys=keys)
    VALIDATOR.validate([{**ENTRY, "input": given, "input_from": source}])


def test_anchors_and_what_replaces_them() -> None:
    text = """
x-jira: &jira {provider: jira, input: &input {host_name: acme, port: 1}}
x-nested: &nested {<<: *jira, parent_id: 36}
connections:
- <<: *jira
  name: A
- name: B
  <<: [*nested, {provider: other, external_id: e}]
  input: {<<: *input, port: 2}
- <<: {name: C}
  <<: *jira
"""
    found = read(text)
    assert [each.spec.payload() for each in found] == [
        {"name": "A", "provider": "jira", "folder_id": 5},
        {"name": "B", "provider": "jira", "folder_id": 5, "parent_id": 36, "external_id": "e"},
        {"name": "C", "provider": "jira", "folder_id": 5},
    ]
    assert [each.input for each in found] == [
        {"host_name": "acme", "port": 1},
        {"host_name": "acme", "port": 2},
        {"host_name": "acme", "port": 1},
    ]
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize("name", ["parent_id", "custom_oauth_profile_id"])
def test_a_field_that_is_to_be_empty(name: str) -> None:
    (found,) = read([{**ENTRY, name: "unset"}])
    assert found.spec.changes() == {"name": "A", "folder_id": 5, name: None}
    VALIDATOR.validate([{**ENTRY, name: "unset"}])


# What is wrong with a field, in whatever form it comes

_NO_CREDENTIALS = (
    "looks like a credential, and a manifest must hold none. Put it into an Airflow connection, and name "
    "that under input_from."
)
_SOURCE = (
    "input_from must have conn_id, an Airflow connection, and keys: for each key of input, the field of that "
    "connection, such as {apitoken: password}."
)
_KEYS = (
    "input_from.keys must hold keys of input, each with a field of the Airflow connection, such as "
    "{apitoken: password}."
)
_FIELD = "must be a field of the Airflow connection: login, password, host, port, schema or extra.<name>."
_LISTED = (
    "There are name, provider, folder_id, parent_id, external_id, custom_oauth_profile_id, shell_connection, "
    "input, input_from."
)
_EMPTY = "is empty: give it a value, or leave it out"
_TEMPLATE = (
    "is 'None': probably a template rendered a value that is None or empty. Nothing was sent. Correct the "
    "template, or leave the argument out."
)
_ID = "must be a number such as 1892, not"
_CONN_ID = "input_from.conn_id must be a string, not int. Write '5'."
_PAGE = "It is in the address of the folder's page in Workato: /?fid=1892."
_UNSET = (
    "parent_id must be a connection's number such as 36, not 'none'. To empty it, write 'unset'; to leave it "
    "as it is, leave it out."
)
_FLAG = "shell_connection must be true or false (also yes, no, 1 or 0), not 'maybe'."
_PASSWORD = "no field 'password'. Credentials belong in an Airflow connection, which input_from names."

FIELD_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"name": 5}, "name must be a string, not a number: put it into quotes."),
    ({"external_id": 1.5}, "external_id must be a string, not a number: put it into quotes."),
    ({"provider": True}, "provider must be a string, not a boolean: put it into quotes."),
    ({"name": ["A"]}, "name must be a string, not list."),
    ({"name": ""}, f"name {_EMPTY}."),
    ({"external_id": None}, f"external_id {_EMPTY}."),
    ({"external_id": " \n"}, f"external_id {_EMPTY}."),
    ({"parent_id": None}, f"parent_id {_EMPTY}, or write 'unset' if there is to be none."),
    ({"input": None}, f"input {_EMPTY}."),
    ({"input": {}}, f"input {_EMPTY}."),
    ({"input_from": {}}, f"input_from {_EMPTY}."),
    ({"external_id": "None"}, f"external_id {_TEMPLATE}"),
    ({"folder_id": "five"}, f"folder_id {_ID} 'five'. {_PAGE}"),
    ({"folder_id": True}, f"folder_id {_ID} True. {_PAGE}"),
    ({"custom_oauth_profile_id": 0}, f"custom_oauth_profile_id {_ID} 0."),
    ({"parent_id": "none"}, _UNSET),
    ({"shell_connection": "maybe"}, _FLAG),
    ({"extrenal_id": "x"}, "no field 'extrenal_id'. Did you mean 'external_id'?"),
    ({"password": CREDENTIAL}, _PASSWORD),
    ({"xyz": 1}, f"no field 'xyz'. {_LISTED}"),
    ({"y" * 99: 1}, f"no field '{'y' * 80}'. {_LISTED}"),
    ({"input": ["host"]}, "input must hold keys and values, such as {host_name: acme}."),
    ({"input": "host"}, "input must hold keys and values, such as {host_name: acme}."),
    ({"input": {"host": None}}, f"input.host {_EMPTY}."),
    ({"input": {"a": {"hosts": ["b", None]}}}, f"input.a.hosts {_EMPTY}."),
    ({"input": {"apitoken": CREDENTIAL}}, f"input.apitoken {_NO_CREDENTIALS}"),
    ({"input": {"advanced": {"tokens": [CREDENTIAL]}}}, f"input.advanced.tokens {_NO_CREDENTIALS}"),
    ({"input": {"url": f"https://me:{CREDENTIAL}@host/"}}, f"input.url {_NO_CREDENTIALS}"),
    ({"input": {"header": f"Bearer {CREDENTIAL}"}}, f"input.header {_NO_CREDENTIALS}"),
    ({"input": {"pem": "-----BEGIN RSA PRIVATE KEY-----\nx\n"}}, f"input.pem {_NO_CREDENTIALS}"),
    ({"input_from": CREDENTIAL}, _SOURCE),
    ({"input_from": ["jira"]}, _SOURCE),
    ({"input_from": {"conn_id": "jira"}}, _SOURCE),
    ({"input_from": {"keys": {"a": "login"}}}, _SOURCE),
    ({"input_from": {"conn_id": "jira", "keys": {"a": "login"}, "b": 1}}, _SOURCE),
    ({"input_from": {"conn_id": "jira", "keys": {}}}, _KEYS),
    ({"input_from": {"conn_id": "jira", "keys": "password"}}, _KEYS),
    ({"input_from": {"conn_id": "jira", "keys": {"a": CREDENTIAL}}}, f"input_from.keys.a {_FIELD}"),
    ({"input_from": {"conn_id": "jira", "keys": {"a": ["login"]}}}, f"input_from.keys.a {_FIELD}"),
    ({"input_from": {"conn_id": "jira", "keys": {"a": "extra"}}}, f"input_from.keys.a {_FIELD}"),
    ({"input_from": {"conn_id": "jira", "keys": {"a": "extra. "}}}, f"input_from.keys.a {_FIELD}"),
    ({"input_from": {"conn_id": 5, "keys": {"a": "login"}}}, _CONN_ID),
]


@pytest.mark.parametrize(("fields", "said"), FIELD_MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_in_a_field(fields: dict[str, Any], said: str) -> None:
    entry = {**ENTRY, **fields}
    (field,) = fields
    before = list(entry).index(field)
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())
    place = f"c.yaml, line {before + 3} (entry 2)"
    other = {"name": "other", "provider": "jira"}
    for text in (f"[{json.dumps(other)},\n{{\n{lines}}}]", f"- {json.dumps(other)}\n- {{\n  {lines}, }}"):
        assert mistakes(text) == [f"{place}: {said}"]
    assert mistakes([other, entry]) == [f"entry 2: {said}"]
    # The schema finds the same.
    assert {_field_of(each) for each in VALIDATOR.iter_errors([entry])} == {field}


def _field_of(found: jsonschema.ValidationError) -> str:
    """Return the field of an entry that an error of the schema is about."""
    _, *path = found.absolute_path
    if path:
        return str(path[0])
    entry: Any = found.instance
    assert found.validator == "additionalProperties"
    return str(next(name for name in entry if name not in SCHEMA["definitions"]["connection"]["properties"]))


#: Values of every kind. Without integral floats, which are integers for a schema.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, 36, -1, 1.5, [], {}),
    *("", " ", "0", "1", "36", "0036", "9" * 20, "-1", "1.5", "None", " NOTSET ", "unset", "UNSET"),
    *("true", " No", "on", "text", "a\nb", ["text"]),
    *({"a": value} for value in ("login", None, {}, [], [None], "://a:b@c", {"key": 1})),
    *(
        {"token": value}
        for value in ("x", True, {"a": "x", "url": "x"}, {"key": "x"}, [], [{"a": "x"}], ["x"])
    ),
    {"TokenURL": "x"},
    *({"conn_id": conn_id, "keys": {"a": "login"}} for conn_id in ("a", "None", None)),
    *({"conn_id": "a", "keys": {"a": source}} for source in ("extra.b", "extra.b c", None)),
    {"conn_id": "a", "keys": None},
]


@pytest.mark.parametrize("name", [*ENTRY_FIELDS, "input", "input_from", "other"])
def test_the_schema_accepts_what_is_read(name: str) -> None:
    for value in VALUES:
        entry = {**ENTRY, name: value}
        try:
            read([entry], scope=Scope(folder_id=36))
            is_read = True
        except WorkatoConfigurationError as found:
            is_read = "is not that of the set" in str(found)
        assert VALIDATOR.is_valid([entry]) == is_read, value


def test_the_schema_knows_the_same_fields() -> None:
    connection = SCHEMA["definitions"]["connection"]
    assert list(connection["properties"]) == [*ENTRY_FIELDS, "input", "input_from"]
    keys = connection["properties"]["input_from"]["properties"]["keys"]
    assert keys["additionalProperties"]["anyOf"][0]["enum"] == list(SOURCES)
    VALIDATOR.check_schema(SCHEMA)


def test_the_schema_knows_the_same_credentials() -> None:
    def in_any_case(pattern: re.Pattern[str]) -> str:
        # JSON Schema has no flags.
        return re.sub(
            r"\\.|[A-Za-z]",
            lambda found: found[0] if len(found[0]) == 2 else f"[{found[0].upper()}{found[0].lower()}]",
            pattern.pattern,
        )

    value = SCHEMA["definitions"]["value"]
    assert list(value["patternProperties"]) == [in_any_case(_SECRET_NAME)]
    assert value["pattern"] == f"^(?!{in_any_case(_SECRET_VALUE)})"


def test_the_page_shows_the_schema() -> None:
    """Replace the page's table by this one."""
    connection = SCHEMA["definitions"]["connection"]
    source = connection["properties"]["input_from"]
    rows = [*_rows(connection), *_rows(source, "input_from.")]
    table = "| Field | Meaning |\n|---|---|\n" + "".join(f"{row}\n" for row in rows)
    assert table in PAGE.read_text(), table


def _rows(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, field in schema["properties"].items():
        required = " (required)" if name in schema["required"] else ""
        yield f"| `{prefix}{name}`{required} | {field['description']} |"


def test_the_example_is_read_and_valid() -> None:
    text = EXAMPLE.read_text()
    assert text.startswith("# yaml-language-server: $schema=connections.schema.json\n")
    found = read(text, scope=Scope(folder_id=1892))
    assert [each.spec.provider for each in found] == ["jira", "jira", "salesforce"]
    assert [each.source is None for each in found] == [False, False, True]
    VALIDATOR.validate(yaml.safe_load(text))


#: Parameters of apps, from the vendor's command line 1.0.7 and from the documentation's samples.
PUBLIC = """
    EnvironmentURL access_key_id account_id alg api_scope api_token_auth assume_role auth_type
    authentication_type authorization_endpoint authorization_url base_uri basic_user certificate client
    client_id custom_login_url database email endpoint host_name loginId oauth2_auth_url oauth2_token_url
    param_type port private_key_id project_key public_key rest_api_endpoint sid ssl_ca_cert ssl_client_cert
    ssl_params token_endpoint token_type token_url user_token_auth username verify_cert
"""
CREDENTIALS = """
    API_key Authorization Password access_token apiKey api_key api_secret api_token apitoken app_key
    auth_token basic_password client_secret consumer_key extra_tokens header_pair hmac_secret login_password
    oauth2_client_secret passphrase password personal_access_token private_key pwd refresh_token secret
    secret_access_key secret_key sfdc_security_token shared_secret ssl_client_key ssl_key_passphrase token
    url_param usertoken
"""


def test_names_of_credentials() -> None:
    secret = CREDENTIALS.split()
    entry = {**ENTRY, "input": dict.fromkeys([*PUBLIC.split(), *secret], "true")}
    assert mistakes([entry]) == [f"entry 1: input.{name} {_NO_CREDENTIALS}" for name in secret]
    assert {list(found.absolute_path)[-1] for found in VALIDATOR.iter_errors([entry])} == {*secret}


@pytest.mark.parametrize("text", ["Basic plan", "Bearer token", "https://acme.example:8080/a@b", "a:b@c"])
def test_values_that_only_look_like_credentials(text: str) -> None:
    entry = {**ENTRY, "input": {"text": text}}
    assert read([entry])[0].input == {"text": text}
    VALIDATOR.validate([entry])


# What is wrong with the text

_QUOTES = "put it into quotes; YAML does not read it as it is written."
_MARK = "put it into quotes: it begins with an exclamation mark."
_TRUE = "write true or false, or put it into quotes."


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("name: B", "name is there twice."),
        ("input: {a: 1, b: {c: 1, c: 2}}", "input.b.c is there twice."),
        ("input: [{a: 1, a: 2}]", "input.a is there twice."),
        ("external_id: 0123", f"external_id: {_QUOTES}"),
        ("external_id: 2026-01-31", f"external_id: {_QUOTES}"),
        ("external_id: 2026-99-99", f"external_id: {_QUOTES}"),
        ("input: {version: 1.10}", f"input.version: {_QUOTES}"),
        ("input: {id: 1_000}", f"input.id: {_QUOTES}"),
        ("input: {time: 1:30}", f"input.time: {_QUOTES}"),
        ("input: {list: [.inf]}", f"input.list: {_QUOTES}"),
        ("input: {a: =}", f"input.a: {_QUOTES}"),
        ("input: {a: !!int text}", f"input.a: {_QUOTES}"),
        (f"input: {{a: 1{'0' * 5000}}}", f"input.a: {_QUOTES}"),
        ("external_id: NO", f"external_id: {_TRUE}"),
        ("shell_connection: on", f"shell_connection: {_TRUE}"),
        (f"external_id: !{CREDENTIAL}", f"external_id: {_MARK}"),
        ("input: !vault {a: 1}", f"input: {_MARK}"),
        ("5: a", "a key must be a string: put it into quotes."),
        ("[a]: b", "a key must be a string: put it into quotes."),
        ("input: {yes: b}", "a key of input must be a string: put it into quotes."),
        ("external_id: {{ x }}", "a key of external_id must be a string: put it into quotes."),
        ("<<: text", "<<: must name a mapping, such as *defaults."),
        ("<<: [{parent_id: 36}, text]", "<<: must name a mapping, such as *defaults."),
        ("<<: {extrenal_id: x}", "no field 'extrenal_id'. Did you mean 'external_id'?"),
    ],
)
def test_a_mistake_in_yaml(added: str, said: str) -> None:
    assert mistakes(f"{TEXT}  {added}\n") == [f"c.yaml, line 3 (entry 1): {said}"]


def test_what_is_missing_may_be_in_defaults_that_are_not_found() -> None:
    assert mistakes("- <<: jira\n  name: A\n") == [
        "c.yaml, line 1 (entry 1): <<: must name a mapping, such as *defaults."
    ]


def test_a_key_that_is_there_twice_in_json() -> None:
    text = '[{"name": "A", "provider": "jira",\n"name": "B",\n"input": {"a": 1,\n"a": 2}}]'
    assert mistakes(text, file="c.json") == [
        "c.json, line 2 (entry 1): name is there twice.",
        "c.json, line 4 (entry 1): input.a is there twice.",
    ]


@pytest.mark.parametrize("entry", ["text", "5", "", "[]", "{}"])
def test_something_else_than_an_entry(entry: str) -> None:
    said = ["an entry must have fields, such as name and provider."]
    if entry == "{}":
        said = ["name is missing.", "provider is missing."]
    assert mistakes(f"- {entry}\n") == [f"c.yaml, line 1 (entry 1): {each}" for each in said]
    assert mistakes([yaml.safe_load(entry)]) == [f"entry 1: {each}" for each in said]
    assert not VALIDATOR.is_valid([yaml.safe_load(entry)])


_NO_LIST = (
    "c.yaml must hold a list of connections, alone or under the key 'connections', if only an empty one: []. "
    "Nothing was sent."
)
_CORRECT = "Correct the manifest; nothing was sent."
_SECOND = f"c.yaml, line 3: a second document begins here, and a manifest is one. {_CORRECT}"
_TAB = f"c.yaml, line 2: found a tab character that violates indentation. {_CORRECT}"
_INSIDE_OUT = f"c.yaml is nested too deeply, or a part of it contains itself. {_CORRECT}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", _NO_LIST),
        ("# Nothing.\n", _NO_LIST),
        ("text", _NO_LIST),
        ("5", _NO_LIST),
        ("connections:\n", _NO_LIST),
        ("connections: text\n", _NO_LIST),
        ("conections: []\n", _NO_LIST),
        ("name: A\nprovider: jira\n", _NO_LIST),
        ("{}", _NO_LIST),
        (f"{TEXT}---\n{TEXT}", _SECOND),
        ("- name: A\n\tprovider: jira\n", _TAB),
        ("- name: A: B\n", f"c.yaml, line 1: mapping values are not allowed in this context. {_CORRECT}"),
        (f"- name: *{CREDENTIAL}\n", f"c.yaml, line 1: found undefined alias. {_CORRECT}"),
        ("- name: A\n- name: \x07\n", f"c.yaml, line 2: a character that YAML does not allow. {_CORRECT}"),
        (f"{TEXT}  input: &a {{b: *a}}\n", _INSIDE_OUT),
        ("[" * 100_000, _INSIDE_OUT),
        (f"[{'1' * 5000}]", f"c.yaml has a number that is too long. {_CORRECT}"),
        ('[{"name": "A"},\n {"name" "B"}]', f"c.yaml, line 2: did not find expected ',' or '}}'. {_CORRECT}"),
    ],
    ids=lambda value: value[:20],
)
def test_a_text_that_is_no_manifest(text: str, said: str) -> None:
    assert error(text) == said


def test_a_file_of_json_is_not_taken_for_yaml() -> None:
    assert error(TEXT, file="c.json") == f"c.json, line 1: not JSON: Expecting value. {_CORRECT}"


def test_keys_beside_connections() -> None:
    text = "y: {}\nx-y: {}\n5: 1\nconnections: []\nconnections: []\n$schema: x\n"
    said = "Beside connections, there are only those that begin with x-, for anchors."
    assert mistakes(text) == [
        f"c.yaml, line 1: no key 'y'. {said}",
        f"c.yaml, line 3: no key 'None'. {said}",
        "c.yaml, line 5: connections is there twice.",
    ]
    assert VALIDATOR.is_valid({"connections": [], "x-y": {}, "$schema": "x"})
    assert not VALIDATOR.is_valid({"connections": [], "y": {}})
    assert not VALIDATOR.is_valid({"x-connections": []})


@pytest.mark.parametrize("given", [5, None, {"connections": []}, b"[]"])
def test_something_else_than_a_manifest(given: Any) -> None:
    assert error(given) == (
        f"connections must be the path of a manifest or a list of dicts, not {type(given).__name__}."
    )


def test_what_only_a_list_can_hold() -> None:
    assert mistakes([{**ENTRY, "input": {"when": Path()}}, {5: 1, **ENTRY, "input": {5: 1}}]) == [
        (
            f"entry 1: input.when is of type {type(Path()).__name__}. The arguments must contain only "
            "strings, finite numbers, booleans, None, lists and dicts."
        ),
        f"entry 2: no field '5'. {_LISTED}",
        "entry 2: input must hold keys and values, such as {host_name: acme}.",
    ]


# The scope, and what belongs together


_BEGIN = "external_id must begin with 'acme-', like all of the set."
_BOTH = "input: {a: 1}\n  input_from: {conn_id: c, keys: {a: login}}"
_SAME_PATH = "input: {a: {b: 1}}\n  input_from: {conn_id: c, keys: {a.b: password}}"


@pytest.mark.parametrize(
    ("scope", "added", "said"),
    [
        (FOLDER, "folder_id: 6", "line 3 (entry 1): folder_id 6 is not that of the set, folder 5."),
        (PREFIX, "folder_id: 6", f"line 1 (entry 1): {_BEGIN}"),
        (PREFIX, "external_id: x", f"line 3 (entry 1): {_BEGIN}"),
        (FOLDER, _BOTH, "line 4 (entry 1): input and input_from both give a."),
        (FOLDER, _SAME_PATH, "line 4 (entry 1): input and input_from both give a.b."),
    ],
)
def test_what_does_not_fit(scope: Scope, added: str, said: str) -> None:
    assert mistakes(f"{TEXT}  {added}\n", scope=scope) == [f"c.yaml, {said}"]


def test_an_entry_keeps_its_folder_in_a_set_of_external_ids() -> None:
    (found,) = read([{**ENTRY, "external_id": "acme-1", "folder_id": 6}], scope=PREFIX)
    assert found.spec.folder_id == 6
    (found,) = read([{**ENTRY, "external_id": "acme-1"}], scope=PREFIX)
    assert found.spec.folder_id is None


@pytest.mark.parametrize(
    ("folder_id", "prefix", "scope", "text"),
    [
        ("5", None, FOLDER, "folder 5"),
        (None, "acme-", PREFIX, "external ids that begin with 'acme-'"),
    ],
)
def test_a_scope(folder_id: Any, prefix: Any, scope: Scope, text: str) -> None:
    found = Scope.checked(folder_id=folder_id, external_id_prefix=prefix)
    assert (found, str(found)) == (scope, text)
    rows: list[dict[str, Any]] = [
        {"id": 1, "folder_id": 5, "external_id": None},
        {"id": 2, "folder_id": 6, "external_id": "acme-1"},
        {"id": 3, "external_id": "Acme-1"},
    ]
    assert [row["id"] for row in rows if found.holds(row)] == ([1] if scope is FOLDER else [2])


@pytest.mark.parametrize(("folder_id", "prefix"), [(None, None), (5, "a")])
def test_a_scope_is_one_of_two(folder_id: Any, prefix: Any) -> None:
    with pytest.raises(WorkatoConfigurationError) as caught:
        Scope.checked(folder_id=folder_id, external_id_prefix=prefix)
    assert str(caught.value) == (
        "Give either folder_id or external_id_prefix: which connections the set is about."
    )


_BY_NAME = "name='A', provider='jira', folder_id=5"
_BY_ID = "external_id='e', provider='jira', folder_id=5"


@pytest.mark.parametrize(
    ("one", "other", "identity"),
    [
        ({}, {}, _BY_NAME),
        ({"name": "A "}, {}, _BY_NAME.replace("A", "A ")),
        ({"parent_id": 36}, {"parent_id": "36"}, f"{_BY_NAME}, parent_id=36"),
        # Its name alone finds the connection of the other, too.
        ({"external_id": "e"}, {}, _BY_NAME),
        ({}, {"external_id": "e"}, _BY_NAME),
        ({"external_id": "e"}, {"external_id": "e", "name": "B"}, _BY_ID),
        ({"external_id": "e"}, {"external_id": "e", "parent_id": 36}, _BY_ID),
    ],
)
def test_two_entries_that_mean_one_connection(
    one: dict[str, Any], other: dict[str, Any], identity: str
) -> None:
    (said,) = mistakes([{**ENTRY, **one}, {**ENTRY, "name": "Z"}, {**ENTRY, **other}])
    advice = "" if identity == _BY_ID else " Give each an external_id, or another name."
    assert said == f"entry 3: the same connection ({identity}) as entry 1.{advice}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"name": "a"}),
        ({}, {"provider": "rest"}),
        ({}, {"parent_id": 36}),
        ({"external_id": "e"}, {"external_id": "f"}),
        ({"external_id": "e"}, {"external_id": "e", "provider": "rest"}),
        ({"external_id": "e", "parent_id": 36}, {"external_id": "e", "parent_id": 37}),
        ({"external_id": "A", "name": "B"}, {}),
    ],
)
def test_two_entries_that_mean_two_connections(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert len(read([{**ENTRY, **one}, {**ENTRY, **other}])) == 2


def test_one_external_id_in_several_folders() -> None:
    entry = {**ENTRY, "external_id": "acme-1"}
    assert len(read([{**entry, "folder_id": 5}, {**entry, "folder_id": 6}], scope=PREFIX)) == 2
    assert mistakes([{**entry, "folder_id": 5}, entry], scope=PREFIX) == [
        "entry 2: the same connection (external_id='acme-1', provider='jira', folder_id=5) as entry 1."
    ]


def test_all_mistakes_at_once() -> None:
    text = f"""\
defaults: 1
connections:
- nmae: A
  folder_id: 6
  input: {{password: {CREDENTIAL}, host: , host: b}}
- name: B
  provider: NO
- provider: jira
  input: {{password: {CREDENTIAL}, host: }}
"""
    said = "Beside connections, there are only those that begin with x-, for anchors."
    assert mistakes(text) == [
        f"c.yaml, line 1: no key 'defaults'. {said}",
        "c.yaml, line 5 (entry 1): input.host is there twice.",
        "c.yaml, line 3 (entry 1): no field 'nmae'. Did you mean 'name'?",
        "c.yaml, line 3 (entry 1): provider is missing.",
        "c.yaml, line 4 (entry 1): folder_id 6 is not that of the set, folder 5.",
        f"c.yaml, line 7 (entry 2): provider: {_TRUE}",
        f"c.yaml, line 9 (entry 3): input.password {_NO_CREDENTIALS}",
        f"c.yaml, line 9 (entry 3): input.host {_EMPTY}.",
        "c.yaml, line 8 (entry 3): name is missing.",
    ]


def test_too_many_mistakes_to_list() -> None:
    head, *lines = error([{}] * 30).splitlines()
    assert head == "The manifest has 60 mistakes; nothing was sent:"
    assert len(lines) == 51
    assert lines[-1] == "- … and 10 more"


# What must work everywhere


@pytest.mark.parametrize(
    "text",
    [
        f"- {CREDENTIAL}\n",
        f"- password={CREDENTIAL}\n",
        f"{TEXT}  password: {CREDENTIAL}\n",
        f"{TEXT}  input: {CREDENTIAL}\n",
        f"{TEXT}  input: {{password: {CREDENTIAL}}}\n",
        f"{TEXT}  input: {{password: *{CREDENTIAL}}}\n",
        f"{TEXT}  input: {{password: &a 1, b: &{CREDENTIAL} 2, c: &{CREDENTIAL} 3}}\n",
        f"{TEXT}  input: {{password: !{CREDENTIAL} x}}\n",
        f"{TEXT}  input: {{password: !{CREDENTIAL}!x x}}\n",
        f"{TEXT}  input: {{password: !!{CREDENTIAL} x}}\n",
        f"{TEXT}  input: {{password: !!int {CREDENTIAL}}}\n",
        f"{TEXT}  input: {{password: @{CREDENTIAL}}}\n",
        f"{TEXT}  input: {{password: '{CREDENTIAL}}}\n",
        f'{TEXT}  input: {{password: "{CREDENTIAL}\\x"}}\n',
        f"{TEXT}  input: {{password: %{CREDENTIAL}}}\n",
        f"{TEXT}  input: {{password: a\x07{CREDENTIAL}}}\n",
        f"{TEXT}  input:\n    password: {CREDENTIAL}: b\n",
        f"{TEXT}  input:\n    password: |{CREDENTIAL}\n",
        f"{TEXT}  input_from: {CREDENTIAL}\n",
        f"{TEXT}  input_from: {{password: {CREDENTIAL}}}\n",
        f"{TEXT}  input_from: {{conn_id: a, keys: {{password: {CREDENTIAL}}}}}\n",
        f"{TEXT}  <<: {CREDENTIAL}\n",
        f"%{CREDENTIAL} x\n---\n- a: &a *a\n",
        f'[{{"name": "A", "input": {{"password": "{CREDENTIAL}"}}}}]',
        f'[{{"name": "A", "input": {{"password": "{CREDENTIAL}\n"}}}}]',
        f'[{{"name": "A", "input": {{"password": {CREDENTIAL}}}}}]',
        f'[{{"name": "A", "input": {{"password": "{CREDENTIAL}"}}}} {{}}]',
    ],
)
@pytest.mark.parametrize("file", ["c.yaml", "c.json"])
@pytest.mark.parametrize("in_c", [True, False])
def test_no_error_shows_a_credential(
    text: str, file: str, in_c: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_c:
        monkeypatch.delattr(yaml, "CSafeLoader")
    with pytest.raises(WorkatoConfigurationError) as caught:
        read(text, file=file)
    assert CREDENTIAL not in repr(caught.value)


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert read(TEXT)[0].spec.name == "A"
    assert error("- name: *defaults\n") == f"c.yaml, line 1: found undefined alias. {_CORRECT}"


def test_a_long_manifest() -> None:
    text = "x-a: &a {provider: jira}\nconnections:\n" + "".join(
        f"- {{<<: *a, name: Tenant, external_id: t-{number}}}\n" for number in range(2000)
    )
    found = read(text)
    assert len(found) == 2000
    assert found[-1].place == "c.yaml, line 2002 (entry 2000)"
