"""The table of faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ParameterValue = str | int | float


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    :param what: what the client sees.
    :param performed: whether the call is carried out first, unless the rule decides otherwise.
    :param needs_answer: whether it alters the real answer, so that the call is always carried out.
    :param parameters: names and defaults.
    """

    what: str
    performed: bool = False
    needs_answer: bool = False
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


#: Every fault by name. Faults that break or alter the real answer carry the call out first; those that answer
#: instead of Workato do not. ``performed`` in a rule changes that, except where the real answer is needed.
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
