"""Turn a failed call into an error that says what failed, why and what to do."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_workato.client.session import Answer, TooSlow
from airflow_provider_workato.connection_form import DATA_CENTERS, LABELS
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
from airflow_provider_workato.redaction import redact, secret_texts, without_credentials

if TYPE_CHECKING:
    import ssl

    from airflow_provider_workato.client.calls import Call
    from airflow_provider_workato.client.endpoints import Endpoint
    from airflow_provider_workato.client.route import Route
    from airflow_provider_workato.client.settings import WorkatoSettings

_ADVICE: dict[int, tuple[type[WorkatoApiError], str]] = {
    400: (WorkatoValidationError, "Workato did not accept the values; {invalid}."),
    401: (
        WorkatoAuthError,
        (
            "the API token of Airflow connection {conn_id!r} is not valid there, or its API client's role "
            "lacks the privilege {privilege!r}. A token works only in its own data center and environment: "
            "check {address!r}, {password!r} and the role."
        ),
    ),
    403: (
        WorkatoPermissionError,
        (
            "the API token of Airflow connection {conn_id!r} is valid, but not for this project, environment "
            "or action. Grant its API client the project and the privilege {privilege!r}."
        ),
    ),
    404: (WorkatoNotFoundError, "{not_found}."),
    422: (WorkatoValidationError, "Workato did not accept the values; {invalid}."),
    429: (
        WorkatoRateLimitError,
        (
            "the workspace's quota (list calls: {list_calls:g} a minute, other calls: {calls:g} a second) is "
            "used up; run fewer Workato tasks in parallel, for example with an Airflow pool."
        ),
    ),
}


class Failures:
    """Turns the failed calls to one workspace into errors.

    :param settings: the workspace's settings.
    :param route: how the calls reach it.
    """

    def __init__(self, settings: WorkatoSettings, route: Route) -> None:
        self.settings = settings
        self.route = route
        #: Whether the workspace has ever answered.
        self.answered = False

    def api_error(
        self, answer: Answer, payload: Mapping[str, Any], call: Call, *, refused: bool
    ) -> WorkatoApiError:
        """Return the error for an answer that reports a failure, by its status or its body.

        :param answer: the answer.
        :param payload: its decoded body; empty if that is not a JSON object.
        :param call: the call.
        :param refused: whether the body says ``"success": false``.
        """
        secrets = self.secrets_of(call)
        message, fields, support_id = error_details(payload)
        # The message can quote an app, and with it credentials that this call does not know.
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
        failed = "was rejected" if kind is WorkatoRejectedError else f"failed with HTTP {answer.status}"
        text = f"{_what(call)} {failed} at {self.settings.place}: {advice}"
        if message:
            text += f" Workato said: {message!r}."
        if fields:
            said = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items())
            text += f" Fields: {said}" + ("" if said.endswith((".", "?", "!")) else ".")
        if support_id:
            text += f" If you contact Workato's support, give them the id {support_id}."
        if kind is WorkatoRateLimitError:
            details["retry_after"] = retry_after(answer.headers)
        return kind(text, **details)

    def _explain(
        self, status: int, endpoint: Endpoint, message: str, *, refused: bool
    ) -> tuple[type[WorkatoApiError], str]:
        """Return the error's class, and the cause with what to do about it."""
        if refused and status not in (401, 403, 404, 429) and status < 500:
            return WorkatoRejectedError, _what_to_do(message)
        if status >= 500 or status == 408:
            return WorkatoServerError, "Workato, or a proxy in front of it, failed; try again later."
        kind, advice = _ADVICE.get(status, (WorkatoApiError, "Workato refused the call."))
        if status == 401:
            advice += self.settings.assumption
        if status == 401 and (region := self._data_center_of_token()):
            advice += f" The token looks like one of data center {region!r}."
        return kind, advice.format(
            conn_id=self.settings.conn_id,
            privilege=endpoint.privilege,
            address=LABELS[self.settings.address_setting],
            not_found=endpoint.not_found.format(conn_id=self.settings.conn_id, **LABELS),
            invalid=endpoint.invalid,
            list_calls=self.settings.list_calls_per_minute,
            calls=self.settings.calls_per_second,
            **LABELS,
        )

    def _data_center_of_token(self) -> str | None:
        """Return the data center that the token's prefix names, if the calls go to another."""
        prefix = re.match(r"wrka([a-z]{2,5})-", self.settings.token.reveal())
        region = prefix[1] if prefix else None
        return region if region in DATA_CENTERS and region != self.settings.data_center else None

    def redirected(self, answer: Answer, call: Call) -> WorkatoResponseError:
        """Return the error for a redirect.

        :param answer: the answer.
        :param call: the call.
        """
        try:
            target = urlsplit(answer.headers.get("Location", "")).hostname
        except ValueError:
            target = None
        return WorkatoResponseError(
            f"{_what(call)} was redirected from {self.settings.base_url} to "
            f"{redact(target or 'another address', self.secrets_of(call), limit=120)}. "
            "Redirects are not followed, so that the API token reaches no other host. Correct "
            f"{LABELS['host']!r} or {LABELS['data_center']!r} of Airflow connection "
            f"{self.settings.conn_id!r}.",
            status=answer.status,
            operation=call.endpoint.operation,
        )

    def tls_error(self, call: Call, error: Exception) -> WorkatoError:
        """Return the error for a TLS failure.

        :param call: the call.
        :param error: the HTTP library's exception.
        """
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
        elif reason is not None and _is_about_client_certificate(reason):
            return self.client_certificate_error(call, said=reason.reason)
        elif reason is not None and _failed_handshake(reason) and not _may_pass(reason):
            said = redact(reason.reason or type(reason).__name__, [], limit=80)
            text = (
                f"the TLS handshake with {self.settings.base_url} failed ({said}). If the server speaks "
                f"plain HTTP, write http:// in front of {LABELS['host']!r} of {connection}; otherwise check "
                "host and port, and whether it demands a client certificate, which goes into "
                f"{self.route.client_sources[0]}."
            )
        else:
            return self.transport_error(call, error)
        return WorkatoTLSError(
            f"{_what(call)} was not sent: {text}",
            operation=call.endpoint.operation,
            request_sent=False,
        )

    def client_certificate_error(self, call: Call, *, said: str) -> WorkatoTLSError:
        """Return the error for a server that demands a client certificate, or refuses the one it got.

        :param call: the call, which the server has not read.
        :param said: the server's words.
        """
        field, paths = self.route.client_sources[0], self.route.client_certificate
        text = f"demands a client certificate. Put the path of one into {field}."
        if paths is not None:
            text = (
                f"does not accept the client certificate in {paths[0][:200]!r}: it may have expired, or be "
                f"of an authority that the server does not know. Correct the file, or its path in {field}."
            )
        return WorkatoTLSError(
            f"{_what(call)} was not carried out: {self.settings.base_url} {text} It said "
            f"{redact(said, [], limit=80)!r}.",
            operation=call.endpoint.operation,
            request_sent=False,
        )

    def transport_error(self, call: Call, error: Exception) -> WorkatoError:
        """Return the error for a call that got no answer, or that this machine could not send.

        :param call: the call.
        :param error: the exception of the HTTP library or the operating system.
        """
        import requests
        import urllib3

        never_left = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
        sent = not isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)) and not any(
            isinstance(e, never_left) or _before_sending(e) for e in _chain(error)
        )
        if not sent and (problem := self._problem_here(error)):
            return WorkatoConfigurationError(f"{_what(call)} was not sent: {problem}")
        reason = next((e for e in reversed(_chain(error)) if isinstance(e, OSError) and e.strerror), None)
        slow = isinstance(error, (requests.Timeout, TooSlow)) or any(
            isinstance(e, urllib3.exceptions.ReadTimeoutError) for e in _chain(error)
        )
        if sent and not slow and (alert := self._late_alert(error)):
            return self.client_certificate_error(call, said=alert)
        if slow:
            limit = self.settings.read_timeout if sent else self.settings.connect_timeout
            said = f"no complete answer within {limit:g} s" if sent else f"no connection within {limit:g} s"
        elif reason is not None:
            said = f"{type(reason).__name__}: {reason.strerror}"
        else:
            said = type(error).__name__
        after = "; the request was not sent"
        if sent:
            after = "" if call.endpoint.reads else "; the request may have been carried out"
        through = f" through the proxy {self.route.address}" if self.route.address else ""
        return WorkatoTransportError(
            f"{_what(call)} got no answer from {self.settings.place}{through}: {redact(said, [])}{after}. "
            f"{self._advice_without_answer(sent=sent, slow=slow, reason=reason)}",
            operation=call.endpoint.operation,
            request_sent=sent,
        )

    def _late_alert(self, error: Exception) -> str | None:
        """Return what the server has against the client certificate, if that was lost with the connection."""
        import ssl

        broken = any(_raised_in(e, ssl.SSLSocket.read, ssl.SSLSocket.send) for e in _chain(error))
        if not broken or self.answered or self.route.address:
            return None
        alert = self.route.alert(self.settings)
        return alert.reason if alert is not None and _is_about_client_certificate(alert) else None

    def _problem_here(self, error: Exception) -> str | None:
        """Return what is wrong with a file of this machine, without which no TLS connection begins."""
        if any(_failed_handshake(e) for e in _chain(error)):
            return None
        # Of all errors, only those about files have a file's name.
        named = next((e for e in _chain(error) if isinstance(e, OSError) and e.filename), None)
        if named is None:
            return self.route.problem_of_files()
        return (
            f"{str(named.filename)[:200]!r} cannot be used ({named.strerror}). Correct the environment "
            "variable that names it, such as SSLKEYLOGFILE."
        )

    def _advice_without_answer(self, *, sent: bool, slow: bool, reason: OSError | None) -> str:
        connection = f"Airflow connection {self.settings.conn_id!r}"
        if self.settings.is_local and not self.route.address and isinstance(reason, ConnectionRefusedError):
            return (
                "Nothing listens there. If it is the sandbox, start it with the command workato-sandbox; "
                f"otherwise correct {LABELS['host']!r} of {connection}."
            )
        if not sent:
            labels = f"{LABELS['host']!r}, {LABELS['data_center']!r} and {LABELS['proxies']!r}"
            variable = self.route.address and not self.settings.proxies.reveal()
            return f"Check {labels} of {connection}{f', and {self.route.proxy_source}' if variable else ''}."
        if slow:
            return (
                "Workato or the network is slow; try again later, or raise "
                f"{LABELS['read_timeout']!r} of {connection}."
            )
        return "Workato, a proxy or the network closed the connection; try again later."

    def secrets_of(self, call: Call) -> list[str]:
        """Return the strings that must not be shown when an answer to *call* is quoted.

        :param call: the call.
        """
        sealed = [self.settings.token.reveal()]
        if call.secrets is not None:
            sealed.extend(call.secrets.leaves())
        return secret_texts(iter(sealed))


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception of the HTTP library and all exceptions that it wraps, outermost first."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]
    return found


