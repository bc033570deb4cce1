"""The picklists that the sandbox serves."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workato.sandbox.workspace.refusals import bad_request, invalid

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Picklist:
    """A list of label and value pairs.

    :param rows: returns the pairs for the given parameters.
    :param parameters: the required parameters.
    """

    rows: Callable[[Mapping[str, Any]], Pairs]
    parameters: tuple[str, ...] = ()


def _fixed(*pairs: tuple[str, str]) -> Picklist:
    return Picklist(rows=lambda _: list(pairs))


def _sobject_fields(parameters: Mapping[str, Any]) -> Pairs:
    sobject = parameters["sobject_name"]
    return [
        ("Record ID", "Id"),
        ("Owner ID", "OwnerId"),
        (f"{sobject} Name", "Name"),
        ("Created Date", "CreatedDate"),
    ]


def _issue_types(parameters: Mapping[str, Any]) -> Pairs:
    project = parameters["project"]
    return [(name, f"{project}--{name}") for name in ("Task", "Bug", "Story", "Epic", "Sub-task")]


_ITEMS = _fixed(("First item", "first"), ("Second item", "second"), ("Third item", "third"))
_SOBJECT_FIELDS = Picklist(rows=_sobject_fields, parameters=("sobject_name",))

#: Served for every provider.
COMMON_LISTS: Mapping[str, Picklist] = {"sandbox_items": _ITEMS}

#: By provider and name.
PROVIDER_LISTS: Mapping[str, Mapping[str, Picklist]] = {
    "salesforce": {
        "sobject_fields": _SOBJECT_FIELDS,
        "sobject_field_list": _SOBJECT_FIELDS,
        "all_sobjects": _fixed(("Account", "Account"), ("Contact", "Contact"), ("Invoice", "Invoice__c")),
    },
    "jira": {
        "get_project_issuetypes": Picklist(rows=_issue_types, parameters=("project",)),
        "priority_picklist": _fixed(("High", "2"), ("Medium", "3"), ("Low", "4")),
        "status_picklist": _fixed(("To Do", "10000"), ("In Progress", "10001"), ("Done", "10002")),
        "assignee_picklist": _ITEMS,
        "resolution_picklist": _ITEMS,
    },
    "google_sheets": {
        "sheets_pick_list_v3": _ITEMS,
        "spreadsheets_pick_list": _ITEMS,
        "teamdrives_list": _ITEMS,
    },
    "slack": {"get_user_picklist": _ITEMS, "get_channel_picklist": _ITEMS, "get_group_picklist": _ITEMS},
    "postgresql": {"tables_list": _ITEMS, "columns_list": Picklist(rows=_ITEMS.rows, parameters=("table",))},
    "snowflake": {"tables_list": _ITEMS, "columns_list": Picklist(rows=_ITEMS.rows, parameters=("table",))},
    "zendesk": {"ticket_form_list": _ITEMS, "ticket_status": _ITEMS, "locales_list": _ITEMS},
    "hubspot": {"property_list": _ITEMS, "deal_pipelines": _ITEMS, "owners_picklist": _ITEMS},
}


def picklist_rows(*, provider: str, name: str, parameters: Mapping[str, Any]) -> list[list[Any]]:
    """Return the rows of a picklist: label, value, null, and whether the row has children.

    :param provider: the connection's provider.
    :param name: the picklist's name.
    :param parameters: its parameters.
    """
    picklist = PROVIDER_LISTS.get(provider, {}).get(name) or COMMON_LISTS.get(name)
    if picklist is None:
        close = difflib.get_close_matches(name, [*PROVIDER_LISTS.get(provider, {}), *COMMON_LISTS])
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise bad_request(f"{provider} has no pick list of this name{hint}")
    missing = [parameter for parameter in picklist.parameters if not parameters.get(parameter)]
    if missing:
        raise invalid({"pick_list_params": [f"{parameter} can't be blank" for parameter in missing]})
    return [[label, value, None, False] for label, value in picklist.rows(parameters)]
