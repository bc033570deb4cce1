"""The vendor's command line against the sandbox: what ``docs/sandbox.md`` says about it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_workato.authorization import LOGIN_APPS
from airflow_provider_workato.sandbox.client import wait_until
from tests.support.sandbox import RunningSandbox

pytestmark = pytest.mark.vendor

ROOT = Path(__file__).parents[2]
#: Made by ``make test-vendor``.
PROGRAMS = ROOT / ".venv-vendor" / "bin"
SECTION = (ROOT / "docs" / "sandbox.md").read_text().partition("## The vendor's command line")[2]
DOCUMENTED = [
    shlex.split(line)
    for line in re.findall(r"^\$ workato (.*)$", SECTION.partition("\n## ")[0], re.MULTILINE)
]

#: What the documented commands say if they worked. The exit code is 0 even if one refuses its arguments.
SESSION = {
    "list": "ACME Production Salesforce connection",
    "create": "Connection created successfully",
    "pick-list": "Invoice__c",
    "create-oauth": "OAuth authorization completed successfully",
}
IN_A_PROJECT = {
    "workspace": "Sandbox workspace",
    "pull": "Project is already up to date",
    "projects list --source remote": "Folder ID: 1892",
    "assets": "No assets found",
    "connectors list": "Platform Connectors",
    "recipes list": "No recipes found",
}
NOT_SERVED = (
    "push",
    "properties list --prefix a",
    "data-tables list",
    "api-clients list",
    "api-collections list",
)


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """The vendor's command line in an empty home, with the sandbox as its Workato.

    :param folder: the home, and the folder that it works in.
    """

    folder: Path
    sandbox: RunningSandbox

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        nowhere = "http://127.0.0.1:9"
        return subprocess.Popen(
            [PROGRAMS / "workato", *arguments],
            cwd=self.folder,
            env={
                "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.folder),
                "WORKATO_HOST": self.sandbox.url,
                "WORKATO_API_TOKEN": self.sandbox.token,
                # Tokens go into a file in the home.
                "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
                "WORKATO_DISABLE_UPDATE_CHECK": "true",
                "BROWSER": "true",
                # Only the sandbox can be reached.
                "HTTP_PROXY": nowhere,
                "HTTPS_PROXY": nowhere,
                "NO_PROXY": "127.0.0.1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command, give consent if it asks for it, and return the exit code and the output."""
        with self.start(*arguments) as process:
            try:
                if "create-oauth" in arguments:
                    self._consent()
                output, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        return process.returncode, output

    def _consent(self) -> None:
        control = self.sandbox.control
        (waiting,) = wait_until(
            lambda: [row["id"] for row in control.connections() if row["authorization_status"] is None],
            what="a connection without consent",
        )
        control.authorize(waiting)


@pytest.fixture
def vendor(sandbox: RunningSandbox, tmp_path: Path) -> Vendor:
    return Vendor(folder=tmp_path, sandbox=sandbox)


def test_the_documented_session(vendor: Vendor) -> None:
    assert [words[1] for words in DOCUMENTED] == list(SESSION)
    for words, expected in zip(DOCUMENTED, SESSION.values(), strict=True):
        code, output = vendor.run(*words)
        assert (code, expected in output) == (0, True), output
    made = {row["name"]: row["authorization_status"] for row in vendor.sandbox.control.connections()}
    assert (len(made), set(made.values())) == (3, {"success"})


def test_a_project(vendor: Vendor) -> None:
    sandbox = vendor.sandbox
    where = ["--region", "custom", "--api-url", sandbox.url, "--api-token", sandbox.token]
    code, output = vendor.run(
        "init", "--non-interactive", "--profile", "sandbox", "--project-name", "Provisioning", *where
    )
    assert (code, "Project setup complete" in output) == (0, True), output
    for command, expected in IN_A_PROJECT.items():
        assert f"`{command.partition(' --')[0]}`" in SECTION
        code, output = vendor.run(*command.split())
        assert (code, expected in output) == (0, True), output
    assert {entry["status"] for entry in sandbox.control.requests()} == {200}
    for command in NOT_SERVED:
        assert f"`{command.split()[0]}`" in SECTION
        code, output = vendor.run(*command.split())
        assert (code, "Resource not found" in output) == (1, True), output


@pytest.mark.parametrize(
    "command", ["connections update --connection-id 36 --name New", "connections get-oauth-url --id 36"]
)
def test_what_fails_before_a_request(vendor: Vendor, command: str) -> None:
    code, output = vendor.run(*shlex.split(command))
    assert code == 1, output
    assert vendor.sandbox.control.requests() == []


def test_apps_that_people_log_in_to_take_no_password() -> None:
    (path,) = (ROOT / ".venv-vendor").glob("lib/*/site-packages/*/cli/resources/data/connection-data.json")
    known = json.loads(path.read_text())
    settings = {
        "sandbox",
        "demo",
        "payroll",
        "advanced",
        "advanced_settings",
        "nlu_provider_shared_account_id",
        "read_email_permission",
    }
    for provider in LOGIN_APPS:
        assert known[provider]["oauth"], provider
        # Neither a choice of how to authorize, nor a credential.
        assert {field["name"] for field in known[provider]["input"]} <= settings, provider
