"""The vendor's Terraform provider against the sandbox: what ``docs/sandbox.md`` says about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.terraform import TERRAFORM, Terraform, running_terraform

pytestmark = [
    pytest.mark.vendor,
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


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    with running_terraform(tmp_path, "--no-quota") as terraform:
        yield terraform
        statuses = {entry["status"] for entry in terraform.sandbox.control.requests()}
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
