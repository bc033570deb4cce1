"""The consumer table as data: the tasks that produce a result, and the ways in which other tasks read it.

The DAG files and the test both import it. Nothing here needs a running Airflow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Literal

#: Not imported from ``tests.support``, so that tasks do not import pytest.
AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))

#: A short table has only waits, creates and watches, and each result is read in one way.
IS_SHORT = os.environ.get("CONSUMER_TABLE") == "short"

#: The Airflow connections of the table and of the watches, which report every change in their workspace.
CONN_ID, WATCHED_CONN_ID = "table", "watched"

Variant = Literal["", "_native", "_stored"]
#: The endings of DAGs that run a part of the table again: with templates rendered as native objects, and on a
#: second Airflow, which keeps all XComs in an object store.
NATIVE: Variant = "_native"
STORED: Variant = "_stored"

Shape = Literal["one", "list", "mapped"]
Take = Literal["argument", "jinja", "expand", "map", "expand dict", "no push", "multiple outputs"]
TAKES: tuple[Take, ...] = ("argument", "jinja", "expand", "map", "expand dict", "no push", "multiple outputs")
#: The sensors' default interval and timeout.
PATIENCE: dict[str, Any] = {"poke_interval": 1, "timeout": 600}
#: The number of instances of a mapped task, and of connections in a list.
COUNT = 2


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A way to wait.

    :param name: its name in the table.
    :param slug: its name in ids.
    :param options: the sensor's arguments.
    :param waits_in: the state in which the task waits.
    :param since: the first Airflow version that has this mode.
    :param starts: how often a worker runs the task; ``None`` for any number.
    """

    name: str
    slug: str
    options: dict[str, Any]
    waits_in: str = "deferred"
    since: tuple[int, int] = (2, 11)
    starts: int | None = None

    @property
    def starts_in_trigger(self) -> bool:
        return "start_from_trigger" in self.options

    @property
    def ends_in_trigger(self) -> bool:
        return "end_from_trigger" in self.options

    @property
    def exists(self) -> bool:
        return self.since <= AIRFLOW


MODES = tuple(
    mode
    for mode in (
        Mode(name="poke", slug="poke", options={"mode": "poke"}, waits_in="running"),
        Mode(
            name="reschedule",
            slug="reschedule",
            # Airflow can fail a task that is rescheduled for less time than it takes to learn that it left.
            options={"mode": "reschedule", "poke_interval": 10, "retries": 3, "retry_delay": timedelta(0)},
            waits_in="up_for_reschedule",
        ),
        Mode(
            name="deferred, ended by a worker",
            slug="worker",
            options={"deferrable": True},
            starts=2,
        ),
        Mode(
            name="deferred, ended in the triggerer",
            slug="triggerer",
            options={"deferrable": True, "end_from_trigger": True},
            since=(3, 3),
            starts=1,
        ),
        Mode(
            name="started in the triggerer, ended by a worker",
            slug="started",
            options={"deferrable": True, "start_from_trigger": True},
            since=(3, 3),
            starts=1,
        ),
        Mode(
            name="started and ended in the triggerer",
            slug="started_ended",
            options={"deferrable": True, "start_from_trigger": True, "end_from_trigger": True},
            since=(3, 3),
            starts=0,
        ),
    )
    if mode.exists
)
#: Expanding over a connection makes a task for each of its keys: only for one mode.
EXPAND_DICT_MODES = frozenset({"worker"})


#: The modes of a create that waits. One that waits on a worker would need too many slots.
WAITING_CREATES = frozenset({"worker"})


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The kind of result that a task returns.

    :param path: the Jinja expression that reads a scalar from it.
    :param key: the key that is read from ``multiple_outputs``.
    :param is_list: whether a task can be mapped over it directly.
    """

    path: str = ""
    key: str | None = None
    is_list: bool = False


SCALAR = Kind()
CONNECTION = Kind(path="['id']", key="id")
OUTCOME = Kind(path="['status']", key="status")
CONNECTIONS = Kind(path="[0]['id']", is_list=True)
PICKLIST = Kind(path="[0]['value']", is_list=True)
PLAN = Kind(path="['counts']['create']", key="counts")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An operator, or the sensor or a create that waits, in one of the modes.

    :param name: its name in the table.
    :param slug: its name in ids.
    :param cls: the class.
    :param kind: the kind of result that it returns for one connection.
    :param common: the arguments that all instances share.
    :param each: makes the arguments of one instance from its label and the id of its connection.
    :param seed: the fields of that connection; ``None`` if the task needs no connection.
    :param mode: how it waits, if it does.
    :param variant: the ending of its DAG's id, if that runs differently.
    """

    name: str
    slug: str
    cls: str
    kind: Kind
    each: Callable[[str, int], dict[str, Any]]
    common: Mapping[str, Any] = field(default_factory=dict)
    seed: Mapping[str, Any] | None = field(default_factory=dict)
    mode: Mode | None = None
    variant: Variant = ""

    @property
    def dag_id(self) -> str:
        return f"table_{self.slug}{self.variant}"

    @property
    def is_sensor(self) -> bool:
        return self.cls == "WorkatoConnectionSensor"

    @property
    def creates(self) -> bool:
        return self.cls.startswith("WorkatoCreate")

    @property
    def is_set(self) -> bool:
        return self.cls in ("WorkatoPlanConnectionsOperator", "WorkatoApplyConnectionsOperator")


