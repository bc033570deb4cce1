"""Which provider names the sandbox accepts, how people read them, and which of them use OAuth."""

from __future__ import annotations

import difflib
import re

from airflow_provider_workato.sandbox.workspace.connectors import CONNECTORS, OTHER_NAMES

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
