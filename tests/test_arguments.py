"""Arguments are checked before a request is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_workato.arguments import (
    FIELDS,
    check_field,
    connection_ids,
    parse_time,
    to_id,
    to_string,
)
from airflow_provider_workato.exceptions import WorkatoConfigurationError


@pytest.mark.parametrize(("value", "number"), [(36, 36), ("36", 36), ("0036", 36), (2**62, 2**62)])
def test_ids(value: int | str, number: int) -> None:
    assert to_id(value) == number
    assert check_field("folder_id", value) == number


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
def test_invalid_ids(value: object) -> None:
    with pytest.raises(WorkatoConfigurationError, match="connection_id must be a connection's number"):
        to_id(value)
    with pytest.raises(WorkatoConfigurationError, match="folder_id must be a number such as 1892"):
        to_id(value, what="folder_id")


@pytest.mark.parametrize("what", ["connection_id", "parent_id"])
def test_a_whole_connection_is_no_id(what: str) -> None:
    connection: Any = {"url": "https://login.example/?state=s3cret", "id": 36}
    for given in (connection, str(connection)):
        with pytest.raises(WorkatoConfigurationError) as caught:
            to_id(given, what=what)
        assert "It is a whole connection: pass its id, as in create.output" in str(caught.value)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(WorkatoConfigurationError, match="It is a whole connection"):
        connection_ids([connection])


def test_the_error_quotes_at_most_a_piece_of_an_invalid_id() -> None:
    with pytest.raises(WorkatoConfigurationError) as caught:
        to_id("x" * 1000)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_was_not_given(name: str) -> None:
    assert check_field(name, None) is None


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_named_in_its_error(name: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match=f"^{name} "):
        check_field(name, [])


def test_one_id_or_a_list_of_them() -> None:
    assert connection_ids(36) == connection_ids("36") == [36]
    assert connection_ids([36, "37"]) == connection_ids((36, 37)) == [36, 37]


@pytest.mark.parametrize("empty", [[], (), ""])
def test_nothing_to_wait_for(empty: list[int] | str) -> None:
    with pytest.raises(WorkatoConfigurationError):
        connection_ids(empty)


@pytest.mark.parametrize("listed", ["[36, 37]", "36,37"])
def test_a_list_that_became_a_string(listed: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match="It is the text of a list"):
        connection_ids(listed)


def test_a_task_instead_of_its_output() -> None:
    create = SimpleNamespace(task_id="create", output=36)
    with pytest.raises(WorkatoConfigurationError, match="It is the task 'create': pass its output"):
        to_id(create)


@pytest.mark.parametrize("value", ["", " ", "None", "NOTSET"])
def test_what_a_template_renders_for_nothing(value: str) -> None:
    with pytest.raises(WorkatoConfigurationError, match="probably a template"):
        to_string(value, what="external_id")
    with pytest.raises(WorkatoConfigurationError, match="gave no id"):
        to_id(value)


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
    assert check_field("updated_after", given) == sent


@pytest.mark.parametrize(
    "given",
    [
        "yesterday",
        "2026-01-31T08:00:00",
        datetime(2026, 1, 31),  # noqa: DTZ001 - a time without a zone is what has to be refused
        1,
    ],
)
def test_invalid_times(given: Any) -> None:
    with pytest.raises(WorkatoConfigurationError, match="updated_after must be a datetime with a time zone"):
        check_field("updated_after", given)


def test_offsets() -> None:
    assert parse_time("2020-12-23T14:12:06.751-08:00") == datetime(
        2020, 12, 23, 22, 12, 6, 751000, tzinfo=UTC
    )
    assert parse_time("2020-12-23T22:12:06Z") == datetime(2020, 12, 23, 22, 12, 6, tzinfo=UTC)
    for nothing in (None, "", "soon", 1608761526):
        assert parse_time(nothing) is None
