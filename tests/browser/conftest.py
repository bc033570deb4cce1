"""One Airflow, as ``make ui`` starts it, and one Chromium for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tests.browser.screenshots import Screenshots
from tests.support.ui import Ui
from tools import debian

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tools.airflow_api import AirflowApi

#: Only the browser's environment can import these tests.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]

DESKTOP = {"width": 1280, "height": 800}
#: Pages of Airflow can take seconds on a busy machine.
PATIENCE = 60_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-docs", action="store_true", help="copy the best screenshots to docs/images")


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Screenshots:
    """The screenshots of this run."""
    return Screenshots(update_docs=request.config.getoption("--update-docs"))


@pytest.fixture(scope="session")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """``make ui``, which leaves nothing behind after Ctrl-C."""
    with Ui(folder=tmp_path_factory.mktemp("ui")) as ui:
        ui.wait_for("Airflow")
        yield ui
        children = ui.children()
        assert len(children) > 5
        ui.interrupt()
        assert ui.ends(children=children) == []
        assert ui.process.returncode == 0, ui.output
        assert "Traceback" not in ui.output
        assert ui.left_files() == []


@pytest.fixture(scope="session")
def airflow(ui: Ui) -> AirflowApi:
    """The API of the Airflow."""
    from tools.airflow_api import AirflowApi

    return AirflowApi(url=ui.wait_for("Airflow"))


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """Another workspace, which no Airflow uses."""
    with running_sandbox() as process:
        yield process


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=debian.chromium())
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile whose pages may ask only this machine."""
    asked: list[str] = []
    with chromium.new_context(viewport=DESKTOP, reduced_motion="reduce", locale="en-GB") as context:
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: asked.append(request.url))
        yield context
    outside = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert outside == []


@pytest.fixture
def page(context: BrowserContext, screenshots: Screenshots, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab. Its last state is kept if the test fails."""
    page = context.new_page()
    failed = request.session.testsfailed
    yield page
    if request.session.testsfailed > failed:
        screenshots.take(page, f"failed-{request.node.name}")
