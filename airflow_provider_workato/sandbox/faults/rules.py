"""The fault rules: which calls have a fault, and how often."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from airflow_provider_workato.sandbox.faults.table import CHOICES, FAULTS, ParameterValue
from airflow_provider_workato.sandbox.traffic.operations import Operation

ANY_OPERATION: Final = "*"


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
