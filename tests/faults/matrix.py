"""The expected outcome of each fault for each kind of call; the table that the fault matrix checks.

Each row is one fault. With *once*, the fault affects only the first call; with *for ever*, every call.
Each kind of call has a column:

- ``repeatable``: reading, updating and deleting, which may be carried out twice
- ``create``: a create, which is retried only if it certainly was not carried out
- ``ensure``: the create of an ``ensure_...``, which looks up the connection before a retry
- ``look-up``: the list call of an ``ensure_...`` whose connection exists; like ``repeatable`` unless a row
  says otherwise

A column says how the call ends, how many requests the server received at the endpoint with the fault
(``gives_up``: at least so many, since the pauses are random), and for creates how many connections exist
in the end. That is never two; after a look-up it is always one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_workato.exceptions import (
    WorkatoAuthError,
    WorkatoError,
    WorkatoNotFoundError,
    WorkatoPermissionError,
    WorkatoRateLimitError,
    WorkatoRejectedError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTransportError,
    WorkatoValidationError,
)

Kind = Literal["repeatable", "create", "ensure", "look-up"]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The expected end of a call.

    :param error: the exact class of the error; ``None`` if the call succeeds.
    :param calls: the number of requests that the server received at the endpoint with the fault.
    :param or_more: whether there may be more of them.
    :param made: for calls that create a connection, the number of connections in the end.
    """

    error: type[WorkatoError] | None
    calls: int
    or_more: bool = False
    made: int = 0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row.

    :param name: the row's name.
    :param show: the fault's name in the sandbox; ``refused`` and ``refused, then up`` do without the sandbox.
    :param parameters: the parameters of the sandbox's fault.
    :param times: the number of calls that it affects; ``None`` for every call.
    :param carried_out: whether the call is carried out nevertheless.
    :param extras: the fields of the Airflow connection that differ from the matrix's defaults.
    :param says: strings that the error's message must contain.
    """

    name: str
    show: str
    repeatable: Ending
    create: Ending
    ensure: Ending
    look_up: Ending
    parameters: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = 1
    carried_out: bool | None = None
    extras: Mapping[str, float] = field(default_factory=dict)
    says: tuple[str, ...] = ()

    def ending(self, kind: Kind) -> Ending:
        """Return the expected end for a kind of call.

        :param kind: the kind.
        """
        columns: dict[Kind, Ending] = {
            "repeatable": self.repeatable,
            "create": self.create,
            "ensure": self.ensure,
            "look-up": self.look_up,
        }
        return columns[kind]


def succeeds(*, calls: int) -> Ending:
    """Succeed, with one connection in the end if the call creates one."""
    return Ending(error=None, calls=calls, made=1)


def fails(error: type[WorkatoError], *, calls: int = 1, made: int = 0) -> Ending:
    """Fail."""
    return Ending(error=error, calls=calls, made=made)


def gives_up(error: type[WorkatoError], *, at_least: int = 2, made: int = 0) -> Ending:
    """Fail once the retry budget is used up."""
    return Ending(error=error, calls=at_least, or_more=True, made=made)


def row(
    name: str,
    show: str,
    *,
    repeatable: Ending | None = None,
    create: Ending | None = None,
    ensure: Ending | None = None,
    look_up: Ending | None = None,
    everywhere: Ending | None = None,
    **more: Any,
) -> Fault:
    """Make a row; *everywhere* fills the columns that are not given."""
    repeatable = repeatable or everywhere
    create, ensure, look_up = create or everywhere, ensure or everywhere, look_up or repeatable
    if repeatable is None or create is None or ensure is None or look_up is None:
        raise ValueError(f"{name}: a column is missing")
    return Fault(
        name=name, show=show, repeatable=repeatable, create=create, ensure=ensure, look_up=look_up, **more
    )


#: Short timeouts, for faults that run into a timeout.
HASTY = {"connect_timeout": 0.5, "read_timeout": 1.0}
#: A budget for at least two attempts, but not for many.
BRIEF = {"retry_budget": 1.5, "server_timeout": 0.2}
USUAL = {
    "connect_timeout": 10,
    "read_timeout": 20,
    "retry_budget": 30,
    "server_timeout": 1,
    # Quotas are tested elsewhere.
    "calls_per_second": 100_000,
    "list_calls_per_minute": 6_000_000,
}

TRANSPORT = WorkatoTransportError
RATE_LIMIT = WorkatoRateLimitError
SERVER = WorkatoServerError
RESPONSE = WorkatoResponseError

LOST = ("got no answer",)


def answer_lost(name: str, show: str, *, carried_out: bool, **more: Any) -> Fault:
    """Make the row of a fault that loses the answer once."""
    return row(
        f"{name} once, {'' if carried_out else 'not '}carried out",
        show,
        carried_out=carried_out,
        repeatable=succeeds(calls=2),
        create=fails(TRANSPORT, made=int(carried_out)),
        ensure=succeeds(calls=1 if carried_out else 2),
        says=LOST,
        **more,
    )


def never_answers(name: str, show: str, *, extras: Mapping[str, float]) -> Fault:
    """Make the row of a fault that loses every answer."""
    return row(
        f"{name} for ever",
        show,
        carried_out=False,
        repeatable=gives_up(TRANSPORT),
        create=fails(TRANSPORT),
        ensure=gives_up(TRANSPORT),
        times=None,
        extras=extras,
        says=LOST,
    )


NO_CONNECTION = [
    row(
        "connection refused for ever",
        "refused",
        everywhere=gives_up(TRANSPORT, at_least=0),
        extras=BRIEF,
        says=("the request was not sent", "Base URL"),
    ),
    row("connection refused, then up", "refused, then up", everywhere=succeeds(calls=1)),
]

BROKEN_LINE = [
    *(
        answer_lost(name, show, carried_out=carried_out, **more)
        for name, show, more in [
            ("reset before the answer", "reset_before_answer", {}),
            ("closed before the answer", "close_before_answer", {}),
            ("reset mid-body", "reset_mid_body", {}),
            ("closed mid-body", "close_mid_body", {}),
            ("time-out", "timeout", {"extras": HASTY}),
        ]
        for carried_out in (False, True)
    ),
    # Even an empty list, which has two bytes, is too slow.
    answer_lost("slow trickle", "slow_trickle", carried_out=True, parameters={"seconds": 0.7}, extras=HASTY),
    never_answers("reset before the answer", "reset_before_answer", extras=BRIEF),
    never_answers("time-out", "timeout", extras={**HASTY, **BRIEF, "retry_budget": 4.0}),
]

RATE_LIMITED = [
    row("429 with seconds, once", "rate_limited_seconds", everywhere=succeeds(calls=2)),
    row(
        "429 with more seconds than are left",
        "rate_limited_seconds",
        everywhere=fails(RATE_LIMIT),
        times=None,
        extras={"retry_budget": 0.5},
        says=("quota",),
    ),
    row("429 with an HTTP date, once", "rate_limited_date", everywhere=succeeds(calls=2)),
    row("429 with nonsense, once", "rate_limited_nonsense", everywhere=succeeds(calls=2)),
    row("429 without the header, once", "rate_limited_no_header", everywhere=succeeds(calls=2)),
    row(
        "429 without the header, for ever",
        "rate_limited_no_header",
        everywhere=gives_up(RATE_LIMIT),
        times=None,
        extras=BRIEF,
        says=("quota",),
    ),
]

SERVER_FAILED = [
    *(
        row(
            f"{name} once, {outcome}",
            show,
            carried_out=made == 1,
            repeatable=succeeds(calls=2),
            create=fails(SERVER, made=made),
            ensure=succeeds(calls=2 - made),
            says=says,
        )
        for name, show, says in [
            ("500 with a support id", "server_error", ("500", "3188c2d0-29a4-4080-908e-582e7ed82580")),
            ("502 with HTML", "bad_gateway_html", ("502",)),
            ("503", "service_unavailable", ("503", "Service unavailable")),
            ("504 with HTML", "gateway_timeout_html", ("504",)),
        ]
        for outcome, made in [("not carried out", 0), ("carried out", 1)]
    ),
    row(
        "500 for ever",
        "server_error",
        repeatable=gives_up(SERVER),
        create=fails(SERVER),
        ensure=gives_up(SERVER),
        times=None,
        extras=BRIEF,
        says=("500", "3188c2d0-29a4-4080-908e-582e7ed82580"),
    ),
]

NOT_THE_API = [
    *(
        row(
            f"{name} once, {outcome}",
            show,
            carried_out=made == 1,
            repeatable=repeatable,
            create=fails(RESPONSE, made=made),
            ensure=succeeds(calls=2 - made),
            says=("Base URL",),
        )
        for name, show, repeatable in [
            ("200 with HTML", "html_page", succeeds(calls=2)),
            ("200 with truncated JSON", "truncated_json", succeeds(calls=2)),
            # Valid JSON that is not an answer is permanent: do not retry.
            ("200 with null", "null_body", fails(RESPONSE)),
        ]
        for outcome, made in [("not carried out", 0), ("carried out", 1)]
    ),
    row(
        "200 with HTML for ever",
        "html_page",
        repeatable=gives_up(RESPONSE),
        create=fails(RESPONSE),
        ensure=gives_up(RESPONSE),
        times=None,
        extras=BRIEF,
    ),
    *(
        row(
            f"wrong types: {shape}",
            "wrong_types",
            repeatable=fails(RESPONSE),
            create=fails(RESPONSE, made=1),
            ensure=succeeds(calls=1),
            parameters={"shape": shape},
        )
        for shape in ("values", "container")
    ),
    row("texts stored in another form", "stored_otherwise", everywhere=succeeds(calls=1)),
    row("unknown extra keys", "extra_keys", everywhere=succeeds(calls=1)),
    row(
        "missing optional keys",
        "missing_keys",
        everywhere=succeeds(calls=1),
        # Without the list it is unknown whether the connection exists: neither reuse nor create one.
        look_up=fails(RESPONSE),
    ),
    row("answer in an envelope", "result_envelope", everywhere=succeeds(calls=1)),
]

REFUSED = [
    row(
        "redirect to another host",
        "redirect",
        everywhere=fails(RESPONSE),
        says=("redirected", "localhost", "Redirects are not followed"),
    ),
    row("401", "unauthorized", everywhere=fails(WorkatoAuthError), says=("401", "API token", "privilege")),
    row("403", "forbidden", everywhere=fails(WorkatoPermissionError), says=("403", "project")),
    row("404", "not_found", everywhere=fails(WorkatoNotFoundError), says=("404",)),
    row(
        "400 with field errors",
        "validation_error",
        everywhere=fails(WorkatoValidationError),
        says=("400", "name: can't be blank", "provider: is not included in the list"),
    ),
    row(
        "400 that quotes the credentials",
        "echo_secret",
        everywhere=fails(WorkatoValidationError),
        says=("***",),
    ),
    row("success: false", "success_false", everywhere=fails(WorkatoRejectedError), says=("active recipes",)),
]

FAULTS: list[Fault] = [
    *NO_CONNECTION,
    *BROKEN_LINE,
    *RATE_LIMITED,
    *SERVER_FAILED,
    *NOT_THE_API,
    *REFUSED,
]
