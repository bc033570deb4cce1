"""The provider as people see it in Airflow: the form, the Test button, links, rendered templates, logs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_workato.connection_form import EXTRAS, SETTINGS
from airflow_provider_workato.sandbox.client import SandboxControl, SandboxProcess, wait_until
from tests.browser.airflow_pages import ConnectionsPage, TaskPage
from tests.browser.screenshots import Screenshots, around, down_to
from tests.support.ui import Ui
from tools.airflow_api import AirflowApi

pytestmark = pytest.mark.browser

OAUTH = "example_workato_oauth"
LIFE_CYCLE = "example_workato_connection"
EMAIL = "example_workato_email"
DRIFT = "example_workato_drift"
#: The page behind the form would show.
NO_ROUND_CORNERS = "[role=dialog] { border-radius: 0 !important; }"
#: What is wrong with a connection to a sandbox, and what the Test button says about it.
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no token": ({"password": None}, "is missing; create an API client in Workato and paste its token"),
    "wrong token": ({"password": "another-token"}, "the API token of this connection is not valid there"),
    "another data center": (
        {"password": "wrkaeu-another-token"},
        "The token looks like one of data center 'eu'",
    ),
    "misspelt host": (
        {"host": "https://www.workato.invalid"},
        "got no answer from host https://www.workato.invalid",
    ),
    "sandbox down": ({}, "Nothing listens there. If it is the sandbox, start it"),
}


@pytest.fixture
def connections(page: Page, airflow: AirflowApi) -> ConnectionsPage:
    """The list of Airflow connections, opened."""
    connections = ConnectionsPage(page, airflow.url)
    connections.open()
    return connections


def test_the_form_shows_every_setting(connections: ConnectionsPage, screenshots: Screenshots) -> None:
    # All of the form at once: it is too long for most screens.
    connections.page.set_viewport_size({"width": 1280, "height": 1900})
    form = connections.open_form("workato_fields")
    for setting in SETTINGS:
        if setting.standard:
            expect(form.get_by_text(setting.label, exact=True)).to_be_visible()
            expect(form.locator(f"[name={setting.name}]")).to_have_attribute(
                "placeholder", setting.placeholder
            )
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for setting in EXTRAS:
        expect(form.get_by_text(setting.label, exact=True)).to_be_visible()
        expect(form.get_by_text(setting.plain_help)).to_be_visible()
    screenshots.take(
        connections.page,
        "connection-form-extras",
        clip=down_to(form.get_by_text(EXTRAS[1].plain_help), of=form, margin=20),
        style=NO_ROUND_CORNERS,
    )


def test_a_connection_from_the_form_works(
    connections: ConnectionsPage, ui: Ui, airflow: AirflowApi, screenshots: Screenshots
) -> None:
    # The examples below use this one instead of the one that was there.
    airflow.delete_connection("workato_default")
    connections.open()
    form = connections.open_form("workato_default")
    address = urlsplit(ui.wait_for("Sandbox"))
    form.locator("[name=host]").fill(f"http://{address.hostname}")
    form.locator("[name=port]").fill(str(address.port))
    form.locator("[name=password]").fill(ui.wait_for("API token"))
    screenshots.take(form, "connection-form", style=NO_ROUND_CORNERS)
    connections.save(form)
    message = connections.press_test("workato_default")
    expect(message).to_contain_text("Test Connection Successful")
    expect(message).to_contain_text(f"Workato at host {ui.wait_for('Sandbox')} accepts the API token")
    expect(message).to_contain_text(re.compile(r"Visible connections: [1-9]\d*\."))
    screenshots.take(connections.page, "test-success")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_test_button_says_what_is_wrong(
    airflow: AirflowApi, page: Page, sandbox: SandboxProcess, screenshots: Screenshots, mistake: str
) -> None:
    changed, expected = MISTAKES[mistake]
    fields = {"host": sandbox.url, "port": urlsplit(sandbox.url).port, "password": sandbox.token} | changed
    if mistake == "sandbox down":
        sandbox.stop()
    conn_id = f"workato_{mistake.replace(' ', '_')}"
    airflow.add_connection(conn_id, conn_type="workato", **fields)
    connections = ConnectionsPage(page, airflow.url)
    connections.open()
    message = connections.press_test(conn_id)
    expect(message).to_contain_text("Test Connection Failed")
    expect(message).to_contain_text(expected)
    expect(message).not_to_contain_text(fields["password"] or sandbox.token)
    screenshots.take(page, f"test-{mistake}")


def triggered(page: Page, airflow: AirflowApi, dag_id: str, task_id: str) -> TaskPage:
    """Press Trigger, wait until a task is deferred, and return its page."""
    before = set(airflow.run_ids(dag_id))
    page.goto(f"{airflow.url}/dags/{dag_id}")
    page.get_by_test_id("trigger-dag-button").click()
    page.get_by_test_id("trigger-dag-submit").click()
    (run_id,) = wait_until(lambda: set(airflow.run_ids(dag_id)) - before, what="the run", deadline=60)
    wait_until(
        lambda: airflow.task_instance(dag_id, run_id, task_id)["state"] == "deferred",
        what=f"{task_id} to wait",
        deadline=120,
    )
    return TaskPage(page, airflow.url, dag_id=dag_id, run_id=run_id, task_id=task_id)


def test_a_person_authorizes_from_the_waiting_sensor(
    page: Page, airflow: AirflowApi, screenshots: Screenshots
) -> None:
    task = triggered(page, airflow, OAUTH, "wait")
    task.open("details")
    expect(task.link("Authorize")).to_be_visible()
    last = page.get_by_role("row").filter(has_text="Latest triggerer heartbeat")
    expect(last).to_be_visible()
    screenshots.take(page, "waiting-task", clip=down_to(last, of=page.locator("body")))
    with page.expect_popup() as opened:
        task.link("Authorize").click()
    consent = opened.value
    consent.set_viewport_size({"width": 760, "height": 600})
    screenshots.take(consent, "consent", clip=around(consent.get_by_role("main")))
    consent.get_by_role("button", name="Authorize").click()
    expect(consent.get_by_role("heading", level=1)).to_have_text("Authorized")
    consent.close()
    expect(page.get_by_test_id("state-badge").filter(has_text="Success")).to_be_visible()
    screenshots.take(page, "authorized-task")
    task.open_log()
    expect(page.get_by_text("Authorized after")).to_be_visible()
    # The page may fold a line of the triggerer away, if it is older than the worker's last one.
    log = airflow.log(OAUTH, task.run_id, "wait")
    for line in ("Deferring to the triggerer", "Waiting for connection", "Authorized after"):
        assert line in log
    screenshots.take(page, "sensor-log")
    assert airflow.wait_for_run(OAUTH, task.run_id, deadline=60) == "success"


def test_a_person_denies_and_is_asked_again(
    page: Page, airflow: AirflowApi, ui: Ui, screenshots: Screenshots
) -> None:
    task = triggered(page, airflow, EMAIL, "login")
    mails = wait_until(lambda: ui.mails("grace@example.com"), what="a mail", deadline=60)
    page.goto(mails[0])
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Denied")
    wait_until(lambda: len(ui.mails("grace@example.com")) > 1, what="another mail", deadline=60)
    task.open("details")
    expect(task.link("Authorize")).to_have_attribute("href", ui.mails("grace@example.com")[1])
    with page.expect_popup() as opened:
        task.link("Authorize").click()
    opened.value.get_by_role("button", name="Authorize").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("Authorized")
    assert airflow.wait_for_run(EMAIL, task.run_id, deadline=120) == "success"
    page.set_viewport_size({"width": 1280, "height": 1100})
    task.open_log()
    expect(page.get_by_text("Authorized after")).to_be_visible()
    # Only the log: the whole page would be a large picture.
    screenshots.take(page.get_by_test_id("virtualized-list"), "log")


def test_a_person_reads_a_plan_in_the_log(
    page: Page, airflow: AirflowApi, ui: Ui, screenshots: Screenshots
) -> None:
    declared = {"provider": "jira", "folder_id": 1892, "authorization_status": "success"}
    SandboxControl(ui.wait_for("Sandbox")).seed(
        [
            declared | {"name": "Jira (ACME)", "external_id": "declared-acme"},
            declared
            | {"name": "Jira of globex", "external_id": "declared-globex", "authorization_status": "failed"},
            declared | {"name": "Jira of hooli", "external_id": "declared-hooli"},
        ]
    )
    run_id = airflow.trigger(DRIFT)
    airflow.pause(DRIFT, paused=False)
    assert airflow.wait_for_run(DRIFT, run_id, deadline=180) == "failed"
    page.set_viewport_size({"width": 1600, "height": 1000})
    task = TaskPage(page, airflow.url, dag_id=DRIFT, run_id=run_id, task_id="plan")
    task.open_log()
    plan = page.locator("[data-testid^=virtualized-item-]").filter(has_text="Plan for folder 1892")
    expect(plan).to_contain_text(re.compile(r"\+ +create +Jira of initech +jira"))
    screenshots.take(page, "plan-page")
    screenshots.take(plan, "plan")


def test_what_a_task_shows_of_credentials(page: Page, airflow: AirflowApi, screenshots: Screenshots) -> None:
    run_id = airflow.trigger(LIFE_CYCLE)
    assert airflow.wait_for_run(LIFE_CYCLE, run_id, deadline=180) == "success"
    task = TaskPage(page, airflow.url, dag_id=LIFE_CYCLE, run_id=run_id, task_id="create")
    task.open("rendered_templates")
    page.get_by_text("apitoken").scroll_into_view_if_needed()
    expect(page.get_by_text(re.compile(r'"apitoken": "\*\*\*"'))).to_be_visible()
    screenshots.take(page, "rendered-templates")
    task.open_log()
    expect(page.get_by_text("Created connection")).to_be_visible()
    screenshots.take(page, "create-log")
    task.open("details")
    expect(task.link("Open in Workato")).to_be_visible()
    screenshots.take(page, "create-details")
