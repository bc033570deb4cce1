"""The effect of each fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import formatdate
from math import ceil
from time import time
from typing import Any, Final
from unicodedata import normalize

from airflow_provider_workato.sandbox.bodies import NOT_FOUND_BODY, TOO_MANY_REQUESTS_BODY, UNAUTHORIZED_BODY
from airflow_provider_workato.sandbox.connection import strings_in
from airflow_provider_workato.sandbox.exchange import Exchange, Header, RawResponse

Effect = Callable[[Exchange, RawResponse], Awaitable[None]]
MakeResponse = Callable[[Exchange, RawResponse], RawResponse]

# Sent in part instead of the real response if the call is not carried out.
_PLACEHOLDER = RawResponse.of_json(
    status=200, body={"id": 1, "success": True, "data": [], "message": "never complete"}
)

# A reset discards unsent bytes, so send no more than a socket takes at once.
_LARGEST_HALF = 32_768

_HTML = b"""<html>
<head><title>Workato</title></head>
<body><center><h1>This is not the API</h1></center><hr><center>nginx</center></body>
</html>
"""


async def apply_fault(exchange: Exchange) -> None:
    """Apply the fault of an exchange's rule.

    :param exchange: the request and its response.
    """
    if not await exchange.read_request():
        return
    if exchange.rule.fault == "stored_otherwise":
        how = exchange.rule.text("how")
        exchange.request_body = _with_stored_texts(exchange.request_body, how=how)
    response = await exchange.perform() if exchange.rule.performed else _PLACEHOLDER
    await EFFECTS[exchange.rule.fault](exchange, response)


# The TCP connection breaks or the response is slow.


async def _reset_before_answer(exchange: Exchange, _: RawResponse) -> None:
    await exchange.reset_socket()


async def _close_before_answer(exchange: Exchange, _: RawResponse) -> None:
    await exchange.close_socket()


async def _half(exchange: Exchange, response: RawResponse) -> None:
    await exchange.begin(response)
    await exchange.proceed(response.body[: min(len(response.body) // 2, _LARGEST_HALF)], more=True)


async def _reset_mid_body(exchange: Exchange, response: RawResponse) -> None:
    await _half(exchange, response)
    await exchange.reset_socket()


async def _close_mid_body(exchange: Exchange, response: RawResponse) -> None:
    await _half(exchange, response)
    await exchange.close_socket()


async def _timeout(exchange: Exchange, _: RawResponse) -> None:
    if await exchange.pause(exchange.rule.number("max_seconds")):
        await exchange.close_socket()


async def _delay(exchange: Exchange, response: RawResponse) -> None:
    if await exchange.pause(exchange.rule.number("seconds")):
        await exchange.finish(response if exchange.rule.performed else await exchange.perform())


async def _hold(exchange: Exchange, response: RawResponse) -> None:
    with exchange.holds.holding(entry=exchange.entry, performed=exchange.rule.performed) as hold:
        is_there = await exchange.pause(exchange.rule.number("max_seconds"), until=hold.released.wait())
    if is_there:
        await exchange.finish(response if exchange.rule.performed else await exchange.perform())


async def _slow_server(exchange: Exchange, response: RawResponse) -> None:
    with exchange.holds.holding(entry=exchange.entry, performed=exchange.rule.performed) as hold:
        with suppress(TimeoutError):
            await asyncio.wait_for(hold.released.wait(), exchange.rule.number("max_seconds"))
        response = response if exchange.rule.performed else await exchange.perform()
    await exchange.finish(response)


async def _slow_headers(exchange: Exchange, response: RawResponse) -> None:
    exchange.log.set_status(exchange.entry, status=response.status)
    for byte in response.head:
        exchange.transport.write(bytes([byte]))
        if not await exchange.pause(exchange.rule.number("seconds")):
            return
    exchange.transport.write(response.body)
    await exchange.close_socket()


async def _slow_trickle(exchange: Exchange, response: RawResponse) -> None:
    await exchange.begin(response)
    for byte in response.body:
        if not await exchange.pause(exchange.rule.number("seconds")):
            return
        await exchange.proceed(bytes([byte]), more=True)
    await exchange.proceed(b"", more=False)


# The response is not the real one.


def _responding(make: MakeResponse) -> Effect:
    async def effect(exchange: Exchange, response: RawResponse) -> None:
        await exchange.finish(make(exchange, response))

    return effect


def _json(status: int, body: Any) -> Effect:
    return _responding(lambda *_: RawResponse.of_json(status=status, body=body))


def _html(status: int) -> Effect:
    headers: tuple[Header, ...] = ((b"content-type", b"text/html"),)
    return _responding(lambda *_: RawResponse(status=status, body=_HTML, headers=headers))


def _rate_limited(retry_after: Callable[[Exchange], str] | None) -> Effect:
    def make(exchange: Exchange, _: RawResponse) -> RawResponse:
        headers: tuple[Header, ...] = ()
        if retry_after is not None:
            headers = ((b"retry-after", retry_after(exchange).encode()),)
        return RawResponse.of_json(status=429, body=TOO_MANY_REQUESTS_BODY, headers=headers)

    return _responding(make)


def _altered(alter: Callable[[Any], Any]) -> Effect:
    return _responding(
        lambda _, response: RawResponse.of_json(
            status=response.status, body=alter(json.loads(response.body))
        ),
    )


def _wrong_types(exchange: Exchange, response: RawResponse) -> RawResponse:
    is_container = exchange.rule.text("shape") == "container"
    alter = _with_wrong_container if is_container else _with_wrong_values
    return RawResponse.of_json(status=response.status, body=alter(json.loads(response.body)))


def _truncated(_: Exchange, response: RawResponse) -> RawResponse:
    return RawResponse(
        status=response.status, body=response.body[: len(response.body) // 2], headers=response.headers
    )


def _server_error(exchange: Exchange, _: RawResponse) -> RawResponse:
    body = {"message": "Server error", "id": exchange.rule.text("support_id")}
    return RawResponse.of_json(status=500, body=body)


def _success_false(exchange: Exchange, _: RawResponse) -> RawResponse:
    body = {"success": False, "status": "rejected", "message": exchange.rule.text("message")}
    return RawResponse.of_json(status=200, body=body)


def _redirect(exchange: Exchange, _: RawResponse) -> RawResponse:
    location = exchange.rule.text("location").encode("latin-1", errors="replace")
    return RawResponse(status=int(exchange.rule.number("status")), headers=((b"location", location),))


def _echo_secret(exchange: Exchange, _: RawResponse) -> RawResponse:
    secret = _token(exchange)
    if exchange.rule.text("secret") == "input":
        secret = max(_input_texts(exchange.request_body), key=len, default=secret)
    body = {"message": f"Invalid credentials: {secret}", "errors": {"input": [f"{secret} was refused"]}}
    return RawResponse.of_json(status=int(exchange.rule.number("status")), body=body)


def _token(exchange: Exchange) -> str:
    headers: dict[bytes, bytes] = dict(exchange.scope["headers"])
    return headers[b"authorization"].decode("latin-1").removeprefix("Bearer ")


def _input_texts(request_body: bytes) -> Iterator[str]:
    try:
        yield from strings_in(json.loads(request_body)["input"])
    except (ValueError, KeyError, TypeError):
        return


# The real request or response, changed into one that the API does not document.

# Keys that every recorded response has.
_ALWAYS_PRESENT = frozenset({"id", "success", "data", "url"})

_UNDOCUMENTED = {"identity": None, "on_prem_group_id": 77, "undocumented": {"nested": ["value"]}}

_STORED: Final[Mapping[str, Callable[[str], str]]] = {
    "trimmed": str.strip,
    "normalized": lambda text: normalize("NFC", text),
    "cut": lambda text: text[:255],
    "replaced": lambda text: f"another {text}",
}


def _with_stored_texts(request_body: bytes, *, how: str) -> bytes:
    """Change the name and the external id of a request as a server may before it stores them."""
    try:
        body = json.loads(request_body)
    except ValueError:
        return request_body
    if not isinstance(body, dict):
        return request_body
    texts = {key: body[key] for key in ("name", "external_id") if isinstance(body.get(key), str)}
    return json.dumps(body | {key: _STORED[how](text) for key, text in texts.items()}).encode()


def _with_wrong_values(value: Any) -> Any:
    """Replace every value by one of another type, numbers by strings for instance."""
    if isinstance(value, dict):
        return {key: _with_wrong_values(item) for key, item in value.items()}
    if isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            return [_with_wrong_values(item) for item in value]
        return "letters"
    if isinstance(value, bool):
        return "maybe"
    if isinstance(value, int | float):
        return "letters"
    return value if value is None else 7


def _with_wrong_container(value: Any) -> Any:
    """Put an object where a list belongs and a list where an object belongs."""
    return {"connections": value} if isinstance(value, list) else [value]


def _with_extra_keys(value: Any) -> Any:
    """Add keys to every object, and columns to every picklist row."""
    if isinstance(value, dict):
        return {**{key: _with_extra_keys(item) for key, item in value.items()}, **_UNDOCUMENTED}
    if isinstance(value, list):
        return [*value, "another column"] if _is_row(value) else [_with_extra_keys(item) for item in value]
    return value


def _with_missing_keys(value: Any) -> Any:
    """Leave out every key that some real responses lack, and cut picklist rows to two columns."""
    if isinstance(value, dict):
        return {key: _with_missing_keys(item) for key, item in value.items() if key in _ALWAYS_PRESENT}
    if isinstance(value, list):
        return value[:2] if _is_row(value) else [_with_missing_keys(item) for item in value]
    return value


def _with_envelope(value: Any) -> Any:
    """Put the response under ``result``, as the embedding API does, in place of ``data`` if there is one."""
    is_wrapped = isinstance(value, dict) and list(value) == ["data"]
    return {"result": value["data"] if is_wrapped else value}


def _is_row(value: list[Any]) -> bool:
    return bool(value) and not any(isinstance(item, dict | list) for item in value)


EFFECTS: Final[Mapping[str, Effect]] = {
    "reset_before_answer": _reset_before_answer,
    "close_before_answer": _close_before_answer,
    "reset_mid_body": _reset_mid_body,
    "close_mid_body": _close_mid_body,
    "timeout": _timeout,
    "delay": _delay,
    "hold": _hold,
    "slow_server": _slow_server,
    "slow_headers": _slow_headers,
    "slow_trickle": _slow_trickle,
    "rate_limited_seconds": _rate_limited(lambda exchange: f"{exchange.rule.number('seconds'):g}"),
    "rate_limited_date": _rate_limited(
        lambda exchange: formatdate(ceil(time()) + exchange.rule.number("seconds"), usegmt=True)
    ),
    "rate_limited_nonsense": _rate_limited(lambda exchange: exchange.rule.text("text")),
    "rate_limited_no_header": _rate_limited(None),
    "server_error": _responding(_server_error),
    "bad_gateway_html": _html(502),
    "service_unavailable": _json(503, {"message": "Service unavailable"}),
    "gateway_timeout_html": _html(504),
    "unauthorized": _json(401, UNAUTHORIZED_BODY),
    "forbidden": _json(403, {"message": "Forbidden"}),
    "forbidden_html": _html(403),
    "not_found": _json(404, NOT_FOUND_BODY),
    "validation_error": _json(
        400,
        {
            "message": "Validation failed",
            "errors": {"name": ["can't be blank"], "provider": "is not included in the list"},
        },
    ),
    "success_false": _responding(_success_false),
    "redirect": _responding(_redirect),
    "echo_secret": _responding(_echo_secret),
    "html_page": _html(200),
    "null_body": _json(200, None),
    "truncated_json": _responding(_truncated),
    "wrong_types": _responding(_wrong_types),
    "stored_otherwise": _responding(lambda _, response: response),
    "extra_keys": _altered(_with_extra_keys),
    "missing_keys": _altered(_with_missing_keys),
    "result_envelope": _altered(_with_envelope),
}
