"""Sending a call: rate-limited, timed, repeated where that is safe."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.endpoints import Quota
from airflow_provider_workato.client.failures import Failures
from airflow_provider_workato.client.rate_limiter import RateLimiter, rate_limiter_for
from airflow_provider_workato.client.retries import is_ambiguous, retrying
from airflow_provider_workato.client.session import Answer, open_session, read_body
from airflow_provider_workato.exceptions import WorkatoError, WorkatoRateLimitError, WorkatoResponseError

if TYPE_CHECKING:
    from airflow_provider_workato.client.calls import Call
    from airflow_provider_workato.client.settings import WorkatoSettings

#: What was done right before a call is done again if the call leaves later than this, in seconds,
_STALE = 5.0
#: but no more often than this: one that always takes so long must not keep the call for ever.
_MOST_PREPARATIONS = 3


class Transport:
    """Sends calls to one workspace over one reused session.

    :param settings: how to reach the workspace.
    """

    def __init__(self, settings: WorkatoSettings) -> None:
        self.settings = settings
        self.failures = Failures(settings)
        # The hash tells two tokens of one host apart without keeping either.
        token = hashlib.sha256(settings.token.reveal().encode()).hexdigest()
        self._limiters: dict[Quota, RateLimiter] = {
            Quota.LIST: rate_limiter_for(
                (settings.base_url, token, Quota.LIST),
                calls_per_period=settings.list_calls_per_minute,
                period=60,
                shared=True,
            ),
            Quota.OTHER: rate_limiter_for(
                (settings.base_url, token, Quota.OTHER),
                calls_per_period=settings.calls_per_second,
                period=1,
                shared=True,
            ),
        }
        del token
        self.session = open_session(settings)
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
        return retrying(call, budget=self.settings.retry_budget)(self._attempt, call)

    def _attempt(self, call: Call) -> bytes:
        limiter = self._limiters[call.endpoint.quota]
        self._wait_to_start(call, limiter)
        outcome = self._exchange(call)
        error = self._error_in(outcome, call) if isinstance(outcome, Answer) else outcome
        if error is None:
            return cast("Answer", outcome).body
        if isinstance(error, WorkatoError):
            call.answer_lost = call.answer_lost or is_ambiguous(error)
        if isinstance(error, WorkatoRateLimitError) and error.retry_after:
            limiter.pause(error.retry_after)
        # Raised outside of any except block: the frames of the HTTP library hold the request
        # with its credentials in their local variables.
        raise error

    def _wait_to_start(self, call: Call, limiter: RateLimiter) -> None:
        began = time.monotonic()
        granted = limiter.acquire()
        leave = None
        for _ in range(_MOST_PREPARATIONS if call.before_send else 0):
            prepared_at = time.monotonic()
            leave = call.before_send() if call.before_send else None
            if limiter.confirm(granted):
                break
            # To queue up again, and prepare again, would take as long each time.
            granted = limiter.acquire(first=True)
            if time.monotonic() - prepared_at <= _STALE:
                break
        call.waited += time.monotonic() - began
        if leave is not None:
            leave()

    def _exchange(self, call: Call) -> Answer | BaseException:
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
                body = read_body(response, within=settings.read_timeout)
        except requests.exceptions.SSLError as error:
            return self.failures.tls_error(call, error)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            return self.failures.transport_error(call, error)
        except BaseException as error:  # noqa: BLE001 - a time-out of the task, or an interrupt
            return error.with_traceback(None)
        return Answer(status=response.status_code, headers=response.headers, body=body)

    def _error_in(self, answer: Answer, call: Call) -> WorkatoError | None:
        """Return what is wrong with an answer, ``None`` if it is what was asked for."""
        if 300 <= answer.status < 400:
            return self.failures.redirected(answer, call)
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
        return self.failures.api_error(
            answer, payload if isinstance(payload, dict) else {}, call, refused=refused
        )
