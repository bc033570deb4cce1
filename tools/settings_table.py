"""Write the page's table of the Airflow connection's settings from their declaration.

Run by ``make format``: ``python -m tools.settings_table``.
"""

from __future__ import annotations

from pathlib import Path

from airflow_provider_workato.connection_form import SETTINGS, Setting

PAGE = Path(__file__).parent.parent / "docs" / "guides" / "airflow-connection.md"
_HEAD = "| Field | Key | Meaning | Default |\n|---|---|---|---|\n"


def table() -> str:
    """Return the table in Markdown."""
    return _HEAD + "".join(f"{_row(setting)}\n" for setting in SETTINGS)


def with_table(page: str) -> str:
    """Return *page* with its table replaced by the current one.

    :param page: the page about the Airflow connection.
    :raises ValueError: if it has no such table.
    """
    start = page.index(_HEAD)
    end = page.index("\n\n", start) + 1
    return page[:start] + table() + page[end:]


def _row(setting: Setting) -> str:
    key = f"`{setting.name}`" if setting.standard else f"extra `{setting.name}`"
    return f"| {setting.label} | {key} | {setting.help} | {_default(setting)} |"


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    if setting.default is None:
        return ""
    if setting.kind == "number":
        return f"{setting.default:g}"
    return f"`{str(setting.default).lower()}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
