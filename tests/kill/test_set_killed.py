"""An apply that is killed at random moments, and during a create, goes on where it was."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pytest

from airflow_provider_workato.sandbox.client import SandboxControl
from tests.kill.conftest import Stage
from tests.support.airflow import on_airflow_33
from tools.waiting import wait_until

pytestmark = [pytest.mark.kill, on_airflow_33]

DAG_ID, TASK_ID, COUNT = "killed_set", "apply", 60
AT_RANDOM, LATE = "killed_at_random", "killed_while_late"
#: After how many creates each try is killed at random.
KILLS = [random.randrange(1, 10) for _ in range(4)]  # noqa: S311 - moments, not secrets
# Generous, for a busy machine.
wait = partial(wait_until, deadline=400, interval=0.02)


@dataclass(frozen=True, kw_only=True)
class Killed:
    """An apply that is killed and retried.

    :param run_id: the id of its run and of the Airflow connection.
    """

    stage: Stage
    run_id: str

    @property
    def workspace(self) -> SandboxControl:
        return self.stage.workspaces[self.run_id]

    def calls(self, operation: str) -> int:
        return len(self.workspace.requests(operation=operation))

    def creates(self, more: int) -> None:
        count = self.calls("create_connection") + more
        wait(lambda: self.calls("create_connection") >= count, what=f"{count} creates")

    def kill(self) -> int:
        """Kill the task, and return how many lists the server has received until then."""
        task = self.stage.api.task_instance(DAG_ID, self.run_id, TASK_ID)
        assert task["state"] == "running"
        os.kill(task["pid"], signal.SIGKILL)
        # Whatever it has sent arrives meanwhile.
        wait(lambda: self._try() > task["try_number"], what="the next try")
        return self.calls("list_connections")

    def _try(self) -> int:
        return int(self.stage.api.task_instance(DAG_ID, self.run_id, TASK_ID)["try_number"])

    def check(self, lists: list[int], *, what: str, look_ups: int = 0) -> None:
        """Check what is there in the end, and what it has cost.

        :param lists: how many lists there had been after each kill.
        :param look_ups: how many more than one the last try may need.
        """
        assert self.stage.api.wait_for_run(DAG_ID, self.run_id, deadline=400) == "success"
        per_try = [after - before for before, after in pairwise([0, *lists, self.calls("list_connections")])]
        names = [row["name"] for row in self.workspace.connections() if row["folder_id"] == 1892]
        print(
            f"\n  apply killed {what}: {len(names)} connections, {self.calls('create_connection')} creates, "
            f"{self.calls('update_connection')} updates, lists of each try: {per_try}"
        )
        assert sorted(names) == sorted(f"Tenant {number}" for number in range(COUNT))
        assert self.calls("create_connection") == COUNT
        assert per_try == [1] * len(lists) + [1 + look_ups]
        # The credentials were sent with each create, although no try lived to see that.
        assert self.calls("update_connection") == 0


def test_each_is_created_once_and_no_credential_is_sent_again(stage: Stage) -> None:
    killed = Killed(stage=stage, run_id=AT_RANDOM)
    stage.api.trigger(DAG_ID, run_id=AT_RANDOM)
    lists: list[int] = []
    for count in KILLS:
        killed.creates(count)
        lists.append(killed.kill())
    # Its connection is stored, its answer not read.
    killed.workspace.add_fault("hold", operation="create_connection", performed=True)
    killed.workspace.wait_held(deadline=400)
    lists.append(killed.kill())
    killed.workspace.release()
    killed.check(lists, what=f"after {KILLS} creates, and during one")

    stage.api.clear(DAG_ID, AT_RANDOM)
    killed.check([*lists, killed.calls("list_connections")], what="and cleared")
    results = stage.api.xcom(DAG_ID, AT_RANDOM, TASK_ID)
    assert [result["did"] for result in results] == ["unchanged"] * COUNT


def test_a_create_that_is_late_is_awaited(stage: Stage) -> None:
    killed = Killed(stage=stage, run_id=LATE)
    killed.workspace.add_fault("slow_server", operation="create_connection", performed=False)
    stage.api.trigger(DAG_ID, run_id=LATE)
    killed.workspace.wait_held(deadline=400)
    lists = [killed.kill()]
    wait(lambda: killed.calls("list_connections") == lists[0] + 2, what="a look-up of the create")
    killed.workspace.release()
    killed.check(lists, what="during a create that is late", look_ups=2)
