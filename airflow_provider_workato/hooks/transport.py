"""One call to Workato: paced, timed, repeated where that is safe, and its failures named."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import urlencode, urlsplit

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from airflow_provider_workato.connection_form import LABELS
from airflow_provider_workato.exceptions import (
    WorkatoApiError,
    WorkatoAuthError,
    WorkatoConfigurationError,
    WorkatoError,
    WorkatoNotFoundError,
    WorkatoPermissionError,
    WorkatoRateLimitError,
    WorkatoRejectedError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTLSError,
    WorkatoTransportError,
    WorkatoValidationError,
)
from airflow_provider_workato.hooks.endpoints import Endpoint, Quota
from airflow_provider_workato.hooks.pacing import Pace, pace_for
from airflow_provider_workato.models import decode, with_details
from airflow_provider_workato.redaction import HiddenBytes, Sealed, redact, secret_texts, without_credentials

if TYPE_CHECKING:
    import ssl

    import requests

    from airflow_provider_workato.hooks.settings import WorkatoSettings

log = logging.getLogger(__name__)

#: An error's body is read up to this many bytes.
_MAX_ERROR_BODY = 64 * 1024
_backoff = wait_random_exponential(multiplier=0.5, max=30)
#: What was done right before a call is done again if the call leaves later than this, in seconds,
_STALE = 5.0
#: but no more often than this: one that always takes so long must not keep the call for ever.
_MOST_PREPARATIONS = 3

#: What to do right before a call leaves. What it returns is called at the very moment, so must not take time.
BeforeSend: TypeAlias = Callable[[], Callable[[], None] | None]


_ADVICE: dict[int, tuple[type[WorkatoApiError], str]] = {
    400: (WorkatoValidationError, "Workato refused the values sent; correct the task's arguments."),
    401: (
        WorkatoAuthError,
        (
            "the API token of Airflow connection {conn_id!r} is not valid in this data center, or its API "
            "client's role lacks the privilege {privilege!r}. A token works in its own data center only: "
            "check {data_center!r}, {password!r} and the role."
        ),
    ),
    403: (
        WorkatoPermissionError,
        (
            "the API token of Airflow connection {conn_id!r} is valid, but not for this project, environment "
            "or address. Grant its API client the project and the privilege {privilege!r}."
        ),
    ),
    404: (WorkatoNotFoundError, "{not_found}."),
    422: (WorkatoValidationError, "Workato refused the values sent; correct the task's arguments."),
    429: (
        WorkatoRateLimitError,
        (
            "the workspace's quota (60 list calls a minute, 1 other call a second) is used up; run fewer "
            "Workato tasks in parallel, for example with an Airflow pool."
        ),
    ),
}


@dataclass(slots=True, kw_only=True)
class Call:
    """What to ask of Workato.

    :param endpoint: the endpoint.
    :param connection_id: the number in the endpoint's path, if it has one.
    :param query: the query string's parameters.
    :param body: the JSON body's bytes (see :func:`json_body`); sealed, because they can hold credentials.
    :param secrets: the credentials in the body, which no error may quote.
    :param before_send: called once the call has its turn, right before each attempt leaves. One that outlasts
        the turn gets the next one, and is called again only if that comes late. What it raises ends the call
        unsent; let it be no :class:`WorkatoError`, which might be repeated.
    """

    endpoint: Endpoint
    connection_id: int | None = None
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Sealed | None = None
    secrets: Sealed | None = None
    before_send: BeforeSend | None = None
    #: Seconds spent waiting for turns, all attempts together.
    waited: float = 0.0
    #: Whether an earlier attempt may have been carried out although no answer came.
    answer_lost: bool = False

    def path(self) -> str:
        """Return the path and query string to request."""
        path = self.endpoint.path.format(id=self.connection_id)
        return f"{path}?{urlencode(self.query)}" if self.query else path


class Transport:
    """Sends calls to one workspace over one reused session.

    :param settings: how to reach the workspace.
    """

    def __init__(self, settings: WorkatoSettings) -> None:
        self.settings = settings
        # The hash tells two tokens of one host apart without keeping either.
        token = hashlib.sha256(settings.token.reveal().encode()).hexdigest()
        self._paces: dict[Quota, Pace] = {
            Quota.LIST: pace_for(
                (settings.base_url, token, Quota.LIST),
                calls_per_period=settings.list_calls_per_minute,
                period=60,
                shared=True,
            ),
            Quota.OTHER: pace_for(
                (settings.base_url, token, Quota.OTHER),
                calls_per_period=settings.calls_per_second,
                period=1,
                shared=True,
            ),
        }
        del token
        self.session = _open_session(settings)
        # Looked up once: requests would read the environment's proxies and netrc for each request.
        self._options: dict[str, Any] = dict(
            self.session.merge_environment_settings(
                settings.base_url, dict(settings.proxies.reveal()), True, settings.verify, None
            )
        )

    def send(self, call: Call) -> Any:
        """Send *call* and return the decoded answer.

        :param call: what to ask.
        :raises WorkatoError: of the class that says what to do about it.
        """
        return decode(self.send_raw(call), operation=call.endpoint.operation)

    def send_raw(self, call: Call) -> bytes:
        """Send *call* and return the answer's bytes, known to be complete JSON or to look like a list.

        :param call: what to ask.
        :raises WorkatoError: of the class that says what to do about it.
        """
        retrying = Retrying(
            retry=retry_if_exception(lambda error: may_repeat(call.endpoint, error)),
            wait=_wait,
            stop=lambda state: _spent(state, call) >= self.settings.retry_budget,
            before_sleep=_announce,
            reraise=True,
        )
        return retrying(self._attempt, call)

    def _attempt(self, call: Call) -> bytes:
        pace = self._paces[call.endpoint.quota]
        self._wait_for_turn(call, pace)
        outcome = self._exchange(call)
        error = self._error_in(outcome, call) if isinstance(outcome, _Answer) else outcome
        if error is None:
            return cast("_Answer", outcome).body
        if isinstance(error, WorkatoError):
            call.answer_lost = call.answer_lost or is_ambiguous(error)
        if isinstance(error, WorkatoRateLimitError) and error.retry_after:
            pace.hold(error.retry_after)
        # Raised outside of any except block: the frames of the HTTP library hold the request
        # with its credentials in their local variables.
        raise error

    def _wait_for_turn(self, call: Call, pace: Pace) -> None:
        began = time.monotonic()
        turn = pace.wait()
        leave = None
        for _ in range(_MOST_PREPARATIONS if call.before_send else 0):
            prepared_at = time.monotonic()
            leave = call.before_send() if call.before_send else None
            if pace.confirm(turn):
                break
            # To queue up again, and prepare again, would take as long each time.
            turn = pace.wait(first=True)
            if time.monotonic() - prepared_at <= _STALE:
                break
        call.waited += time.monotonic() - began
        if leave is not None:
            leave()

    def _exchange(self, call: Call) -> _Answer | BaseException:
        import http.client

        import requests
        import urllib3

        settings = self.settings
        try:
            request = self.session.prepare_request(
                requests.Request(
                    call.endpoint.method,
                    settings.base_url + call.path(),
                    data=None if call.body is None else call.body.reveal(),
                    headers=None if call.body is None else {"Content-Type": "application/json"},
                )
            )
            # Past Session.send: told not to follow a redirect, it still reads all of it, for however long
            # that takes, and trips over an address that is none.
            response = self.session.get_adapter(settings.base_url).send(
                request,
                timeout=(settings.connect_timeout, settings.read_timeout),
                **self._options,
            )
            with response:
                body = _read(response, within=settings.read_timeout)
        except requests.exceptions.SSLError as error:
            return self._tls_error(call, error)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            return self._transport_error(call, error)
        except BaseException as error:  # noqa: BLE001 - a time-out of the task, or an interrupt
            return error.with_traceback(None)
        return _Answer(status=response.status_code, headers=response.headers, body=body)

    def _error_in(self, answer: _Answer, call: Call) -> WorkatoError | None:
        """Return what is wrong with an answer, ``None`` if it is what was asked for."""
        if 300 <= answer.status < 400:
            return self._redirected(answer, call)
        payload: Any = None
        if not (
            200 <= answer.status < 300 and call.endpoint.quota is Quota.LIST and answer.looks_like_a_list
        ):
            try:
                payload = decode(answer.body, operation=call.endpoint.operation)
            except WorkatoResponseError as error:
                if 200 <= answer.status < 300:
                    return error.with_traceback(None)
        refused = isinstance(payload, dict) and payload.get("success") is False
        if 200 <= answer.status < 300 and not refused:
            return None
        return self._api_error(answer, payload if isinstance(payload, dict) else {}, call, refused=refused)

    def _api_error(
        self, answer: _Answer, payload: Mapping[str, Any], call: Call, *, refused: bool
    ) -> WorkatoApiError:
        secrets = self.secrets_of(call)
        message, fields, support_id = with_details(payload)
        # The words can be an app's own, of a connection whose credentials this call does not know.
        message = without_credentials(message, secrets)
        fields = {
            redact(name, secrets, limit=80): [without_credentials(text, secrets) for text in texts[:5]]
            for name, texts in list(fields.items())[:20]
        }
        support_id = redact(support_id, secrets, limit=80) if support_id else None
        details: dict[str, Any] = {
            "status": answer.status,
            "operation": call.endpoint.operation,
            "detail": message,
            "field_errors": fields,
            "support_id": support_id,
        }
        kind, advice = self._explain(answer.status, call.endpoint, message, refused=refused)
        text = f"{_what(call)} failed with HTTP {answer.status} at {self.settings.place}: {advice}"
        if message:
            text += f" Workato said: {message!r}."
        if fields:
            text += (
                " Fields: " + "; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items()) + "."
            )
        if support_id:
            text += f" Workato's support asks for the id {support_id}."
        if kind is WorkatoRateLimitError:
            details["retry_after"] = _retry_after(answer.headers)
        return kind(text, **details)

    def _explain(
        self, status: int, endpoint: Endpoint, message: str, *, refused: bool
    ) -> tuple[type[WorkatoApiError], str]:
        """Return the class of an error and what to do about it."""
        if refused and status not in (401, 403, 404, 429) and status < 500:
            return WorkatoRejectedError, _what_to_do(message)
        if status >= 500 or status == 408:
            return WorkatoServerError, "Workato or something in front of it failed; try again later."
        kind, advice = _ADVICE.get(status, (WorkatoApiError, "Workato refused the call."))
        return kind, advice.format(
            conn_id=self.settings.conn_id,
            privilege=endpoint.privilege,
            not_found=endpoint.not_found.format(conn_id=self.settings.conn_id, **LABELS),
            **LABELS,
        )

    def _redirected(self, answer: _Answer, call: Call) -> WorkatoResponseError:
        try:
            target = urlsplit(answer.headers.get("Location", "")).hostname
        except ValueError:
            target = None
        return WorkatoResponseError(
            f"{_what(call)} was redirected from {self.settings.base_url} to "
            f"{redact(target or 'another place', self.secrets_of(call), limit=120)}. "
            "Redirects are not followed, since the API token would go with them: correct "
            f"{LABELS['host']!r} or {LABELS['data_center']!r} of Airflow connection "
            f"{self.settings.conn_id!r}.",
            status=answer.status,
            operation=call.endpoint.operation,
        )

    def _tls_error(self, call: Call, error: Exception) -> WorkatoTransportError:
        import ssl

        connection = f"Airflow connection {self.settings.conn_id!r}"
        reason = next((e for e in _chain(error) if isinstance(e, ssl.SSLError)), None)
        if isinstance(reason, ssl.SSLCertVerificationError):
            said = redact(reason.verify_message, [], limit=120)
            text = (
                f"the certificate of {self.settings.base_url} is not trusted ({said}). If a company CA "
                f"signed it, put the path of its bundle into {LABELS['verify']!r} (extra verify) of "
                f"{connection}."
            )
        elif reason is not None and _failed_handshake(reason) and not _may_pass(reason):
            said = redact(reason.reason or type(reason).__name__, [], limit=80)
            text = (
                f"the TLS handshake with {self.settings.base_url} failed ({said}). If the server speaks "
                f"plain HTTP, write http:// in front of {LABELS['host']!r} of {connection}; otherwise check "
                "host and port."
            )
        else:
            return self._transport_error(call, error)
        return WorkatoTLSError(
            f"{_what(call)} was not sent: {text}",
            operation=call.endpoint.operation,
            request_sent=False,
        )

    def _transport_error(self, call: Call, error: Exception) -> WorkatoTransportError:
        import requests
        import urllib3

        never_left = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
        sent = not isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)) and not any(
            isinstance(e, never_left) or _failed_handshake(e) for e in _chain(error)
        )
        reason = next((e for e in reversed(_chain(error)) if isinstance(e, OSError) and e.strerror), None)
        if isinstance(error, (requests.Timeout, _TooSlow)) or (
            any(isinstance(e, urllib3.exceptions.ReadTimeoutError) for e in _chain(error))
        ):
            limit = self.settings.read_timeout if sent else self.settings.connect_timeout
            said = f"no complete answer within {limit:g} s" if sent else f"no connection within {limit:g} s"
        elif reason is not None:
            said = f"{type(reason).__name__}: {reason.strerror}"
        else:
            said = type(error).__name__
        after = "the request may have been carried out" if sent else "the request was not sent"
        advice = "" if sent else (
            f" Check {LABELS['host']!r}, {LABELS['data_center']!r} and {LABELS['proxies']!r} of Airflow "
            f"connection {self.settings.conn_id!r}."
        )  # fmt: skip
        return WorkatoTransportError(
            f"{_what(call)} got no answer from {self.settings.place}: {redact(said, [])}; {after}.{advice}",
            operation=call.endpoint.operation,
            request_sent=sent,
        )

    def secrets_of(self, call: Call) -> list[str]:
        """Return the texts that nothing quoted from an answer to *call* may show.

        :param call: what was asked.
        """
        sealed = [self.settings.token.reveal()]
        if call.secrets is not None:
            sealed.extend(call.secrets.leaves())
        return secret_texts(iter(sealed))


def json_body(payload: Mapping[str, Any], *, secrets: Sealed | None = None) -> Sealed:
    """Return a request's body.

    :param payload: its keys and values, without the credentials.
    :param secrets: the credentials, sent under ``input``.
    :raises WorkatoConfigurationError: if something is no JSON value.
    """
    body = None
    try:
        credentials = {} if secrets is None else {"input": secrets.reveal()}
        body = Sealed(HiddenBytes(json.dumps({**payload, **credentials}, allow_nan=False).encode()))
    except (TypeError, ValueError, RecursionError):
        pass
    finally:
        credentials = {}
    if body is None:
        raise WorkatoConfigurationError(
            f"{'input' if secrets else 'The arguments'} must consist of texts, numbers, booleans, lists and "
            "objects."
        )
    return body


def is_ambiguous(error: BaseException) -> bool:
    """Tell whether the call may have been carried out although it failed.

    :param error: what :meth:`Transport.send` raised.
    """
    if isinstance(error, WorkatoTransportError):
        return error.request_sent
    if isinstance(error, WorkatoResponseError):
        return error.status is not None and 200 <= error.status < 300
    return isinstance(error, WorkatoServerError)


def may_still_run(error: BaseException) -> bool:
    """Tell whether Workato may still be at work on the call.

    A 500 or 503 is Workato's own last word; any other 5xx, and a 408, comes from something in front of it.

    :param error: an ambiguous error.
    """
    if isinstance(error, WorkatoServerError):
        return error.status not in (500, 503)
    return isinstance(error, WorkatoTransportError) and error.request_sent


def may_repeat(endpoint: Endpoint, error: BaseException) -> bool:
    """Tell whether the same request may be sent again.

    :param endpoint: what was called.
    :param error: why it failed.
    """
    if isinstance(error, WorkatoRateLimitError):
        return True
    if isinstance(error, WorkatoTLSError):
        return False
    if isinstance(error, WorkatoTransportError) and not error.request_sent:
        return True
    return is_ambiguous(error) and not endpoint.creates


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def looks_like_a_list(self) -> bool:
        """Whether the body can be a JSON array; a large one is decoded only once, by its reader."""
        return self.body[:64].lstrip()[:1] == b"[" and self.body[-64:].rstrip()[-1:] == b"]"


class _TooSlow(OSError):
    """The answer came byte by byte for longer than the read timeout allows."""


class _BearerAuth:
    """Adds the token. An explicit auth also keeps a ``.netrc`` from replacing it."""

    def __init__(self, token: Sealed) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


def _open_session(settings: WorkatoSettings) -> requests.Session:
    import requests

    from airflow_provider_workato import __version__

    session = requests.Session()
    session.auth = _BearerAuth(settings.token)
    session.verify = settings.verify
    session.proxies.update(settings.proxies.reveal())
    session.headers["Accept"] = "application/json"
    session.headers["User-Agent"] = f"airflow-provider-workato/{__version__} requests/{requests.__version__}"
    return session


def _read(response: requests.Response, *, within: float) -> bytes:
    """Read a body piece by piece as it arrives: a time-out of the socket would start anew with each byte."""
    deadline = time.monotonic() + within
    limit = None if response.ok else _MAX_ERROR_BODY
    pieces: list[bytes] = []
    size = 0
    while piece := response.raw.read1(1 << 20, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if limit is not None and size >= limit:
            break
        if time.monotonic() > deadline:
            raise _TooSlow
    return b"".join(pieces)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error of the HTTP library with all that it wraps, outermost first."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]
    return found


def _failed_handshake(error: BaseException) -> bool:
    """Tell whether *error* ended a TLS handshake: no byte of the request goes out before it is done."""
    import ssl

    return any(
        frame.f_code is ssl.SSLSocket.do_handshake.__code__
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _may_pass(error: ssl.SSLError) -> bool:
    """Tell whether the next handshake may succeed: the line broke, or the server had trouble of its own."""
    import ssl

    broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(error, broken) or "INTERNAL_ERROR" in (error.reason or "")


def _what(call: Call) -> str:
    return call.endpoint.operation + (f" of connection {call.connection_id}" if call.connection_id else "")


def _what_to_do(message: str) -> str:
    lower = message.lower()
    if "audit log" in lower:
        return (
            "the connection is the destination of audit log streaming. Choose another destination in "
            "Workato's settings first."
        )
    if "recipe" in lower:
        return (
            "active recipes use the connection. Stop them first; a disconnect can also be "
            "forced with force=True."
        )
    return "Workato rejected the call."


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, given in seconds or as a date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment, now = _http_date(value), _http_date(headers.get("Date", ""))
    if moment is None:
        return None
    # The server's own clock, if it tells it: ours may differ.
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _spent(state: RetryCallState, call: Call) -> float:
    """Return the seconds that the attempts and the pauses between them take, the next pause included.

    How long others kept this call waiting says nothing about whether it is worth another attempt.
    """
    return (state.seconds_since_start or 0.0) - call.waited + state.upcoming_sleep


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    floor = getattr(error, "retry_after", None)
    if floor is None:
        return float(_backoff(state))
    # All who were refused together would otherwise come back together.
    return float(floor) + random.uniform(0, 0.5)  # noqa: S311


def _announce(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "%s Trying again in %.1f s (attempt %d).",
        error,
        state.next_action.sleep if state.next_action else 0,
        state.attempt_number + 1,
    )
