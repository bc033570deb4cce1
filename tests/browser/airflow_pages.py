"""The pages of Airflow that the tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class ConnectionsPage:
    """The list of Airflow connections, and its form.

    :param page: the tab
    :param url: the address of the Airflow
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self) -> None:
        """Open the list."""
        self.page.goto(f"{self.url}/connections")

    def open_form(self, conn_id: str) -> Locator:
        """Open the form of a new connection of type Workato, at its standard fields.

        :param conn_id: the connection
        """
        self.page.get_by_role("button", name="Add Connection").click()
        form = self.page.get_by_role("dialog")
        form.locator("input[name=connection_id]").fill(conn_id)
        form.get_by_role("combobox").first.fill("Workato")
        self.page.get_by_role("option", name="Workato", exact=True).click()
        expect(form.get_by_role("button", name="Standard Fields")).to_be_visible()
        return form

    def save(self, form: Locator) -> None:
        """Save the form.

        :param form: the form
        """
        form.get_by_role("button", name="Save").click()
        expect(form).to_have_count(0)

    def press_test(self, conn_id: str) -> Locator:
        """Press the Test button of a connection and return the message.

        :param conn_id: the connection
        """
        row = self.page.get_by_role("row").filter(has_text=conn_id)
        row.get_by_role("button", name="Test Connection").click()
        message = self.page.get_by_role("status").filter(has_text="Test Connection")
        expect(message).to_be_visible()
        return message


#: Whether no line of the log covers the next one, as for a moment after they were wrapped.
_LINES_APART = """() => {
  const items = [...document.querySelectorAll('[data-testid^="virtualized-item-"]')];
  const boxes = items.map((item) => item.getBoundingClientRect());
  return boxes.length > 0 && boxes.every((box, i) => i === 0 || boxes[i - 1].bottom <= box.top + 1);
}"""


class TaskPage:
    """A task's page.

    :param page: the tab
    :param url: the address of the Airflow
    :param dag_id: the DAG
    :param run_id: the run
    :param task_id: the task
    """

    def __init__(self, page: Page, url: str, *, dag_id: str, run_id: str, task_id: str) -> None:
        self.page = page
        self.run_id = run_id
        self._address = f"{url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"

    def open(self, tab: str) -> None:
        """Open a tab of the page.

        :param tab: its path
        """
        self.page.goto(f"{self._address}/{tab}")

    def open_log(self) -> None:
        """Open the log, with long lines wrapped."""
        self.open("")
        self.page.get_by_test_id("log-settings-button").click()
        self.page.get_by_test_id("log-settings-wrap").click()
        self.page.wait_for_function(_LINES_APART)

    def link(self, name: str) -> Locator:
        """Return the button of an extra link.

        :param name: its name
        """
        return self.page.get_by_role("link", name=name, exact=True)
