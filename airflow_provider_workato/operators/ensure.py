"""What the two creates share: their XComs, their record, and that two tasks of a run mean two connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workato.arguments import is_stored_form
from airflow_provider_workato.exceptions import WorkatoExistsError
from airflow_provider_workato.links.connections import push_connection_url
from airflow_provider_workato.operators.asking import CONNECTION_KEY, AskingOperator
from airflow_provider_workato.operators.base import may_be_template
from airflow_provider_workato.provisioning.record import Outcome, Record
from airflow_provider_workato.provisioning.task_state import TaskState
from airflow_provider_workato.version_compat import push_past_backend, state_in_run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workato.client.answers import WorkatoConnection

#: XCom key of what this task instance did in this DAG run: the connection's ``id``, what it ``did`` to it
#: (``created``, ``changed`` or ``reused``), and the task instance.
OUTCOME_KEY = "workato_outcome"
#: In these states, a task's XComs are those of an execution before it was cleared.
_NOT_BEGUN = frozenset({None, "scheduled", "queued"})


class EnsureOperator(AskingOperator):
    """An operator that finds or creates a connection, and pushes its XComs as soon as it is known.

    The task can still fail afterwards, and a clean-up needs the id then too.
    """

    def _record(self, context: Context) -> Record:
        """Return the record of this try."""
        self._pushed.clear()
        return TaskRecord(self, context)

    def push_known(self, context: Context, connection: WorkatoConnection, *, outcome: Outcome) -> None:
        """Push what is known of the connection.

        :param connection: the connection.
        :param outcome: what this task did to it.
        """
        ti, number = context["ti"], int(connection["id"])
        said = {"id": number, "did": outcome, "task_id": ti.task_id, "map_index": ti.map_index}
        push_past_backend(ti, key=OUTCOME_KEY, value=said, for_tasks=True)
        self._push_if_new(context, CONNECTION_KEY, connection)
        push_connection_url(context, self.hook.settings, number)
        if self.do_xcom_push:
            # If the task fails, its return value is lost.
            push_past_backend(ti, key="return_value", value=number, for_tasks=True)


class TaskRecord(Record):
    """The record of a create in Airflow: its tries in the task state store, its results as XComs.

    :param task: the create.
    :param context: its context.
    """

    def __init__(self, task: EnsureOperator, context: Context) -> None:
        self._task = task
        self._context = context
        self._state = TaskState(context)

    def read(self) -> dict[str, Any]:
        """Return the latest record."""
        return self._state.read()

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record.

        :param record: JSON values only, without credentials.
        """
        self._state.write(record)

    def before_use(self, connection: WorkatoConnection, *, changes: bool) -> None:
        """Refuse a connection that another task instance created or changed in this DAG run.

        Two entries of a list with one identity would overwrite or drop each other's credentials. Tasks that
        only use the connection may share it.

        :param connection: the connection.
        :param changes: whether it is about to be changed.
        :raises WorkatoExistsError: if another task instance owns it.
        """
        ti, number = self._context["ti"], int(connection["id"])
        if not changes and getattr(self._task, "input", None) is None:
            return
        for other in outcomes(self._context, number, of=connection):
            task_id, map_index = other["task_id"], other["map_index"]
            if other["did"] == "reused" or (task_id, map_index) == (ti.task_id, ti.map_index):
                continue
            if state_in_run(ti, task_id=task_id, map_index=map_index) in _NOT_BEGUN:
                continue
            raise WorkatoExistsError(
                f"Connection {number} is meant by two tasks of this DAG run: "
                f"{_instance_text(task_id, map_index)} {other['did']} it, and "
                f"{_instance_text(ti.task_id, ti.map_index)} found it by the same identity. This task did "
                "not use it. Give each its own external_id or name, then clear both.",
                connection_ids=[number],
            )

    def known(self, connection: WorkatoConnection, *, outcome: Outcome) -> None:
        """Push what is known of the connection.

        :param connection: the connection.
        :param outcome: what this task did to it.
        """
        self._task.push_known(self._context, connection, outcome=outcome)


def creates_that_may_mean(context: Context, connection: WorkatoConnection) -> list[str]:
    """Return the creates of this DAG that may look for a connection, without this task unless it is mapped.

    :param connection: what is known of the connection. Creates that cannot mean it are left out.
    """
    dag: Any = context.get("dag")
    ti: Any = context["ti"]
    return [
        task.task_id
        for task in (dag.tasks if dag is not None else ())
        if issubclass(getattr(task, "operator_class", type(task)), EnsureOperator)
        and (task.task_id != ti.task_id or ti.map_index >= 0)
        and _may_mean(task, connection)
    ]


def outcomes(context: Context, number: int, *, of: WorkatoConnection) -> list[dict[str, Any]]:
    """Return what the creates of this DAG did to a connection in this run, as far as their XComs tell.

    Of a mapped task, the result includes what this task instance did.

    :param number: the connection's id.
    :param of: what is known of it.
    """
    # On Airflow 3 and later, each costs a request to the API server.
    creates = creates_that_may_mean(context, of)
    # For a list of tasks, every Airflow version returns the XComs of all map indexes. Airflow 3 adds None for
    # a task without any.
    pulled = context["ti"].xcom_pull(task_ids=creates, key=OUTCOME_KEY) if creates else None
    return [each for each in pulled or () if each is not None and each["id"] == number]


def _may_mean(task: Any, connection: WorkatoConnection) -> bool:
    """Tell whether a create may look for *connection*: not if what identifies it is another literal."""
    decides = "name" if getattr(task, "external_id", None) is None else "external_id"
    for key in ("provider", decides):
        wanted, shown = getattr(task, key, None), connection.get(key)
        if not isinstance(wanted, str) or not isinstance(shown, str) or may_be_template(wanted):
            continue
        if not is_stored_form(shown, wanted):
            return False
    return True


def _instance_text(task_id: str, map_index: int | None) -> str:
    return task_id if map_index is None or map_index < 0 else f"{task_id}[{map_index}]"
