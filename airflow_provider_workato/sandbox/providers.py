"""The apps: the names of their connectors, which of them use OAuth, and their picklists."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_workato.sandbox.bodies import bad_request, invalid

# The names that the vendor's command line 1.0.7 ships, without those that need no connection.
_NAMES = """
active_directory active_reg_online adobe_experience_manager adp7 air_regi airbrake airtable amazon_lex_nlu
amazon_s3 amazon_s3_secondary amcards anaplan api_ai_nlu apttus apttus_intelligent_cloud ariba asana
ascent_erp aws_cognito aws_lambda aws_sns bamboohr basecamp bigtincan bim360 bitbucket box brick_ftp
capsulecrm chargify cisco_spark clearbit cloud_watch codeship concur confluence confluence_secondary coupa
cxml deputy docparser docusign docusign_secondary dropbox etapestry event_brite evernote expensify fairsail
feedly financialforce forcecom fresh_books fresh_desk ftps ftps_secondary fullcontact github gmail
google_big_query google_calendar google_contacts google_drive google_sheets google_translate goombal hipchat
hubspot ibm_workspace infusionsoft insightly instagram intacct intercom jdbc jdbc_secondary jenkins jira
jira_secondary jira_service_desk jms jobscience jobvite jump_cloud jwt kafka kenandy knack librato linkedin
magento mailchimp marketo marketo_secondary microsoft_dynamics_crm microsoft_sharepoint miro_board mixpanel
mssql mssql_secondary mysql mysql_secondary namely nationbuilder netsuite netsuite_secondary new_relic okta
okta_secondary onedrive onprem_command_line_scripts onprem_files onprem_files_secondary oracle oracle_ebs
oracle_fusion oracle_secondary out_systems outlook pagerduty parsehub percolate pgp pingdom pipedrive
pivotal_tracker plan_grid podio postgresql postgresql_secondary product_hunt prontoforms propel quickbase
quickbase_secondary quickbooks quip raisers_edge redshift redshift_secondary relateiq replicon rest
rest_oauth rest_secondary revel_systems ringcentral sagelive salesforce salesforce_chatter
salesforce_marketing_cloud salesforce_secondary sap sap_d4c sap_erp sap_s4_hana_cloud sendgrid service_max
service_now service_now_secondary servicem8 sftp sftp_secondary shopify showpad slack slack_bot
slack_secondary smartsheet snowflake snowflake_secondary soap splunk steelbrick stripe surveymonkey taskray
teams_bot trackvia tradeshift trello tsheets twilio twitter_ads unbounce veeva vend vlocity
watson_tone_analyzer webmerge woocommerce workato_app workday workday_rest workfront workfront_secondary
workplace_bot wrike wrike_secondary wufoo xactly xero zendesk zendesk_secondary zenefits zoho_invoice
zohocrm zuora zuora_forcecom
"""

#: The known connectors.
CONNECTORS: Final = frozenset(_NAMES.split())

#: Common names of apps whose connector is called something else.
OTHER_NAMES: Final[Mapping[str, str]] = {
    "bigquery": "google_big_query",
    "google_bigquery": "google_big_query",
    "gsheets": "google_sheets",
    "http": "rest",
    "postgres": "postgresql",
    "s3": "amazon_s3",
    "sharepoint": "microsoft_sharepoint",
    "sql_server": "mssql",
}


#: Providers whose connections only a person can authorize, on the consent page.
OAUTH_ONLY_PROVIDERS = frozenset({"gmail", "google_drive", "google_sheets", "salesforce", "slack"})

#: Providers whose connections can be authorized on the consent page.
OAUTH_PROVIDERS = OAUTH_ONLY_PROVIDERS | {"github", "hubspot", "jira", "zendesk"}

_WELL_FORMED = re.compile(r"[a-z0-9_]{1,100}")

# Workato appends its own suffix to the name of a custom connector: the workspace's id and a time stamp.
_CUSTOM_CONNECTOR = re.compile(r"[a-z0-9_]+_connector_[0-9]+_[0-9]+")

# High enough to suggest nothing for a name that only shares a few letters with a connector.
_SIMILARITY = 0.75

_REFUSAL = "is not included in the list of connectors"


def provider_title(provider: str) -> str:
    """Return the name of a provider as people read it.

    :param provider: the provider.
    """
    return provider.replace("_", " ").title()


def provider_error(provider: str, *, any_provider: bool) -> str | None:
    """Return why a provider name is refused, None if it is accepted.

    :param provider: the name as sent.
    :param any_provider: accept every well-formed name.
    """
    is_accepted = _WELL_FORMED.fullmatch(provider) and (
        any_provider or provider in CONNECTORS or _CUSTOM_CONNECTOR.fullmatch(provider)
    )
    if is_accepted:
        return None
    suggestion = _suggestion(provider)
    if suggestion is not None:
        return f"{_REFUSAL}; did you mean {suggestion}?"
    return f"{_REFUSAL}; the sandbox accepts other names if it is started with --any-provider"


def _suggestion(provider: str) -> str | None:
    wanted = re.sub(r"[\s-]+", "_", provider.strip().lower())
    if wanted in OTHER_NAMES:
        return OTHER_NAMES[wanted]
    return next(iter(difflib.get_close_matches(wanted, sorted(CONNECTORS), n=1, cutoff=_SIMILARITY)), None)


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
