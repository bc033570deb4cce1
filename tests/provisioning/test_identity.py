"""Which connection an identity matches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_workato.client.answers import parse_connection
from airflow_provider_workato.exceptions import WorkatoResponseError
from airflow_provider_workato.provisioning.identity import Identity
from tests.support.strategies import RECORDED_ROW, fixed, result_or_error, rows, texts

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


LONG = "x" * 300


@pytest.mark.parametrize(
    ("sent", "shown", "same", "certain"),
    [
        pytest.param("acme\n", "acme", True, True, id="trimmed"),
        pytest.param(" acme", "acme", True, True, id="trimmed at the front"),
        pytest.param("Zoe\u0308", "Zo\u00eb", True, True, id="normalised"),
        pytest.param(LONG, LONG[:255], True, False, id="cut"),
        pytest.param(" " + "Zoe\u0308" * 100, ("Zo\u00eb" * 100)[:255], True, False, id="all of it"),
        pytest.param(LONG, LONG[:254], False, False, id="too short to be cut"),
        pytest.param(LONG, LONG[:254] + "y", False, False, id="another text of that length"),
        pytest.param("acme\n", "acm", False, True, id="another text"),
        pytest.param("acme", "acme ", False, True, id="a plain text would not be stored so"),
        pytest.param("acme", "Acme", False, True, id="another case"),
        pytest.param("acme\n", None, False, True, id="nothing"),
        pytest.param("acme\n", 7, False, True, id="a number"),
    ],
)
def test_texts_that_a_server_stores_in_another_form(sent: str, shown: Any, same: bool, certain: bool) -> None:
    for identity, row in (
        (Identity(provider="jira", external_id=sent), ROW | {"external_id": shown}),
        (Identity(provider="jira", name=sent, folder_id=5), ROW | {"name": shown}),
    ):
        assert identity.matches(row) is same
        assert identity.list_filter == (sent if sent == "acme" and identity.external_id else None)
        if same:
            assert identity.is_certain_of(row) is certain


def test_two_spellings_share_a_lock() -> None:
    assert Identity(provider="rest", name="acme\n").key == Identity(provider="rest", name="acme").key
    assert Identity(provider="rest", name=LONG).key == Identity(provider="rest", name=LONG[:255]).key
    assert Identity(provider="rest", name="a").key != Identity(provider="rest", external_id="a").key


def test_what_matches_to_the_letter_goes_first() -> None:
    stored, exact = ROW | {"external_id": "e-1"}, ROW | {"id": 2, "external_id": "e-1 "}
    identity = Identity(provider="jira", external_id="e-1 ")
    assert identity.among([stored, exact]) == [exact]
    assert identity.among([stored]) == [stored]


def test_a_child_connection_does_not_match_without_its_parent() -> None:
    child = ROW | {"parent_id": 36}
    assert not Identity(provider="jira", name="A").matches(child)
    assert Identity(provider="jira", name="A", parent_id=36).matches(child)


def test_what_an_answer_leaves_out_proves_nothing() -> None:
    assert Identity(provider="jira", name="A", folder_id=6, parent_id=36).matches({"id": 1, "name": "A"})
    assert Identity(provider="jira", external_id="e-1").matches({"id": 1, "external_id": "e-1"})


def test_an_answer_without_the_deciding_key_is_an_error() -> None:
    with pytest.raises(WorkatoResponseError, match="shows no external_id for connection 1"):
        Identity(provider="jira", name="A", external_id="e-1").matches({"id": 1, "name": "A"})
    with pytest.raises(WorkatoResponseError, match="shows no name for connection 1"):
        Identity(provider="jira", name="A").matches({"id": 1})
    assert not Identity(provider="jira", name="A").matches({"id": 1, "provider": "rest"})


def test_identity_as_text() -> None:
    assert str(Identity(provider="jira", name="A", folder_id=5)) == "name='A', provider='jira', folder_id=5"
    assert str(Identity(provider="jira", name="A", external_id="e")) == "external_id='e', provider='jira'"


@fixed
@given(
    row=rows(),
    identity=st.builds(
        Identity,
        provider=st.none() | st.just("github"),
        name=st.none() | st.just(RECORDED_ROW["name"]),
        folder_id=st.none() | st.just(RECORDED_ROW["folder_id"]),
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
