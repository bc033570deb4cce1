"""Decide which failed calls are retried, and when."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from airflow_provider_workato.exceptions import (
    WorkatoMismatchError,
    WorkatoRateLimitError,
    WorkatoResponseError,
    WorkatoServerError,
    WorkatoTLSError,
    WorkatoTransportError,
)

if TYPE_CHECKING:
    from airflow_provider_workato.client.calls import Call
    from airflow_provider_workato.client.endpoints import Endpoint

log = logging.getLogger(__name__)

_backoff = wait_random_exponential(multiplier=0.5, max=30)


def retrying(call: Call, *, budget: float, looks_up: bool = False) -> Retrying:
    """Return the retry policy of a call.

    :param call: the call.
    :param budget: seconds of attempts and pauses after which no further attempt starts.
    :param looks_up: whether an attempt that may have been carried out ends with a look-up, and fails only if
        that shows that it was not. Then a create may be repeated, too.
    """
    return Retrying(
        retry=retry_if_exception(lambda error: may_repeat(call.endpoint, error, looks_up=looks_up)),
        wait=_wait,
        stop=lambda state: _spent(state, call) >= budget,
        before_sleep=lambda state: _announce(state, call),
        reraise=True,
    )


def is_ambiguous(error: BaseException) -> bool:
    """Return whether a failed call may have been carried out.

    :param error: the exception that :meth:`Transport.send` raised.
    """
    if isinstance(error, WorkatoTransportError):
        return error.request_sent
    if isinstance(error, WorkatoResponseError):
        return error.status is not None and 200 <= error.status < 300
    return isinstance(error, WorkatoServerError)


def may_still_run(error: BaseException) -> bool:
    """Return whether Workato may still be processing the call.

    A 500 or 503 is Workato's own final answer. A 408 or any other 5xx comes from a proxy in front of it. An
    answer that shows another connection may be the answer to another call.

    :param error: an ambiguous error.
    """
    if isinstance(error, WorkatoServerError):
        return error.status not in (500, 503)
    if isinstance(error, WorkatoMismatchError):
        return True
    return isinstance(error, WorkatoTransportError) and error.request_sent


def may_repeat(endpoint: Endpoint, error: BaseException, *, looks_up: bool = False) -> bool:
    """Return whether a failed call may be sent again.

    :param endpoint: the call's endpoint.
    :param error: the exception that the call raised.
    :param looks_up: see :func:`retrying`.
    """
    if looks_up and getattr(error, "operation", "") != endpoint.operation:
        # The look-up failed, or what was done with its result.
        return False
    if isinstance(error, WorkatoRateLimitError):
        return True
    if isinstance(error, WorkatoTLSError):
        return False
    if isinstance(error, WorkatoTransportError) and not error.request_sent:
        return True
    if not endpoint.creates:
        return is_ambiguous(error)
    # If the answer shows another connection, the one meant may exist under another name, as would the next.
    return looks_up and is_ambiguous(error) and not isinstance(error, WorkatoMismatchError)


def _spent(state: RetryCallState, call: Call) -> float:
    """Return the seconds spent on attempts and pauses, including the next pause.

    Waiting for the rate limiter does not count: it depends on other calls and not on this one's chances.
    """
    return (state.seconds_since_start or 0.0) - call.waited + state.upcoming_sleep


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    floor = getattr(error, "retry_after", None)
    if floor is None:
        return float(_backoff(state))
    # Spread the retries of calls that were rejected together.
    return float(floor) + random.uniform(0, 0.5)  # noqa: S311


def _announce(state: RetryCallState, call: Call) -> None:
    error = state.outcome.exception() if state.outcome else None
    looked_up = call.endpoint.creates and error is not None and is_ambiguous(error)
    log.warning(
        "%s again in %.1f s (attempt %d).",
        "The connection was not created; sending the request" if looked_up else f"{error} Trying",
        state.next_action.sleep if state.next_action else 0,
        state.attempt_number + 1,
    )
