"""The faults, and the rules that say which calls have one, and how often."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from airflow_provider_workato.sandbox.traffic import Operation

ParameterValue = str | int | float

ANY_OPERATION: Final = "*"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    :param what: the response that the client receives.
    :param performed: whether the call is carried out first, unless the rule decides otherwise.
    :param needs_response: whether it alters the real response, so that the call is always carried out.
    :param parameters: names and defaults.
    """

    what: str
    performed: bool = False
    needs_response: bool = False
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


#: Every fault by name. Faults that break or alter the real response carry the call out first; faults that
#: send an error instead do not. ``performed`` in a rule changes that, except where the real response is
#: needed.
FAULTS: Final[Mapping[str, Fault]] = {
    # The TCP connection breaks.
    "reset_before_answer": Fault(what="TCP reset before the first byte of the response", performed=True),
    "close_before_answer": Fault(what="TCP close before the first byte of the response", performed=True),
    "reset_mid_body": Fault(what="complete headers and half of the body, then a TCP reset", performed=True),
    "close_mid_body": Fault(what="complete headers and half of the body, then a TCP close", performed=True),
    "timeout": Fault(
        what="no response; TCP close after max_seconds", performed=True, parameters={"max_seconds": 120.0}
    ),
    # The response is slow.
    "delay": Fault(
        what="the correct response, delayed by seconds", performed=True, parameters={"seconds": 1.0}
    ),
    "hold": Fault(
        what="the correct response, held until POST /sandbox/release or for max_seconds",
        performed=True,
        parameters={"max_seconds": 300.0},
    ),
    "slow_server": Fault(
        what="like hold, but the call goes on if the client disconnects, even with performed=false",
        performed=True,
        parameters={"max_seconds": 300.0},
    ),
    "slow_headers": Fault(
        what="the correct response, with a pause of seconds before each byte of the headers",
        performed=True,
        parameters={"seconds": 0.1},
    ),
    "slow_trickle": Fault(
        what="the correct headers at once, then a pause of seconds before each byte of the body",
        performed=True,
        parameters={"seconds": 0.1},
    ),
    # Workato, or a proxy in front of it, refuses the call.
    "rate_limited_seconds": Fault(what="429 with Retry-After in seconds", parameters={"seconds": 1}),
    "rate_limited_date": Fault(
        what="429 with Retry-After as an HTTP date, seconds from now", parameters={"seconds": 1}
    ),
    "rate_limited_nonsense": Fault(what="429 with text as Retry-After", parameters={"text": "soon"}),
    "rate_limited_no_header": Fault(what="429 without Retry-After"),
    "server_error": Fault(
        what="500 with a message and a support id",
        parameters={"support_id": "3188c2d0-29a4-4080-908e-582e7ed82580"},
    ),
    "bad_gateway_html": Fault(what="502 with an HTML page"),
    "service_unavailable": Fault(what="503 with a JSON message"),
    "gateway_timeout_html": Fault(what="504 with an HTML page"),
    "unauthorized": Fault(what="401"),
    "forbidden": Fault(what="403"),
    "forbidden_html": Fault(what="403 with an HTML page, as from a proxy"),
    "not_found": Fault(what="404"),
    "validation_error": Fault(what="400 with field errors"),
    "success_false": Fault(
        what="200 with success: false",
        parameters={"message": "You can't delete a connection used by active recipes"},
    ),
    "redirect": Fault(
        what="a redirect to location",
        parameters={"location": "http://localhost:9/elsewhere", "status": 302},
    ),
    "echo_secret": Fault(
        what="an error that quotes a credential of the request: the longest string in input, or the token",
        parameters={"secret": "input", "status": 400},
    ),
    # The response is not what the API documents.
    "html_page": Fault(what="200 with an HTML page"),
    "null_body": Fault(what="200 with the JSON value null"),
    "truncated_json": Fault(what="200 with half of the JSON, in a complete HTTP message", performed=True),
    "wrong_types": Fault(
        what="the correct response with values of the wrong type; shape=container: only the outermost value",
        performed=True,
        needs_response=True,
        parameters={"shape": "values"},
    ),
    "stored_otherwise": Fault(
        what="the correct response, but name and external_id are stored in another form; how=trimmed, "
        "normalized, cut (to 255 characters) or replaced",
        performed=True,
        needs_response=True,
        parameters={"how": "trimmed"},
    ),
    "extra_keys": Fault(
        what="the correct response with undocumented keys and longer picklist rows",
        performed=True,
        needs_response=True,
    ),
    "missing_keys": Fault(
        what="the correct response without keys that recorded responses sometimes lack; short picklist rows",
        performed=True,
        needs_response=True,
    ),
    "result_envelope": Fault(
        what='the correct response inside {"result": ...}', performed=True, needs_response=True
    ),
}

