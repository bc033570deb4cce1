"""Each fault, seen from the other end of the line."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_workato.sandbox.client import wait_until
from airflow_provider_workato.sandbox.effects import EFFECTS
from airflow_provider_workato.sandbox.faults import FAULTS
from tests.support.raw import Received, receive, sent
from tests.support.sandbox import RunningSandbox

CREATE = {"name": "Prod JIRA", "provider": "jira", "external_id": "acme", "input": {"key": ["s3cr3t-leaf"]}}


def send_create(sandbox: RunningSandbox, *, patience: float = 30.0) -> Received:
    with sent(sandbox.url, token=sandbox.token, method="POST", path="/api/connections", body=CREATE) as line:
        return receive(line, patience=patience)


def created(sandbox: RunningSandbox) -> int:
    counts: dict[str, int] = sandbox.control.state()["counts"]
    return counts["created"]


def reset_before_answer(seen: Received) -> None:
    assert (seen.data, seen.end) == (b"", "reset")


def close_before_answer(seen: Received) -> None:
    assert (seen.data, seen.end) == (b"", "close")


def reset_mid_body(seen: Received) -> None:
    assert (seen.status, seen.end) == (200, "reset")
    assert 0 < len(seen.body) < int(seen.headers["content-length"])


def close_mid_body(seen: Received) -> None:
    assert (seen.status, seen.end) == (200, "close")
    assert 0 < len(seen.body) < int(seen.headers["content-length"])


def is_right(seen: Received) -> None:
    assert (seen.status, seen.end, seen.is_complete) == (200, "close", True)
    assert json.loads(seen.body)["external_id"] == "acme"


def answer(status: int, body: Any = None, **headers: str) -> Callable[[Received], None]:
    def check(seen: Received) -> None:
        assert (seen.status, seen.end, seen.is_complete) == (status, "close", True)
        assert (
            headers.items() <= {name.replace("-", "_"): text for name, text in seen.headers.items()}.items()
        )
        if body is not None:
            assert json.loads(seen.body) == body

    return check


def html(status: int) -> Callable[[Received], None]:
    def check(seen: Received) -> None:
        answer(status, content_type="text/html")(seen)
        assert seen.body.startswith(b"<html>")

    return check


def rate_limited_date(seen: Received) -> None:
    answer(429)(seen)
    shown = parsedate_to_datetime(seen.headers["retry-after"])
    assert shown > parsedate_to_datetime(seen.headers["date"])


def rate_limited_no_header(seen: Received) -> None:
    answer(429, {"message": "Too many requests"})(seen)
    assert "retry-after" not in seen.headers


def echo_secret(seen: Received) -> None:
    answer(400)(seen)
    assert b"s3cr3t-leaf" in seen.body


def truncated_json(seen: Received) -> None:
    answer(200, content_type="application/json")(seen)
    with pytest.raises(json.JSONDecodeError):
        json.loads(seen.body)


def wrong_types(seen: Received) -> None:
    answer(200)(seen)
    body = json.loads(seen.body)
    assert (body["id"], body["name"]) == ("letters", 7)


def extra_keys(seen: Received) -> None:
    is_right(seen)
    assert "undocumented" in json.loads(seen.body)


def missing_keys(seen: Received) -> None:
    answer(200)(seen)
    assert list(json.loads(seen.body)) == ["id"]


def result_envelope(seen: Received) -> None:
    answer(200)(seen)
    assert json.loads(seen.body)["result"]["external_id"] == "acme"


SEEN: dict[str, Callable[[Received], None]] = {
    "reset_before_answer": reset_before_answer,
    "close_before_answer": close_before_answer,
    "reset_mid_body": reset_mid_body,
    "close_mid_body": close_mid_body,
    "timeout": close_before_answer,
    "delay": is_right,
    "hold": is_right,
    "slow_server": is_right,
    "slow_headers": is_right,
    "slow_trickle": is_right,
    "rate_limited_seconds": answer(429, {"message": "Too many requests"}, retry_after="1"),
    "rate_limited_date": rate_limited_date,
    "rate_limited_nonsense": answer(429, retry_after="soon"),
    "rate_limited_no_header": rate_limited_no_header,
    "server_error": answer(500, {"message": "Server error", "id": "3188c2d0-29a4-4080-908e-582e7ed82580"}),
    "bad_gateway_html": html(502),
    "service_unavailable": answer(503, {"message": "Service unavailable"}),
    "gateway_timeout_html": html(504),
    "unauthorized": answer(401, {"message": "Unauthorized"}),
    "forbidden": answer(403, {"message": "Forbidden"}),
    "forbidden_html": html(403),
    "not_found": answer(404, {"message": "Not found"}),
    "validation_error": answer(400),
    "success_false": answer(200),
    "redirect": answer(302, location="http://localhost:9/elsewhere"),
    "echo_secret": echo_secret,
    "html_page": html(200),
    "null_body": answer(200),
    "truncated_json": truncated_json,
    "wrong_types": wrong_types,
    "stored_otherwise": is_right,
    "extra_keys": extra_keys,
    "missing_keys": missing_keys,
    "result_envelope": result_envelope,
}

# Short ones, so that the tests are.
PARAMETERS: dict[str, dict[str, Any]] = {
    "timeout": {"max_seconds": 0.1},
    "delay": {"seconds": 0.1},
    "hold": {"max_seconds": 0.1},
    "slow_server": {"max_seconds": 0.1},
    "slow_headers": {"seconds": 0.0005},
    "slow_trickle": {"seconds": 0.0005},
}

NEVER_ANSWERED = {"reset_before_answer", "close_before_answer", "timeout"}
ALWAYS_PERFORMED = {"delay", "hold", "slow_server"} | {
    name for name, fault in FAULTS.items() if fault.needs_response
}
# What arrives depends on the real answer only where that is what the fault works on.
OF_THE_REAL_ANSWER = {"slow_headers", "slow_trickle"}


def test_every_fault_of_the_table_is_done_and_tested() -> None:
    assert set(FAULTS) == set(EFFECTS) == set(SEEN)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_client_sees(sandbox: RunningSandbox, fault: str) -> None:
    sandbox.control.add_fault(fault, operation="create_connection", **PARAMETERS.get(fault, {}))
    SEEN[fault](send_create(sandbox))
    assert created(sandbox) == FAULTS[fault].performed

    (entry,) = sandbox.control.requests()
    assert entry["fault"] == fault
    assert (entry["status"] is None) == (fault in NEVER_ANSWERED)

    is_right(send_create(sandbox))
    assert sandbox.control.requests()[-1]["fault"] is None


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - ALWAYS_PERFORMED))
@pytest.mark.parametrize("performed", [True, False])
def test_whether_the_call_is_carried_out(sandbox: RunningSandbox, fault: str, *, performed: bool) -> None:
    sandbox.control.add_fault(fault, performed=performed, **PARAMETERS.get(fault, {}))
    seen = send_create(sandbox)
    if performed or fault not in OF_THE_REAL_ANSWER:
        SEEN[fault](seen)
    assert created(sandbox) == performed


@pytest.mark.parametrize("fault", sorted(name for name, fault in FAULTS.items() if fault.needs_response))
def test_the_real_answer_takes_a_real_call(sandbox: RunningSandbox, fault: str) -> None:
    with pytest.raises(RuntimeError, match=r"422 .*performed cannot be false"):
        sandbox.control.add_fault(fault, performed=False)


class TestRules:
    def outcomes(self, sandbox: RunningSandbox, count: int) -> list[int]:
        return [sandbox.call("GET", "connections").status_code for _ in range(count)]

    def test_times_and_skip(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("forbidden", times=2, skip=1)
        assert self.outcomes(sandbox, 5) == [200, 403, 403, 200, 200]
        (rule,) = sandbox.control.faults()
        assert (rule["hits"], rule["times"], rule["skip"]) == (2, 0, 0)

    def test_for_ever(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("forbidden", times=None)
        assert self.outcomes(sandbox, 4) == [403] * 4
        sandbox.control.clear_faults()
        assert self.outcomes(sandbox, 1) == [200]

    def test_rules_are_a_script(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("forbidden")
        sandbox.control.add_fault("unauthorized", operation="create_connection")
        sandbox.control.add_fault("service_unavailable", operation="list_connections", times=2)
        assert self.outcomes(sandbox, 4) == [403, 503, 503, 200]
        assert sandbox.call("POST", "connections", json=CREATE).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "operation"),
        [
            ("GET", "connections?folder_id=1", "list_connections"),
            ("POST", "connections", "create_connection"),
            ("PUT", "connections/36", "update_connection"),
            ("POST", "connections/36/disconnect", "disconnect_connection"),
            ("DELETE", "connections/36", "delete_connection"),
            ("POST", "connections/36/pick_list", "get_picklist"),
            ("POST", "connections/runtime_user_connections", "create_runtime_user_connection"),
            ("GET", "connections/runtime_user_connections/36/get_oauth_url", "get_oauth_url"),
            ("GET", "users/me", "get_workspace"),
            ("GET", "connections/36", "unknown"),
        ],
    )
    def test_every_operation(self, sandbox: RunningSandbox, method: str, path: str, operation: str) -> None:
        sandbox.control.add_fault("forbidden", operation=operation)
        assert sandbox.call(method, path).status_code == 403
        assert sandbox.control.requests()[0]["operation"] == operation

    @pytest.mark.parametrize(
        ("fault", "arguments", "message"),
        [
            ("nonsense", {}, "unknown fault 'nonsense'; known: reset_before_answer"),
            ("forbidden", {"operation": "get_connection"}, "unknown operation 'get_connection'; known: "),
            ("forbidden", {"seconds": 1}, "forbidden has no parameter 'seconds'; it has: none"),
            ("delay", {"second": 1}, "delay has no parameter 'second'; it has: seconds"),
            ("delay", {"seconds": "1"}, "seconds of delay must be a number"),
            ("delay", {"seconds": True}, "seconds of delay must be a number"),
            ("delay", {"seconds": -1}, "seconds of delay must be finite and not negative"),
            ("redirect", {"location": 5}, "location of redirect must be a string"),
            ("echo_secret", {"secret": "all"}, "secret of echo_secret must be one of: input, token"),
            ("delay", {"times": 0}, "body.times: Input should be greater than or equal to 1"),
        ],
    )
    def test_mistakes(
        self, sandbox: RunningSandbox, fault: str, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(RuntimeError, match="422") as caught:
            sandbox.control.add_fault(fault, **arguments)
        assert message in str(caught.value)
        assert sandbox.control.faults() == []


class TestParameters:
    def test_echo_of_the_token(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("echo_secret", secret="token", status=422)
        seen = sandbox.call("POST", "connections", json=CREATE)
        assert seen.status_code == 422
        assert sandbox.token in seen.text
        assert "s3cr3t-leaf" not in seen.text

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"input": {"a": 5}}'])
    def test_echo_of_the_token_where_there_is_no_input(self, sandbox: RunningSandbox, body: bytes) -> None:
        sandbox.control.add_fault("echo_secret")
        assert sandbox.token in sandbox.call("POST", "connections", data=body).text

    def test_redirect(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("redirect", location="http://127.0.0.2:81/x", status=307)
        seen = sandbox.call("GET", "connections")
        assert (seen.status_code, seen.headers["location"]) == (307, "http://127.0.0.2:81/x")

    def test_texts(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("rate_limited_nonsense", text="-5")
        sandbox.control.add_fault("rate_limited_seconds", seconds=2.5)
        sandbox.control.add_fault("success_false", message="no")
        sandbox.control.add_fault("server_error", support_id="abc")
        assert sandbox.call("GET", "connections").headers["retry-after"] == "-5"
        assert sandbox.call("GET", "connections").headers["retry-after"] == "2.5"
        assert sandbox.call("GET", "connections").json() == {
            "success": False,
            "status": "rejected",
            "message": "no",
        }
        assert sandbox.call("GET", "connections").json()["id"] == "abc"

    def test_wrong_container(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("wrong_types", times=2, shape="container")
        assert list(sandbox.call("GET", "connections").json()) == ["connections"]
        assert isinstance(sandbox.call("POST", "connections", json=CREATE).json(), list)

    @pytest.mark.parametrize(
        ("how", "stored"),
        [
            ("trimmed", "Zoe\u0308"),
            ("normalized", " Zo\u00eb\n"),
            ("cut", " Zoe\u0308\n"),
            ("replaced", "another  Zoe\u0308\n"),
        ],
    )
    def test_texts_stored_in_another_form(self, sandbox: RunningSandbox, how: str, stored: str) -> None:
        sandbox.control.add_fault("stored_otherwise", how=how, operation="create_connection")
        body = {"name": " Zoe\u0308\n", "provider": "rest", "external_id": " Zoe\u0308\n"}
        made = sandbox.call("POST", "connections", json=body).json()
        assert made["name"] == made["external_id"] == stored
        assert sandbox.control.connection(made["id"])["name"] == stored
        sandbox.control.add_fault("stored_otherwise", how="cut")
        assert (
            len(sandbox.call("PUT", f"connections/{made['id']}", json={"name": "x" * 300}).json()["name"])
            == 255
        )

    def test_picklist_rows(self, sandbox: RunningSandbox) -> None:
        def rows(fault: str) -> Any:
            sandbox.control.add_fault(fault)
            body = {"pick_list_name": "all_sobjects"}
            return sandbox.call("POST", "connections/36/pick_list", json=body).json()["data"]

        assert rows("missing_keys")[0] == ["Account", "Account"]
        assert rows("extra_keys")[0] == ["Account", "Account", None, False, "another column"]
        assert rows("wrong_types")[0] == "letters"

    def test_wrong_types_elsewhere(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("wrong_types", times=2)
        url = sandbox.call("GET", "connections/runtime_user_connections/36/get_oauth_url").json()
        assert url == {"data": {"url": 7}}
        assert sandbox.call("DELETE", "connections/36").json() == {"success": "maybe", "status": 7}

    def test_an_answer_longer_than_a_socket_takes_at_once(self, sandbox: RunningSandbox) -> None:
        sandbox.control.seed(count=3000)
        sandbox.control.add_fault("reset_mid_body")
        with sent(sandbox.url, token=sandbox.token, method="GET", path="/api/connections") as line:
            seen = receive(line)
        reset_mid_body(seen)


class TestSlowness:
    def test_headers_come_byte_by_byte(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("slow_headers", seconds=60)
        with sent(sandbox.url, token=sandbox.token, method="GET", path="/api/connections") as line:
            assert line.recv(65_536) == b"H"

    def test_body_comes_byte_by_byte(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("slow_trickle", seconds=0.1)
        with sent(sandbox.url, token=sandbox.token, method="GET", path="/api/connections") as line:
            data = b""
            while b"\r\n\r\n[{" not in data:
                data += (piece := line.recv(65_536))
                # The headers come at once, and after them never much at a time.
                assert piece.endswith(b"\r\n\r\n") or len(piece) < 10

    def test_delay_waits(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("delay", seconds=0.3)
        start = time.monotonic()
        assert sandbox.call("GET", "connections").status_code == 200
        assert time.monotonic() - start >= 0.3

    def test_timeout_is_silence(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("timeout")
        assert send_create(sandbox, patience=0.2) == Received(data=b"", end="silence")

    @pytest.mark.parametrize("fault", ["slow_headers", "slow_trickle", "timeout", "delay", "hold"])
    def test_a_client_that_leaves_ends_it(self, sandbox: RunningSandbox, fault: str) -> None:
        (name,) = FAULTS[fault].parameters
        long: dict[str, Any] = {name: 3600}
        sandbox.control.add_fault(fault, performed=False, **long)
        send_create(sandbox, patience=0.1)
        assert sandbox.call("GET", "connections").status_code == 200
        wait_until(lambda: not sandbox.control.held(), what="the end of the hold")
        assert created(sandbox) == 0


class TestHold:
    @pytest.mark.parametrize("performed", [True, False])
    def test_hold_and_release(self, sandbox: RunningSandbox, *, performed: bool) -> None:
        sandbox.control.add_fault("hold", operation="create_connection", performed=performed)
        answers: list[requests.Response] = []
        caller = threading.Thread(
            target=lambda: answers.append(sandbox.call("POST", "connections", json=CREATE)), daemon=True
        )
        caller.start()
        (held,) = sandbox.control.wait_held()
        assert (held["operation"], held["performed"], held["seq"]) == ("create_connection", performed, 1)
        assert created(sandbox) == performed
        assert answers == []
        # Others are served meanwhile.
        assert requests.get(f"{sandbox.url}/", timeout=30).status_code == 200

        assert sandbox.control.release() == 1
        caller.join(timeout=30)
        assert answers[0].json()["external_id"] == "acme"
        assert created(sandbox) == 1
        assert sandbox.control.held() == []
        assert sandbox.control.release() == 0

    @pytest.mark.parametrize("performed", [True, False])
    def test_a_killed_client(self, sandbox: RunningSandbox, *, performed: bool) -> None:
        sandbox.control.add_fault("hold", performed=performed)
        with sent(sandbox.url, token=sandbox.token, method="POST", path="/api/connections", body=CREATE):
            sandbox.control.wait_held()
        wait_until(lambda: not sandbox.control.held(), what="the end of the hold")
        assert created(sandbox) == performed

    def test_a_slow_server_does_not_notice_a_killed_client(self, sandbox: RunningSandbox) -> None:
        sandbox.control.add_fault("slow_server", operation="create_connection", performed=False)
        with sent(sandbox.url, token=sandbox.token, method="POST", path="/api/connections", body=CREATE):
            sandbox.control.wait_held()
        # The same line of the server's: had it been told of the end, it would have been before this answer.
        assert sandbox.call("GET", "connections").status_code == 200
        assert len(sandbox.control.held()) == 1
        assert created(sandbox) == 0

        sandbox.control.release()
        wait_until(lambda: not sandbox.control.held(), what="the end of the hold")
        assert created(sandbox) == 1

    def test_waiting_for_a_hold_gives_up(self, sandbox: RunningSandbox) -> None:
        with pytest.raises(TimeoutError, match="the hold of 2 call"):
            sandbox.control.wait_held(count=2, deadline=0.1)


def test_refusals_of_the_gate_take_no_fault(sandbox: RunningSandbox) -> None:
    sandbox.control.add_fault("forbidden")
    sandbox.control.set_quota(list_per_minute=1)
    assert requests.get(f"{sandbox.url}/api/connections", timeout=30).status_code == 401
    assert sandbox.call("GET", "connections").status_code == 403
    sandbox.control.add_fault("forbidden")
    assert sandbox.call("GET", "connections").status_code == 429
    assert [rule["hits"] for rule in sandbox.control.faults()] == [1, 0]


@pytest.mark.parametrize("fault", [None, "reset_before_answer", "hold"])
def test_a_client_that_leaves_in_the_middle_of_its_request(
    sandbox: RunningSandbox, fault: str | None
) -> None:
    if fault is not None:
        sandbox.control.add_fault(fault, times=None)
    address = urlsplit(sandbox.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as line:
        head = f"POST /api/connections HTTP/1.1\r\nHost: {address.netloc}\r\n"
        head += f"Authorization: Bearer {sandbox.token}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 60\r\n\r\n"
        # Whole as JSON, half of what was announced.
        line.sendall(f'{head}{{"name": "n", "provider": "rest"}}'.encode())
        wait_until(sandbox.control.requests, what="the request")
    assert sandbox.control.held() == []
    assert created(sandbox) == 0
