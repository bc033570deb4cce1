"""How Sphinx builds the pages: ``make docs``."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_extensions"), str(DOCS.parent)]
# Airflow writes its configuration where it is told to, on import.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-provider-workato-docs-")
os.environ["AIRFLOW_HOME"] = _HOME.name

from airflow_provider_workato import __version__  # noqa: E402 - from this folder's parent

project = "airflow-provider-workato"
author = "The airflow-provider-workato authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "repository_links",
    "whole_signatures",
]
exclude_patterns = ["snippets/**", "_templates/**"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
# `conf.getboolean(…)`, not what it returns here.
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autosummary_generate = True
# `sandbox.client` offers what its modules define.
autosummary_ignore_module_all = False
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

# Signatures name classes of others, whose pages are not read here.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(airflow|asyncio|collections|datetime|msgspec|pytest|requests|typing)\..*"),
    (r"py:exc", r"Airflow\w+|TimeoutError|RuntimeError"),
    (r"py:class", r"Connection|Context|Logger|datetime|timedelta"),
    (r"py:.*", r".*\.[ET]"),
    # Internal modules, which have no page.
    (r"py:.*", r".*_workato\.(authorization|connection_form|redaction|wait)\b.*"),
    (r"py:.*", r".*_workato\.client\.(fast_decoding|retries|transport)\b.*"),
    # The last stands before `<factory>`, a default of dataclasses that Sphinx cannot parse.
    (r"py:class", r"Declared|Scope|Mapping\[str"),
    (r"py:meth", r"_\w+"),
]

# The reader's own sandbox.
linkcheck_ignore = [r"http://127\.0\.0\.1"]

# A copied block leaves out prompts and what the commands print.
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_theme_options = {"navigation_with_keys": True}

# Airflow's own start-up messages are no part of the build's output.
logging.getLogger("airflow").setLevel(logging.ERROR)


def _by_short_name(app: Sphinx, env: BuildEnvironment, node: Any, contnode: Any) -> Any:
    """Find a class by its name alone: many modules import it for type checkers only."""
    if node.get("refdomain") != "py":
        return None
    node["refspecific"] = True
    return env.domains["py"].resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], node["reftarget"], node, contnode
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("missing-reference", _by_short_name)
    return {"parallel_read_safe": True}
