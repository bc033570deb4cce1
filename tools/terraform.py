"""The vendor's Terraform provider with a sandbox as its Workato. It insists on https."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox
from tools.tls import self_signed

ROOT = Path(__file__).parents[1]

#: No package registry has the program.
TERRAFORM = shutil.which("terraform")

#: Installs the provider that comes with the vendor's package.
INSTALLER = ROOT / ".venv-vendor" / "bin" / "workato-terraform-provider-install"


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
        if done.returncode != code:
            raise RuntimeError(done.stdout)
        return done.stdout

    def apply(self, **variables: Any) -> None:
        """Apply the configuration, and check that Terraform then finds nothing left to do."""
        values = [f"-var={name}={value}" for name, value in variables.items()]
        self.run("apply", "-auto-approve", *values)
        # It would exit with 2 if there were any.
        self.run("plan", "-detailed-exitcode", *values)

    def named(self) -> dict[str, dict[str, Any]]:
        """Return the sandbox's folders and connections by name."""
        state = self.sandbox.control.state()
        return {row["name"]: row for row in [*state["folders"], *state["connections"]]}


@contextmanager
def running_terraform(folder: Path, *options: str) -> Iterator[Terraform]:
    """Start a sandbox for Terraform.

    :param folder: an empty folder.
    :param options: the sandbox's.
    """
    certificate = self_signed(folder / "sandbox.pem")
    installed = folder / "workato"
    subprocess.run(
        [INSTALLER],
        env={"WORKATO_CLI_HOME": str(installed)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    mirror = installed / "terraform.d" / "plugins"
    settings = folder / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    configuration = folder / "configuration"
    configuration.mkdir()
    nowhere = "http://127.0.0.1:9"
    with running_sandbox("--token=sandbox", *options, f"--certificate={certificate}") as sandbox:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_CLI_ARGS": "-no-color",
            "TF_VAR_base_url": sandbox.url,
            "SSL_CERT_FILE": str(certificate),
            # Only the sandbox can be reached.
            "CHECKPOINT_DISABLE": "true",
            "HTTPS_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1",
        }
        yield Terraform(folder=configuration, sandbox=sandbox, environment=environment)
