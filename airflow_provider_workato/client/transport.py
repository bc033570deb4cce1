"""Send a call: rate-limited, within its timeouts, and retried where that is safe."""

from __future__ import annotations

import hashlib
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workato.client.decoding import decode
from airflow_provider_workato.client.endpoints import Quota
from airflow_provider_workato.client.failures import Failures
from airflow_provider_workato.client.rate_limiter import RateLimiter, rate_limiter_for
from airflow_provider_workato.client.retries import is_ambiguous, retrying
from airflow_provider_workato.client.route import Route
from airflow_provider_workato.client.session import Answer, open_session, read_body
from airflow_provider_workato.exceptions import WorkatoError, WorkatoRateLimitError, WorkatoResponseError
from airflow_provider_workato.redaction import Sealed

if TYPE_CHECKING:
    from airflow_provider_workato.client.calls import Call
    from airflow_provider_workato.client.settings import WorkatoSettings

#: nginx accepts any client certificate, and none, in the handshake, and then refuses the request.
_CERTIFICATE_PAGE = re.compile(rb"<title>400 ([\w ]*SSL certificate[\w ]*)</title>")


class Transport:
    """Sends calls to one workspace over one HTTP session.

    :param settings: the workspace's settings.
    """

    def __init__(self, settings: WorkatoSettings) -> None:
        self.settings = settings
        # The hash distinguishes two tokens of one host without storing either.
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
        route = Route.of(settings)
        self.session = open_session(settings, route)
        self.failures = Failures(settings, route)

    def send(self, call: Call) -> Any:
        """Send *call* and return the decoded answer.

        :param call: the call.
        :raises WorkatoError: if the call fails; the class depends on the remedy.
        """
        return decode(self.send_raw(call).body, operation=call.endpoint.operation)

    def send_raw(self, call: Call) -> Answer:
        """Send *call* and return the answer, whose body is complete JSON or looks like a list.

        :param call: the call.
        :raises WorkatoError: if the call fails; the class depends on the remedy.
        """
        return retrying(call, budget=self.settings.retry_budget)(self._attempt, call)

    def _attempt(self, call: Call) -> Answer:
        began = time.monotonic()
        self.limiter(call).acquire()
        call.waited += time.monotonic() - began
        return self.send_once(call)

    def limiter(self, call: Call) -> RateLimiter:
        """Return the rate limiter that says when *call* may start.

        :param call: the call.
        """
        return self._limiters[call.endpoint.quota]

    def send_once(self, call: Call) -> Answer:
        """Send *call* now, once, and return the answer.

        :param call: a call that its rate limiter has let start.
        :raises WorkatoError: if the call fails; the class depends on the remedy.
        """
        outcome = self._exchange(call)
        error = self._error_in(outcome, call) if isinstance(outcome, Answer) else outcome
        if error is None:
            return cast("Answer", outcome)
        if isinstance(error, WorkatoError):
            call.answer_lost = call.answer_lost or is_ambiguous(error)
        if isinstance(error, WorkatoRateLimitError) and error.retry_after:
            self.limiter(call).pause(error.retry_after)
        # Raise outside any except block: the local variables of the HTTP library's frames hold the request
        # with its credentials.
        raise error

    def secrets_of(self, call: Call) -> Sealed:
        """Return the strings that must not be shown when an answer to *call* is quoted, longest first.

        :param call: the call.
        """
        return Sealed(self.failures.secrets_of(call))

    def _exchange(self, call: Call) -> Answer | BaseException:
        import http.client

        import requests
        import urllib3

        settings, headers = self.settings, {}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.etag:
            headers["If-None-Match"] = call.etag
        try:
            # Through the session's front door, where libraries that mock `requests` wait.
            response = self.session.request(
                call.endpoint.method,
                settings.base_url + call.path(),
                data=None if call.body is None else call.body.reveal(),
                headers=headers,
                timeout=(settings.connect_timeout, settings.read_timeout),
                allow_redirects=False,
                stream=True,
            )
            with response:
                self.failures.answered = True
                body = read_body(response, within=settings.read_timeout)
        except requests.exceptions.SSLError as error:
            return self.failures.tls_error(call, error)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
            # A client key that is not text.
            UnicodeDecodeError,
        ) as error:
            return self.failures.transport_error(call, error)
        except BaseException as error:  # noqa: BLE001 - the task's timeout or an interrupt
            return error.with_traceback(None)
        return Answer(status=response.status_code, headers=response.headers, body=body)

    def _error_in(self, answer: Answer, call: Call) -> WorkatoError | None:
        """Return the error that an answer reports, or ``None`` if it reports success."""
        if answer.status == HTTPStatus.NOT_MODIFIED and call.etag:
            return None
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
                if page := _CERTIFICATE_PAGE.search(answer.body):
                    return self.failures.client_certificate_error(call, said=page[1].decode())
        refused = isinstance(payload, dict) and payload.get("success") is False
        if 200 <= answer.status < 300 and not refused:
            return None
        return self.failures.api_error(
            answer, payload if isinstance(payload, dict) else {}, call, refused=refused
        )