def _on_it(label: str, number: int) -> dict[str, Any]:
    return {"connection_id": number}


def _set_of(label: str, **more: Any) -> dict[str, Any]:
    """Return a set of one connection."""
    entry = {"name": label, "provider": "salesforce", "external_id": label, **more}
    return {"connections": [entry], "external_id_prefix": label}


def _set_with_credentials(label: str, _: int) -> dict[str, Any]:
    source = {"conn_id": "jira", "keys": {"apitoken": "password"}}
    return _set_of(label, provider="jira", input_from=source)


_AUTHORIZED = {"authorization_status": "success"}
_END_USER = {"provider": "salesforce", "parent_id": 36, "is_runtime_user": True}
#: A folder that contains only the connections to be listed.
LISTED_FOLDER = 28940
LISTED = [{"id": 9001 + number, "folder_id": LISTED_FOLDER} for number in range(COUNT)]

_SUBJECTS: tuple[Subject, ...] = (
    *(
        Subject(
            name=f"sensor, {mode.name}",
            slug=f"sensor_{mode.slug}",
            cls="WorkatoConnectionSensor",
            kind=CONNECTION,
            common=PATIENCE | mode.options,
            each=_on_it,
            mode=mode,
        )
        for mode in MODES
    ),
    Subject(
        name="create",
        slug="create",
        cls="WorkatoCreateConnectionOperator",
        kind=SCALAR,
        common={"provider": "jira", "input": {"apitoken": "{{ conn.jira.password }}"}},
        each=lambda label, _: {"name": label},
        seed=None,
    ),
    Subject(
        name="update",
        slug="update",
        cls="WorkatoUpdateConnectionOperator",
        kind=CONNECTION,
        each=lambda label, number: {"connection_id": number, "name": label},
    ),
    Subject(
        name="disconnect",
        slug="disconnect",
        cls="WorkatoDisconnectConnectionOperator",
        kind=OUTCOME,
        each=_on_it,
        seed=_AUTHORIZED,
    ),
    Subject(name="delete", slug="delete", cls="WorkatoDeleteConnectionOperator", kind=OUTCOME, each=_on_it),
    Subject(
        name="picklist",
        slug="picklist",
        cls="WorkatoGetPicklistOperator",
        kind=PICKLIST,
        common={"pick_list_name": "get_project_issuetypes", "pick_list_params": {"project": "OPS"}},
        each=_on_it,
        seed=_AUTHORIZED,
    ),
    Subject(
        name="list",
        slug="list",
        cls="WorkatoListConnectionsOperator",
        kind=CONNECTIONS,
        each=lambda *_: {"folder_id": LISTED_FOLDER},
        seed=None,
    ),
    Subject(
        name="create for a runtime user",
        slug="runtime_user",
        cls="WorkatoCreateRuntimeUserConnectionOperator",
        kind=SCALAR,
        common={"parent_id": 36, "folder_id": 4515},
        each=lambda label, _: {"external_id": label, "name": label},
        seed=None,
    ),
    *(
        Subject(
            name=f"create that waits, {mode.name}",
            slug=f"waiting_create_{mode.slug}",
            cls="WorkatoCreateConnectionOperator",
            kind=SCALAR,
            common={"provider": "salesforce", "wait_for_authorization": True} | PATIENCE | mode.options,
            each=lambda label, _: {"name": label},
            seed=None,
            mode=mode,
        )
        for mode in MODES
        if mode.slug in WAITING_CREATES
    ),
    Subject(
        name="plan of a set",
        slug="plan",
        cls="WorkatoPlanConnectionsOperator",
        kind=PLAN,
        each=_set_with_credentials,
        seed=None,
    ),
    Subject(
        name="apply of a set",
        slug="apply",
        cls="WorkatoApplyConnectionsOperator",
        kind=CONNECTIONS,
        each=_set_with_credentials,
        seed=None,
    ),
    *(
        Subject(
            name=f"apply that waits, {mode.name}",
            slug=f"waiting_apply_{mode.slug}",
            cls="WorkatoApplyConnectionsOperator",
            kind=CONNECTIONS,
            common={"wait_for_authorization": True} | PATIENCE | mode.options,
            each=lambda label, _: _set_of(label),
            seed=None,
            mode=mode,
        )
        for mode in MODES
        if mode.slug in WAITING_CREATES
    ),
    Subject(
        name="login URL",
        slug="oauth_url",
        cls="WorkatoGetOAuthUrlOperator",
        kind=SCALAR,
        each=_on_it,
        seed=_END_USER,
    ),
)
#: Each kind of value, and each process that can return it. A create's name is a number once it is an object.
_VARIED = {"sensor_worker", "sensor_triggerer", "create", "waiting_create_worker", "list", "apply"}
_NATIVE_SUBJECTS = tuple(
    replace(
        subject,
        name=f"{subject.name}, native rendering",
        variant=NATIVE,
        each=(lambda _, number: {"name": str(number)}) if subject.creates else subject.each,
    )
    for subject in _SUBJECTS
    if subject.slug in _VARIED
)
#: All that waits or writes. With a backend, only a worker pushes a result.
_STORABLE = _VARIED - {"sensor_triggerer"} | {
    "sensor_started",
    "update",
    "disconnect",
    "delete",
    "picklist",
    "plan",
    "waiting_apply_worker",
}
_STORED_SUBJECTS = tuple(
    replace(
        subject,
        name=f"{subject.name}, object store",
        variant=STORED,
    )
    for subject in _SUBJECTS
    if subject.slug in _STORABLE
)
SUBJECTS: tuple[Subject, ...] = (
    tuple(subject for subject in _SUBJECTS if subject.mode or subject.slug == "create")
    if IS_SHORT
    else _SUBJECTS + _NATIVE_SUBJECTS + _STORED_SUBJECTS
)


