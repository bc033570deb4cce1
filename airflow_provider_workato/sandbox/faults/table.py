"""The table of faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ParameterValue = str | int | float


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
