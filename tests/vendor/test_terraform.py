"""The vendor's Terraform provider against the sandbox: what ``docs/sandbox.md`` says about it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tests.support.tls import self_signed
from tests.vendor.test_command_line import PROGRAMS, ROOT

TERRAFORM = shutil.which("terraform")

pytestmark = [
    pytest.mark.vendor,
    # No package registry has it.
    pytest.mark.skipif(TERRAFORM is None, reason="the program terraform is not on this machine"),
]

#: Every field that an update can change and unset, in two states.
EVERYTHING = """
variable "later" { type = bool }

resource "workato_project" "project" {
  name        = var.later ? "Renamed project" : "Project"
  description = var.later ? "Later" : null
}

resource "workato_folder" "folder" {
  name      = var.later ? "Renamed folder" : "Folder"
  folder_id = workato_project.project.folder_id
  force     = true # the folders of folder_path are in it
}

resource "workato_folder" "moved" {
  name      = "Moved"
  folder_id = var.later ? workato_project.project.folder_id : workato_folder.folder.id
}

resource "workato_connection" "parent" {
  name           = "Parent"
  connector_name = "postgresql"
  folder_id      = workato_folder.folder.id
}

resource "workato_connection" "child" {
  name                    = var.later ? "Renamed child" : "Child"
  connector_name          = "postgresql"
  folder_id               = workato_folder.folder.id
  folder_path             = "Below/Deep"
  parent_id               = var.later ? null : workato_connection.parent.id
  custom_oauth_profile_id = var.later ? null : 17
  input                   = jsonencode({ host = var.later ? "other" : "db" })
}

resource "workato_connection" "adopted" {
  name           = "Adopted"
  connector_name = "jira"
  folder_id      = 1892
}
"""


@dataclass(frozen=True, kw_only=True)
class Terraform:
    """Terraform in a folder of its own, with the vendor's provider and the sandbox as its Workato.

    :param folder: the folder with the configuration.
    :param environment: what tells it where both are.
    """

    folder: Path
    sandbox: SandboxProcess
    environment: dict[str, str]

    def configure(self, *configuration: str) -> None:
        """Write the configuration of ``docs/sandbox.md`` with *configuration* after its provider."""
        documented = (ROOT / "docs" / "snippets" / "terraform" / "main.tf").read_text()
        if configuration:
            documented = documented.partition('resource "')[0]
        (self.folder / "main.tf").write_text("\n".join([documented, *configuration]))
        self.run("init")

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command and return its output.

        :param code: the exit code expected.
        """
        done = subprocess.run(
            [str(TERRAFORM), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def apply(self, **variables: Any) -> None:
        """Apply the configuration, and check that Terraform then finds nothing left to do."""
        values = [f"-var={name}={value}" for name, value in variables.items()]
        self.run("apply", "-auto-approve", *values)
        assert "No changes" in self.run("plan", "-detailed-exitcode", *values)

    def named(self) -> dict[str, dict[str, Any]]:
        """Return the sandbox's folders and connections by name."""
        state = self.sandbox.control.state()
        return {row["name"]: row for row in [*state["folders"], *state["connections"]]}


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    certificate = self_signed(tmp_path / "sandbox.pem")
    installed = tmp_path / "workato"
    subprocess.run(
        [PROGRAMS / "workato-terraform-provider-install"],
        env={"WORKATO_CLI_HOME": str(installed)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    mirror = installed / "terraform.d" / "plugins"
    settings = tmp_path / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    folder = tmp_path / "configuration"
    folder.mkdir()
    nowhere = "http://127.0.0.1:9"
    with running_sandbox("--token=sandbox", "--no-quota", f"--certificate={certificate}") as sandbox:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_CLI_ARGS": "-no-color",
            "TF_VAR_base_url": sandbox.url,
            "SSL_CERT_FILE": str(certificate),
            # Only the sandbox can be reached.
            "CHECKPOINT_DISABLE": "true",
            "HTTPS_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
        }
        yield Terraform(folder=folder, sandbox=sandbox, environment=environment)
        statuses = {entry["status"] for entry in sandbox.control.requests()}
    assert statuses == {200}


def test_the_documented_configuration(terraform: Terraform) -> None:
    at_start = terraform.named().keys()
    terraform.configure()
    terraform.apply()
    named = terraform.named()
    assert named["Acme"]["parent_id"] == named["Tenants"]["id"]
    assert named["Warehouse"]["folder_id"] == named["Acme"]["id"]
    assert named["Warehouse"]["authorization_status"] == "success"
    terraform.run("destroy", "-auto-approve")
    assert terraform.named().keys() == at_start


def test_everything_that_an_update_can_change(terraform: Terraform) -> None:
    (found,) = terraform.sandbox.control.seed([{"name": "Adopted", "provider": "jira", "folder_id": 4515}])
    at_start = terraform.named().keys()
    terraform.configure(EVERYTHING)
    terraform.apply(later="false")
    before = terraform.named()
    assert before["Child"]["parent_id"] == before["Parent"]["id"]
    assert before["Child"]["custom_oauth_profile_id"] == 17
    assert before["Child"]["folder_id"] == before["Deep"]["id"]
    assert (before["Adopted"]["id"], before["Adopted"]["folder_id"]) == (found, 1892)
    terraform.apply(later="true")
    after = terraform.named()
    changed = {name: after[f"Renamed {name.lower()}"] for name in ("Project", "Folder", "Child")}
    assert {name: row["id"] for name, row in changed.items()} == {
        name: before[name]["id"] for name in changed
    }
    assert changed["Project"]["description"] == "Later"
    assert after["Moved"]["parent_id"] == changed["Project"]["id"]
    assert (changed["Child"]["parent_id"], changed["Child"]["custom_oauth_profile_id"]) == (None, None)
    terraform.run("destroy", "-auto-approve", "-var=later=true")
    assert terraform.named().keys() == at_start - {"Adopted"}
