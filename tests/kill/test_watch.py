"""A DAG that runs when a connection is lost runs once for each loss, even if nothing watches meanwhile."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workato.sandbox.client import running_sandbox, wait_until
from tests.support.airflow import on_airflow_33

pytestmark = [pytest.mark.kill, on_airflow_33]

DAG_ID = "example_workato_lost"
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example_dags" / f"{DAG_ID}.py"
LOG_IN_AGAIN = ROOT / "docs" / "snippets" / "watch" / "log_in_again.py"


def test_once_per_loss(tmp_path: Path) -> None:
    from tools.cluster import AirflowCluster

    def lists() -> int:
        return len(control.requests(operation="list_connections"))

    def polled(*, times: int) -> None:
        goal = lists() + times
        wait_until(lambda: lists() >= goal, deadline=120, what="the watch's polls")

    def lose_while_nothing_watches() -> None:
        def is_quiet() -> bool:
            before = lists()
            # Several intervals of the watch.
            time.sleep(5)
            return lists() == before

        wait_until(is_quiet, deadline=120, what="the end of the watch")
        control.authorize(user)
        control.lose(user)

    def runs_once_more(count: int) -> None:
        wait_until(lambda: runs() == ["success"] * count, deadline=180, what=f"run {count}")
        polled(times=4)
        assert runs() == ["success"] * count

    dags = tmp_path / "dags"
    dags.mkdir()
    _write_dag(dags, EXAMPLE, interval=1)
    with running_sandbox("--no-quota") as sandbox:
        control = sandbox.control
        (user,) = control.seed([_user("ada")])
        control.authorize(user)
        env = {
            "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            # A takeover takes this long, 30 s by default. A busy triggerer must not seem dead.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
            # An edited or paused watch stops at once, and starts when the file is parsed again.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
        }
        with AirflowCluster(home=tmp_path / "home", dags_folder=dags, env=env) as cluster:
            cluster.api.wait_for_dags(DAG_ID)
            runs = partial(cluster.api.run_states, DAG_ID)
            polled(times=2)
            assert runs() == []

            control.lose(user)
            runs_once_more(1)
            cluster.kill_triggerer(0)
            cluster.start_triggerer(0)
            polled(times=4)
            assert runs() == ["success"]

            # Lose it again while no triggerer runs.
            cluster.kill_triggerer(0)
            control.authorize(user)
            control.lose(user)
            cluster.start_triggerer(0)
            runs_once_more(2)

            # Airflow stops a watch whose arguments are edited before it starts the new one.
            _write_dag(dags, EXAMPLE, interval=1.5)
            lose_while_nothing_watches()
            runs_once_more(3)

            # A watch stops while all DAGs of its asset are paused.
            cluster.api.pause(DAG_ID, paused=True)
            lose_while_nothing_watches()
            cluster.api.pause(DAG_ID, paused=False)
            runs_once_more(4)
            print(f"\n4 losses, 2 triggerers killed, 1 edit, 1 pause, {len(runs())} runs")
        assert control.counts()["by_operation"]["get_oauth_url"] == 4


def test_many_losses_at_one_moment(tmp_path: Path) -> None:
    from tools.cluster import AirflowCluster
    from tools.mailbox import running_mailbox

    dags = tmp_path / "dags"
    dags.mkdir()
    _write_dag(dags, LOG_IN_AGAIN, interval=1)
    with running_sandbox("--no-quota") as sandbox, running_mailbox() as mailbox:
        control = sandbox.control
        users = control.seed([_user(f"{name}@example.com") for name in ("ada", "grace", "edsger")])
        control.authorize_all(users)
        env = {
            "AIRFLOW_CONN_WORKATO_DEFAULT": sandbox.airflow_conn,
            "AIRFLOW_CONN_SMTP_DEFAULT": mailbox.airflow_conn,
        }
        with AirflowCluster(home=tmp_path / "home", dags_folder=dags, env=env) as cluster:
            cluster.api.wait_for_dags("lost_logins", "log_in_again")
            wait_until(cluster.begun_watches, deadline=120, what="the watch")
            for user in users:
                control.lose(user)
            # One run may get only one of the three events.
            wait_until(lambda: len(mailbox.mails) == len(users), deadline=120, what="a mail to each user")
            for number in range(len(users)):
                control.click_authorize(mailbox.link(number))
            logins = partial(cluster.api.run_states, "log_in_again")
            wait_until(lambda: logins() == ["success"] * len(users), deadline=120, what="the logins")

            # Nobody is asked twice for one loss, although the run lists whatever is lost.
            control.lose(users[0])
            wait_until(lambda: len(mailbox.mails) == len(users) + 1, deadline=120, what="one more mail")
            wait_until(
                lambda: "running" not in cluster.api.run_states("lost_logins"),
                deadline=60,
                what="the last run",
            )
            assert sorted(mail["To"] for mail in mailbox.mails[:3]) == sorted(
                ["ada@example.com", "grace@example.com", "edsger@example.com"]
            )
            assert len(mailbox.mails) == len(users) + 1
            print(f"\n4 losses, {len(cluster.api.run_ids('lost_logins'))} runs, {len(mailbox.mails)} mails")


def _user(external_id: str) -> dict[str, Any]:
    return {
        "name": f"Salesforce of {external_id}",
        "provider": "salesforce",
        "parent_id": 36,
        "folder_id": 4515,
        "external_id": external_id,
        "is_runtime_user": True,
    }


def _write_dag(dags: Path, path: Path, *, interval: float) -> None:
    # The default of one poll a minute is too slow for a test.
    source = path.read_text().replace("(provider=", f"(poke_interval={interval}, provider=")
    assert f"poke_interval={interval}" in source
    (dags / path.name).write_text(source)