@dataclass(frozen=True, kw_only=True)
class Producer:
    """A task that produces a result.

    :param subject: its operator or sensor.
    :param shape: whether it has one connection or a list, or is mapped.
    :param options: the arguments that decide how its result is pushed.
    :param number: the id of the first of its connections.
    """

    subject: Subject
    shape: Shape
    options: Mapping[str, Any]
    number: int

    @property
    def task_id(self) -> str:
        return "_".join([self.subject.slug, self.shape, *self.options])

    @property
    def kind(self) -> Kind:
        return CONNECTIONS if self.shape == "list" else self.subject.kind

    @property
    def numbers(self) -> list[int]:
        return [self.number + index for index in range(1 if self.shape == "one" else COUNT)]

    @property
    def each(self) -> list[dict[str, Any]]:
        """The arguments of each instance."""
        if self.shape == "list":
            return [{"connection_id": self.numbers}]
        return [self.subject.each(f"{self.task_id} {number}", number) for number in self.numbers]

    @property
    def names(self) -> list[str]:
        """The names of the connections that it creates."""
        return [arguments.get("connections", [arguments])[0]["name"] for arguments in self.each]

    @property
    def instances(self) -> int:
        return len(self.each)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One result, read in one way.

    :param producer: the task that produces it.
    :param take: how the downstream task reads it.
    """

    producer: Producer
    take: Take

    @property
    def task_id(self) -> str:
        return f"{self.producer.task_id}_by_{self.take.replace(' ', '_')}"

    @property
    def row(self) -> str:
        return f"{self.producer.subject.name}, {self.producer.shape}"

    def __str__(self) -> str:
        return f"{self.row}: {self.take}"

    @property
    def is_mapped(self) -> bool:
        return self.take in ("expand", "map", "expand dict")


def _cells() -> Iterator[Cell]:
    number = 10_000
    for subject in SUBJECTS:
        shapes: tuple[Shape, ...] = ("one", "mapped")
        if subject.is_sensor and not subject.variant:
            shapes = ("one", "list", "mapped")
        for shape in shapes[:1] if IS_SHORT else shapes:
            for options, takes in _takes(subject, shape):
                producer = Producer(subject=subject, shape=shape, options=options, number=number)
                number += COUNT
                for take in takes:
                    yield Cell(producer=producer, take=take)


def _takes(subject: Subject, shape: Shape) -> Iterator[tuple[Mapping[str, Any], list[Take]]]:
    if IS_SHORT:
        yield {}, ["argument"]
        return
    default: list[Take] = ["argument", "jinja"]
    if subject.variant:
        yield {}, ["argument", "jinja", "expand"] if shape == "mapped" else default
        return
    # Only a worker can hand on a list to map over, and several outputs.
    by_worker = not (subject.mode and subject.mode.ends_in_trigger)
    # A task can be mapped over a mapped task's results, whatever their type.
    if shape == "mapped" or (by_worker and (shape == "list" or subject.kind.is_list)):
        default += ["expand", "map"]
    elif subject.is_sensor and subject.mode and subject.mode.slug in EXPAND_DICT_MODES:
        default += ["expand dict"]
    yield {}, default
    if shape != "list":
        yield {"do_xcom_push": False}, ["no push"]
        # Airflow 3.0 cannot push None as one of several outputs, and a connection has some.
        if by_worker and subject.kind.key and not (AIRFLOW == (3, 0) and subject.kind is CONNECTION):
            yield {"multiple_outputs": True}, ["multiple outputs"]


CELLS = tuple(_cells())


def producers(dag_id: str) -> list[Producer]:
    """Return the producers of one DAG of the table."""
    found = {cell.producer.task_id: cell.producer for cell in CELLS if cell.producer.subject.dag_id == dag_id}
    return list(found.values())


def seeds() -> list[dict[str, Any]]:
    """Return the initial connections of the table's workspace."""
    rows = [
        {"id": number, **producer.subject.seed}
        for subject in SUBJECTS
        for producer in producers(subject.dag_id)
        for number in producer.numbers
        if producer.subject.seed is not None
    ]
    return rows + LISTED + [{"id": number} for number in RUNS]


