"""Creates, updates and sets, most of which fail, with credentials at every depth of ``input``."""

from __future__ import annotations

import logging
import os
import traceback
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_workato.operators.connections import (
    WorkatoCreateConnectionOperator,
    WorkatoUpdateConnectionOperator,
)
from airflow_provider_workato.operators.sets import (
    WorkatoApplyConnectionsOperator,
    WorkatoPlanConnectionsOperator,
)
from airflow_provider_workato.sensors.connections import WorkatoConnectionSensor

#: The answers of the server in echo.py.
ANSWERS = ("refused", "invalid", "broken", "html", "unauthorized")
#: How many Airflow connections there are with the credentials of a set.
TENANTS = 60
#: Variables that hold no credential by itself: a whole JSON text does not occur anywhere, its parts do.
PUBLIC_NAMES = ("AIRFLOW_VAR_BUNDLE", "AIRFLOW_VAR_TOWN")
PLACES = [
    *(
        f"var.value.{name}"
        for name in ("colour", "shape", "size", "taste", "sound", "smell", "touch", "sight", "balance")
    ),
    *(
        f"conn.elsewhere.{name}"
        for name in ("login", "password", "extra_dejson.flavour", "extra_dejson.grain")
    ),
]


def credentials(*, word: str = "right") -> dict[str, Any]:
    """Return an ``input`` that contains every credential; *word* selects the app's answer in the sandbox."""
    leaves = [f"{{{{ {place} }}}}" for place in PLACES]
    return {
        "word": word,
        "pwd": leaves[0],
        "key": leaves[1],
        "auth_code": leaves[2],
        "credentials": [{"a": leaves[3]}, {"b": [leaves[4], {"c": {"d": leaves[5]}}]}],
        "anything": {"else": leaves[6:]},
        "url": f"https://{leaves[8]}:{leaves[9]}@acme.example/?q={leaves[5]}",
    }


@task
def names() -> list[str]:
    """Return the names of what the tasks downstream look up, as in a vault."""
    return [name for name in os.environ if name.startswith("AIRFLOW_VAR_") and name not in PUBLIC_NAMES]


def looked_up(name: str) -> dict[str, Any]:
    """Return the credentials of one instance; Airflow calls this in the process that uses them."""
    return {"note": os.environ[name]}


def tenant(name: str) -> dict[str, Any]:
    """Return all arguments of one instance."""
    return {"name": name, "input": looked_up(name)}


def tell_everything(context: dict[str, Any]) -> None:
    """Report a failure like a verbose error reporter: with the local variables of each frame."""
    error = context["exception"]
    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    logging.getLogger("airflow.task").error("all there is to tell: %r %s %s", error, vars(error), told)
    print("task", vars(context["task"]))


def declared(name: str, *, count: int = TENANTS) -> dict[str, Any]:
    """Return the arguments of a task about a set whose credentials are in an Airflow connection for each."""
    return {
        "connections": "tenants.yaml",
        "external_id_prefix": f"{name}/",
        "params": {"set": name, "count": count},
    }


with DAG(
    "leaks",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"on_failure_callback": tell_everything},
) as dag:
    create = WorkatoCreateConnectionOperator(
        task_id="create", name="Right", provider="rest", external_id="right", input=credentials()
    )
    update = WorkatoUpdateConnectionOperator(
        task_id="update", connection_id=create.output, name="Updated", input=credentials()
    )
    wait = WorkatoConnectionSensor(
        task_id="wait", connection_id=create.output, deferrable=True, poke_interval=1, timeout=60
    )
    create >> update >> wait
    for word in ("wrong-credentials", "raise-exception", "malformed-credentials"):
        WorkatoCreateConnectionOperator(
            task_id=f"create_{word}", name=word, provider="rest", input=credentials(word=word)
        )
        wait >> WorkatoUpdateConnectionOperator(
            task_id=f"update_{word}", connection_id=create.output, input=credentials(word=word)
        )
    # An app that repeats the request in its answer: see echo.py.
    for answer in ANSWERS:
        WorkatoCreateConnectionOperator(
            task_id=f"create_{answer}",
            workato_conn_id=f"workato_{answer}",
            name=answer,
            provider="rest",
            input=credentials(),
        )
        WorkatoUpdateConnectionOperator(
            task_id=f"update_{answer}",
            workato_conn_id=f"workato_{answer}",
            connection_id=7,
            input=credentials(),
        )
    # Of the public values, one is a credential under another key.
    WorkatoCreateConnectionOperator(
        task_id="create_public",
        workato_conn_id="workato_refused",
        name="public",
        provider="rest",
        input=credentials() | {"town": "{{ var.value.town }}", "alias": "{{ conn.elsewhere.password }}"},
        public_input_keys=["town", "alias"],
    )
    WorkatoCreateConnectionOperator.partial(
        task_id="create_mapped", workato_conn_id="workato_invalid", provider="rest"
    ).expand_kwargs(
        [{"name": f"mapped {place}", "input": {"note": f"{{{{ {place} }}}}"}} for place in PLACES]
    )
    WorkatoCreateConnectionOperator.partial(
        task_id="create_expanded", workato_conn_id="workato_invalid", provider="rest", name="expanded"
    ).expand(input=names().map(looked_up))
    WorkatoCreateConnectionOperator.partial(
        task_id="create_tenants", workato_conn_id="workato_invalid", provider="rest"
    ).expand_kwargs(names.override(task_id="names_of_tenants")().map(tenant))
    apply, again = (
        WorkatoApplyConnectionsOperator(
            task_id=task_id, **declared("right"), reauthenticate=task_id != "apply"
        )
        for task_id in ("apply", "apply_again")
    )
    apply >> again
    for answer in ANSWERS:
        WorkatoApplyConnectionsOperator(
            task_id=f"apply_{answer}",
            workato_conn_id=f"workato_{answer}",
            # The others are answers that may have got lost, so that each takes long, or that end the task.
            **declared(answer, count=TENANTS if answer in ("refused", "invalid") else 1),
        )
    # For one more, there is no Airflow connection.
    WorkatoPlanConnectionsOperator(task_id="plan", **declared("planned", count=TENANTS + 1))
    again >> WorkatoPlanConnectionsOperator(
        task_id="plan_drift", **declared("right"), reauthenticate=True, on_drift="fail"
    )
    # Invalid arguments, which raise an error before a request is sent.
    WorkatoUpdateConnectionOperator(task_id="update_no_number", connection_id="none", input=credentials())
    WorkatoCreateConnectionOperator(
        task_id="create_not_an_object",
        name="x",
        provider="rest",
        input="{{ var.value.sight }}",
    )

with DAG(
    "leaks_native",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"on_failure_callback": tell_everything},
    render_template_as_native_obj=True,
) as native:
    for task_id, workspace in [
        ("create_native", "default"),
        ("create_native_refused", "refused"),
        ("create_native_invalid", "invalid"),
    ]:
        WorkatoCreateConnectionOperator(
            task_id=task_id,
            workato_conn_id=f"workato_{workspace}",
            name=task_id,
            provider="rest",
            input="{{ var.json.bundle }}",
        )