def _failed_handshake(error: BaseException) -> bool:
    """Return whether *error* was raised during a TLS handshake."""
    import ssl

    return _raised_in(error, ssl.SSLSocket.do_handshake)


def _before_sending(error: BaseException) -> bool:
    """Return whether *error* was raised while connecting, before any byte of the request is sent."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection

    return _failed_handshake(error) or _raised_in(
        error, HTTPAdapter.cert_verify, HTTPConnection.connect, HTTPSConnection.connect
    )


def _raised_in(error: BaseException, *functions: Any) -> bool:
    codes = [getattr(function, "__code__", None) for function in functions]
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def _is_about_client_certificate(error: ssl.SSLError) -> bool:
    """Return whether *error* is a server's refusal of the client's certificate, or of its absence."""
    return bool(re.search(r"ALERT_(.*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)", error.reason or ""))


def _may_pass(error: ssl.SSLError) -> bool:
    """Return whether the next handshake may succeed: the connection broke, or the server failed."""
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


def error_details(payload: Mapping[str, Any]) -> tuple[str, dict[str, list[str]], str | None]:
    """Return the message, the errors by field and the support id in the body of an error.

    :param payload: the decoded body, in any of the shapes that Workato uses.
    """
    message = next(
        (payload[key] for key in ("message", "error", "detail", "description", "error_type", "title")
         if isinstance(payload.get(key), str) and payload[key]),
        "",
    )  # fmt: skip
    errors = payload.get("errors")
    fields: dict[str, list[str]] = {}
    if isinstance(errors, Mapping):
        for name, texts in errors.items():
            fields[str(name)] = [str(text) for text in texts] if isinstance(texts, list) else [str(texts)]
    elif isinstance(errors, list):
        titles = [
            str(error.get("title") or error.get("message") or error.get("code"))
            if isinstance(error, Mapping)
            else str(error)
            for error in errors
        ]
        message = message or "; ".join(titles)
    support_id = payload.get("id")
    return message, fields, support_id if isinstance(support_id, str) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait according to a ``Retry-After`` header, which holds seconds or a date.

    :param headers: the answer's headers.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment, now = _http_date(value), _http_date(headers.get("Date", ""))
    if moment is None:
        return None
    # Compare with the server's own clock, if it sends one: ours may differ.
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
