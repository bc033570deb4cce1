"""The names of Workato's connectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
