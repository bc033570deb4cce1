"""Run the sandbox and Airflow with the example DAGs, to click through in a browser, until Ctrl-C.

Both listen on this machine only, on free ports, and ask for no login. Their data is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_workato.sandbox.client import running_sandbox
from tools.cluster import AirflowCluster
from tools.example_runs import EXAMPLE_POOLS
from tools.mailbox import running_mailbox
from tools.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_workato.sandbox.client import SandboxProcess
    from tools.mailbox import Mailbox

DAGS_FOLDER = Path(__file__).parent.parent / "example_dags"
#: Ctrl-C, the end of a job, and a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """The user wants to stop."""


class StopButton:
    """Notes the request to stop, which the program then meets between two steps.

    An exception out of a signal handler could lose track of a process that is just being started.
    """

    def __init__(self) -> None:
        self.pressed = False
        for number in SIGNALS:
            signal.signal(number, self._press)

    def _press(self, *_: object) -> None:
        self.pressed = True

    def check(self) -> None:
        """Raise if the user wants to stop.

        :raises StopRequested: if so.
        """
        if self.pressed:
            raise StopRequested


class StoppableCluster(AirflowCluster):
    """A cluster whose start can be stopped.

    :param button: what stops it.
    :param arguments: those of a cluster.
    """

    def __init__(self, *, button: StopButton, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._button = button

    def run_cli(self, *arguments: str, deadline: float = 300) -> str:
        """Run ``airflow``, unless the user wants to stop.

        :param arguments: the arguments.
        :param deadline: the seconds that it may take.
        """
        self._button.check()
        try:
            return super().run_cli(*arguments, deadline=deadline)
        except RuntimeError:
            # Ctrl-C in a terminal reaches the command, too.
            self._button.check()
            raise

    def is_up(self) -> bool:
        """Return whether all components are healthy."""
        self._button.check()
        return super().is_up()


def serve(*, home: Path, button: StopButton) -> None:
    """Run everything until the button is pressed.

    :param home: the ``AIRFLOW_HOME``.
    :param button: what ends it.
    :raises StopRequested: when the button was pressed.
    :raises RuntimeError: if a part ends by itself.
    """
    print("Starting the sandbox and Airflow, which takes a minute or more ...", flush=True)
    with (
        running_sandbox() as sandbox,
        running_sandbox() as production,
        running_mailbox() as mailbox,
        StoppableCluster(
            button=button,
            home=home,
            dags_folder=DAGS_FOLDER,
            connections=connections(sandbox, production, mailbox),
            pools=EXAMPLE_POOLS,
        ) as cluster,
    ):
        wanted = {path.stem for path in DAGS_FOLDER.glob("*.py")}

        def listed() -> bool:
            button.check()
            if errors := cluster.api.import_errors():
                raise RuntimeError("\n".join(errors))
            return wanted <= cluster.api.dag_ids()

        wait_until(listed, what="the example DAGs", deadline=120)
        print(
            f"\n  Airflow    {cluster.url}"
            f"\n  Sandbox    {sandbox.url}"
            f"\n  API token  {sandbox.token}"
            f"\n  Production {production.url}"
            "\n\nThe Airflow connections workato_default, jira and smtp_default exist."
            "\nworkato_dev is workato_default, and workato_prod is the sandbox for production."
            "\nMails are printed here."
            "\nAirflow asks for no login: everyone on this machine is its administrator."
            "\nCtrl-C stops everything.",
            flush=True,
        )
        try:
            read = 0
            while not cluster.ended_components():
                button.check()
                for number in range(read, len(mailbox.mails)):
                    print(f"\n{mailbox.text(number)}", flush=True)
                    read = number + 1
                time.sleep(0.2)
            cluster.is_up()
        finally:
            print("\nStopping ...", flush=True)


def connections(
    sandbox: SandboxProcess, production: SandboxProcess, mailbox: Mailbox
) -> dict[str, dict[str, Any]]:
    """Return the Airflow connections that the examples use.

    :param sandbox: the workspace.
    :param production: the one to which an example promotes connections.
    :param mailbox: the mail server.
    """
    # Airflow's Test button fails for a connection without a port.
    workspace, other = (
        json.loads(each.airflow_conn) | {"port": urlsplit(each.url).port} for each in (sandbox, production)
    )
    return {
        "workato_default": workspace,
        "workato_dev": workspace,
        "workato_prod": other,
        "jira": {
            "conn_type": "generic",
            "host": "acme.atlassian.net",
            "login": "ada@example.com",
            "password": secrets.token_urlsafe(24),
        },
        "smtp_default": json.loads(mailbox.airflow_conn),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything until a signal arrives, and return the exit code.

    :param arguments: the command line; ``sys.argv`` by default.
    """
    parser = argparse.ArgumentParser(prog="make ui", description=(__doc__ or "").partition("\n\n")[0])
    parser.parse_args(arguments)
    button = StopButton()
    home = Path(tempfile.mkdtemp(prefix="workato-ui-"))
    try:
        serve(home=home, button=button)
    except StopRequested:
        return 0
    except (RuntimeError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
