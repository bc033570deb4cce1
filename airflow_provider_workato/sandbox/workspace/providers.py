"""Which provider names the sandbox accepts, and which of them use OAuth."""

from __future__ import annotations

import re

#: Providers whose connections only a person can authorize, on the consent page.
OAUTH_ONLY_PROVIDERS = frozenset({"gmail", "google_drive", "google_sheets", "salesforce", "slack"})

#: Providers whose connections can be authorized on the consent page.
OAUTH_PROVIDERS = OAUTH_ONLY_PROVIDERS | {"github", "hubspot", "jira", "zendesk"}

#: A well-formed provider name that is refused nevertheless.
NO_SUCH_PROVIDER = "no_such_app"
_PROVIDER = re.compile(r"[a-z0-9_]{1,100}")


def is_known_provider(provider: str) -> bool:
    """Return whether a provider name is accepted.

    :param provider: the name as sent.
    """
    return provider != NO_SUCH_PROVIDER and _PROVIDER.fullmatch(provider) is not None