#: A create that waits, and a delete of what it has made. The id is also the connection's external id.
OWNED_DAG_ID = f"table_owned{STORED}"

#: The id of a run is the id of the connection that it waits for.
RUNS = () if IS_SHORT else tuple(range(7001, 7005))
RUNS_DAG_ID = "several_runs"
RUNS_MODES = tuple(mode for mode in MODES if mode.slug in ("worker", "triggerer", "started"))


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A watch, with the changes that it must report.

    :param name: its name in the table and in ids.
    :param arguments: the trigger's arguments.
    :param tells: the changes that it must report, each once.
    :param other_interval: the interval of a second watcher of the same asset.
    """

    name: str
    arguments: Mapping[str, Any]
    tells: frozenset[tuple[str, int]]
    other_interval: float | None = None

    @property
    def dag_id(self) -> str:
        return f"watch_{self.name}"

    @property
    def asset(self) -> str:
        return f"asset_{self.name}"

    @property
    def watchers(self) -> list[Mapping[str, Any]]:
        """The arguments of each trigger."""
        others = [] if self.other_interval is None else [{"poke_interval": self.other_interval}]
        return [self.arguments, *({**self.arguments, **other} for other in others)]

    @property
    def events(self) -> list[list[Any]]:
        """The changes that its asset must be told. Before Airflow 3.3, each watcher tells them."""
        times = 1 if AIRFLOW >= (3, 3) else len(self.watchers)
        return sorted([*change] for change in self.tells for _ in range(times))


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A wait that runs at the same time as the watches.

    :param number: the id of the connection that it waits for.
    :param arguments: the sensor's arguments.
    """

    number: int
    arguments: dict[str, Any]

    @property
    def task_id(self) -> str:
        return f"wait_{self.number}"

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"wait beside the watches, {said}"


BESIDE_DAG_ID = "beside_the_watches"
BESIDE = (
    Beside(number=301, arguments={"poke_interval": 2}),
    Beside(number=302, arguments={"poke_interval": 1}),
    Beside(number=303, arguments={"poke_interval": 5}),
    Beside(number=304, arguments={"poke_interval": 2, "folder_id": 1892}),
    Beside(number=305, arguments={"poke_interval": 1, "external_id": "beside-305"}),
)
WATCHED_SEEDS: tuple[dict[str, Any], ...] = (
    *({"id": beside.number, "folder_id": 10294} for beside in BESIDE[:3]),
    {"id": 304, "folder_id": 1892},
    {"id": 305, "external_id": "beside-305"},
    {"id": 311, "folder_id": 1892, **_AUTHORIZED},
    {"id": 312, "external_id": "told", "provider": "salesforce", **_AUTHORIZED},
)
#: The connections that are authorized and lost once all waits wait.
AUTHORIZED, LOST = tuple(beside.number for beside in BESIDE), (311, 312)
_ALL = frozenset({("authorized", number) for number in AUTHORIZED} | {("lost", number) for number in LOST})
#: At an interval of two seconds there is only the watch with a filter, so it opens the shared list that the
#: waits without a filter join. At three seconds, the first watch to start opens it.
WATCHES = (
    Watch(name="everything", arguments={"poke_interval": 3}, tells=_ALL),
    Watch(
        name="folder",
        arguments={"poke_interval": 2, "folder_id": 1892},
        tells=frozenset({("authorized", 304), ("lost", 311)}),
    ),
    Watch(
        name="provider",
        arguments={"poke_interval": 3, "provider": "salesforce", "changes": ["lost"]},
        tells=frozenset({("lost", 312)}),
    ),
    Watch(
        name="external_id",
        arguments={"poke_interval": 3, "external_id": "told"},
        tells=frozenset({("lost", 312)}),
    ),
    Watch(
        name="two_watchers",
        arguments={"poke_interval": 3, "changes": ["lost"]},
        other_interval=4,
        tells=frozenset({("lost", number) for number in LOST}),
    ),
)
