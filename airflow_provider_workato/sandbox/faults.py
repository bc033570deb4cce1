"""The faults that the sandbox can be told to show: the table, and the rules in force."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from airflow_provider_workato.sandbox.operations import Operation

ParameterValue = str | int | float
ANY_OPERATION: Final = "*"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    One way to misbehave.

    :param what: what the client sees
    :param performed: whether the call is carried out first, unless the rule says otherwise
    :param needs_answer: it alters the real answer, so the call is always carried out
    :param parameters: names and defaults
    """

    what: str
    performed: bool = False
    needs_answer: bool = False
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


#: Every fault by name. Faults that tear or alter the real answer carry the call out first; those that answer
#: in place of Workato do not. ``performed`` in a rule changes that, save where the real answer is needed.
FAULTS: Final[Mapping[str, Fault]] = {
    # The line breaks.
    "reset_before_answer": Fault(what="TCP reset before the first byte of the answer", performed=True),
    "close_before_answer": Fault(what="orderly close before the first byte of the answer", performed=True),
    "reset_mid_body": Fault(what="complete headers, half the body, then a TCP reset", performed=True),
    "close_mid_body": Fault(what="complete headers, half the body, then an orderly close", performed=True),
    "timeout": Fault(
        what="no answer; the line is closed after max_seconds",
        performed=True,
        parameters={"max_seconds": 120.0},
    ),
    # The line is slow.
    "delay": Fault(what="the right answer, seconds late", performed=True, parameters={"seconds": 1.0}),
    "hold": Fault(
        what="the right answer, but only after POST /sandbox/release or max_seconds",
        performed=True,
        parameters={"max_seconds": 300.0},
    ),
    "slow_server": Fault(
        what="like hold, but a client that leaves does not stop it: performed=false is carried out at last",
        performed=True,
        parameters={"max_seconds": 300.0},
    ),
    "slow_headers": Fault(
        what="the right answer, a byte of its headers every seconds",
        performed=True,
        parameters={"seconds": 0.1},
    ),
    "slow_trickle": Fault(
        what="the right headers at once, then a byte of the body every seconds",
        performed=True,
        parameters={"seconds": 0.1},
    ),
    # Workato, or something before it, refuses.
    "rate_limited_seconds": Fault(what="429, Retry-After: seconds", parameters={"seconds": 1}),
    "rate_limited_date": Fault(
        what="429, Retry-After: the HTTP date seconds ahead", parameters={"seconds": 1}
    ),
    "rate_limited_nonsense": Fault(what="429, Retry-After: text", parameters={"text": "soon"}),
    "rate_limited_no_header": Fault(what="429 without Retry-After"),
    "server_error": Fault(
        what="500 with message and support id",
        parameters={"support_id": "3188c2d0-29a4-4080-908e-582e7ed82580"},
    ),
    "bad_gateway_html": Fault(what="502 with an HTML page"),
    "service_unavailable": Fault(what="503 with a JSON message"),
    "gateway_timeout_html": Fault(what="504 with an HTML page"),
    "unauthorized": Fault(what="401"),
    "forbidden": Fault(what="403"),
    "forbidden_html": Fault(what="403 with an HTML page, as a proxy answers"),
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
        what="400 whose text quotes a credential of the request: the longest text in input, or the token",
        parameters={"secret": "input", "status": 400},
    ),
    # The answer is not what the API documents.
    "html_page": Fault(what="200 with an HTML page"),
    "null_body": Fault(what="200 with the JSON text null"),
    "truncated_json": Fault(what="200 with half the JSON text, complete as HTTP", performed=True),
    "wrong_types": Fault(
        what="the right answer with values of a wrong type; shape=container: the outermost list or object",
        performed=True,
        needs_answer=True,
        parameters={"shape": "values"},
    ),
    "extra_keys": Fault(
        what="the right answer with keys nobody documented, and longer picklist rows",
        performed=True,
        needs_answer=True,
    ),
    "missing_keys": Fault(
        what="the right answer without the keys that real answers were seen without; picklist rows of two",
        performed=True,
        needs_answer=True,
    ),
    "result_envelope": Fault(
        what='the right answer inside {"result": ...}', performed=True, needs_answer=True
    ),
}

#: Parameters with a closed set of values.
CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "secret": frozenset({"input", "token"}),
    "shape": frozenset({"values", "container"}),
}


class UnknownFault(ValueError):
    """A rule that the sandbox cannot follow; the text says why."""


@dataclass(kw_only=True)
class FaultRule:
    """
    A fault put in force.

    :param id: number of the rule
    :param operation: the calls it is for, or ``*``
    :param fault: name of the fault
    :param parameters: parameters of the fault, complete
    :param times: how often it still happens, None for ever
    :param skip: how many calls still pass untouched
    :param performed: whether the call is carried out
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
        """
        Return a parameter that is a number.

        :param name: name of the parameter
        """
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        """
        Return a parameter as text.

        :param name: name of the parameter
        """
        return str(self.parameters[name])


class FaultRules:
    """The rules in force, asked in the order given; the first that applies is the only one."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._numbers = itertools.count(1)

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """The rules in force."""
        return tuple(self._rules)

    def clear(self) -> None:
        """Put no rule in force."""
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
        """
        Put a rule in force.

        :param operation: the calls it is for, or ``*``
        :param fault: name of the fault
        :param times: how often it happens, None for ever
        :param skip: how many calls pass untouched before
        :param performed: whether the call is carried out, None for what the fault does by itself
        :param parameters: parameters of the fault that differ from its defaults
        """
        known = FAULTS.get(fault)
        if known is None:
            raise UnknownFault(f"unknown fault {fault!r}; known: {', '.join(FAULTS)}")
        if operation != ANY_OPERATION and operation not in set(Operation):
            raise UnknownFault(f"unknown operation {operation!r}; known: *, {', '.join(Operation)}")
        if known.needs_answer and performed is False:
            raise UnknownFault(f"{fault} alters the real answer, so performed cannot be false")
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
        """
        Return the rule that applies to a call, and count it; None when the call goes its right way.

        :param operation: what the call asks for
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
            raise UnknownFault(f"{name} of {fault} must not be negative or endless")
        if is_number != isinstance(known[name], int | float) or not (is_number or isinstance(value, str)):
            raise UnknownFault(
                f"{name} of {fault} must be a {'text' if isinstance(known[name], str) else 'number'}"
            )
        if name in CHOICES and value not in CHOICES[name]:
            raise UnknownFault(f"{name} of {fault} must be one of: {', '.join(sorted(CHOICES[name]))}")
        checked[name] = value
    return checked