#: Parameters with a closed set of values.
CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "secret": frozenset({"input", "token"}),
    "shape": frozenset({"values", "container"}),
    "how": frozenset({"trimmed", "normalized", "cut", "replaced"}),
}


class UnknownFault(ValueError):
    """A fault rule names an unknown fault, operation or parameter. The message says which."""


@dataclass(kw_only=True)
class FaultRule:
    """An active fault.

    :param id: the rule's id.
    :param operation: the operation it applies to, ``*`` for all.
    :param fault: the fault's name.
    :param parameters: all parameters of the fault.
    :param times: number of calls it will still happen to, None for no limit.
    :param skip: number of calls that will still pass before.
    :param performed: whether the call is carried out.
    :param hits: number of calls it has happened to.
    """

    id: int
    operation: str
    fault: str
    parameters: Mapping[str, ParameterValue]
    times: int | None = 1
    skip: int = 0
    performed: bool = False
    hits: int = 0

    def number(self, name: str) -> float:
        """Return a numeric parameter.

        :param name: the parameter's name.
        """
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        """Return a parameter as a string.

        :param name: the parameter's name.
        """
        return str(self.parameters[name])


class FaultRules:
    """The active rules, in the order given. Only the first that applies to a call takes effect."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._numbers = itertools.count(1)

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """The active rules."""
        return tuple(self._rules)

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def add(
        self,
        *,
        operation: str,
        fault: str,
        times: int | None = 1,
        skip: int = 0,
        performed: bool | None = None,
        parameters: Mapping[str, Any],
    ) -> FaultRule:
        """Add a rule and return it.

        :param operation: the operation it applies to, ``*`` for all.
        :param fault: the fault's name.
        :param times: how often it happens, None for no limit.
        :param skip: number of calls that pass before.
        :param performed: whether the call is carried out, None for the fault's default.
        :param parameters: parameters that differ from the fault's defaults.
        :raises UnknownFault: if the rule names an unknown fault, operation or parameter.
        """
        known = FAULTS.get(fault)
        if known is None:
            raise UnknownFault(f"unknown fault {fault!r}; known: {', '.join(FAULTS)}")
        if operation != ANY_OPERATION and operation not in set(Operation):
            raise UnknownFault(f"unknown operation {operation!r}; known: *, {', '.join(Operation)}")
        if known.needs_response and performed is False:
            raise UnknownFault(f"{fault} alters the real response, so performed cannot be false")
        rule = FaultRule(
            id=next(self._numbers),
            operation=operation,
            fault=fault,
            times=times,
            skip=skip,
            performed=known.performed if performed is None else performed,
            parameters={**known.parameters, **_checked(parameters, fault=fault, known=known.parameters)},
        )
        self._rules.append(rule)
        return rule

    def take(self, operation: Operation) -> FaultRule | None:
        """Return the rule that applies to a call and count the call; None if no rule applies.

        :param operation: the call's operation.
        """
        for rule in self._rules:
            if rule.operation not in (ANY_OPERATION, operation) or rule.times == 0:
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
            rule.hits += 1
            return rule
        return None


def _checked(
    given: Mapping[str, Any], *, fault: str, known: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    checked: dict[str, ParameterValue] = {}
    for name, value in given.items():
        if name not in known:
            raise UnknownFault(f"{fault} has no parameter {name!r}; it has: {', '.join(known) or 'none'}")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and not (isfinite(value) and value >= 0):
            raise UnknownFault(f"{name} of {fault} must be finite and not negative")
        if is_number != isinstance(known[name], int | float) or not (is_number or isinstance(value, str)):
            raise UnknownFault(
                f"{name} of {fault} must be a {'string' if isinstance(known[name], str) else 'number'}"
            )
        if name in CHOICES and value not in CHOICES[name]:
            raise UnknownFault(f"{name} of {fault} must be one of: {', '.join(sorted(CHOICES[name]))}")
        checked[name] = value
    return checked
