"""Show all that a caller can give: of an operator also what its base classes define and describe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sphinx.util.inspect import stringify_signature

from airflow_provider_workato.operators.base import WorkatoOperator

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_FIELD = re.compile(r"(?m)^:param (\w+):")


def _own_bases(cls: type) -> Iterator[type]:
    return (base for base in cls.__mro__ if issubclass(base, WorkatoOperator))


def _whole_signature(
    _app: Sphinx,
    what: str,
    _name: str,
    cls: Any,
    _options: Any,
    _signature: str | None,
    _returns: str | None,
) -> tuple[str | None, str | None] | None:
    if what != "class" or not issubclass(cls, WorkatoOperator):
        return None
    found: dict[str, inspect.Parameter] = {}
    for base in _own_bases(cls):
        parameters = inspect.signature(vars(base)["__init__"]).parameters if "__init__" in vars(base) else {}
        for parameter in parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, parameter)
    others = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD, annotation=Any)
    return stringify_signature(inspect.Signature([*found.values(), others])), ""


def _whole_description(
    _app: Sphinx,
    what: str,
    _name: str,
    cls: Any,
    _options: Any,
    lines: list[str],
) -> None:
    if what != "class" or not issubclass(cls, WorkatoOperator):
        return
    for base in _own_bases(cls):
        described = set(_FIELD.findall("\n".join(lines)))
        text = inspect.cleandoc(base.__doc__ or "")
        for field in re.split(r"(?m)^(?=:)", text)[1:]:
            match = _FIELD.match(field)
            if match and match[1] not in described:
                blank = [] if described else [""]
                lines[-1:] = [*blank, *field.rstrip().splitlines(), ""]
                described.add(match[1])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("autodoc-process-signature", _whole_signature)
    app.connect("autodoc-process-docstring", _whole_description)
    return {"parallel_read_safe": True}
