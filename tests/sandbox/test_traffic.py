"""The quotas: exact to the call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_workato.sandbox.client import SandboxProcess, running_sandbox, wait_until
from airflow_provider_workato.sandbox.traffic import Admission, QuotaLimits, Window
from tests.support.sandbox import RunningSandbox


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def window(*, limit: int | None, seconds: float = 60.0) -> tuple[Window, FakeClock]:
    clock = FakeClock()
    return Window(limit=limit, seconds=seconds, clock=clock), clock


def test_sixty_and_no_more() -> None:
    lists, clock = window(limit=60)
    for left in range(59, -1, -1):
        assert lists.admit() == Admission(remaining=left)
        clock.now += 0.5
    # 30 s have passed since the first.
    assert lists.admit() == Admission(remaining=0, retry_after=30)
    clock.now += 29.999
    assert lists.admit() == Admission(remaining=0, retry_after=1)
    clock.now = 1060.0
    assert lists.admit() == Admission(remaining=0)
    assert lists.admit().retry_after == 1


def test_refused_calls_do_not_count() -> None:
    calls, clock = window(limit=1, seconds=1.0)
    assert calls.admit().retry_after is None
    for _ in range(9):
        clock.now += 0.1
        assert calls.admit().retry_after == 1
    clock.now = 1001.0
    assert calls.admit().retry_after is None


def test_used_calls_leave_with_the_window() -> None:
    calls, clock = window(limit=3)
    calls.admit()
    clock.now += 30
    calls.admit()
    assert calls.used == 2
    clock.now += 30
    assert calls.used == 1
    assert calls.admit() == Admission(remaining=1)


def test_off() -> None:
    calls, _ = window(limit=None)
    assert {calls.admit() for _ in range(1000)} == {Admission(remaining=None)}


def test_a_lower_limit_counts_what_was_let_through_before() -> None:
    calls, clock = window(limit=3)
    for _ in range(3):
        calls.admit()
        clock.now += 10
    calls.limit = 1
    # The last one, at 1020, has to leave.
    assert calls.admit() == Admission(remaining=0, retry_after=50)
    clock.now = 1080.0
    assert calls.admit() == Admission(remaining=0)


@given(
    limit=st.integers(1, 5),
    pauses=st.lists(st.floats(0, 3, allow_nan=False), max_size=60),
)
def test_never_more_than_the_limit_in_any_window(limit: int, pauses: list[float]) -> None:
    calls, clock = window(limit=limit, seconds=1.0)
    passed: list[float] = []
    for pause in pauses:
        clock.now += pause
        recent = [at for at in passed if clock.now - at < 1.0]
        admission = calls.admit()
        assert (admission.retry_after is None) == (len(recent) < limit)
        if admission.retry_after is None:
            passed.append(clock.now)


@pytest.fixture(scope="module")
def limited() -> Iterator[SandboxProcess]:
    with running_sandbox() as process:
        yield process


@pytest.fixture
def quotas(limited: SandboxProcess, sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """A sandbox with the quotas it has by default."""
    limited.control.reset()
    sandbox.session.headers["Authorization"] = f"Bearer {limited.token}"
    yield RunningSandbox(process=limited, control=limited.control, session=sandbox.session)
    limited.control.reset()


def test_lists_by_default(quotas: RunningSandbox) -> None:
    answers = [quotas.call("GET", "connections") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert [answer.headers["x-rate-limit-remaining"] for answer in answers] == [
        *(str(left) for left in range(59, -1, -1)),
        "0",
    ]
    assert answers[-1].json() == {"message": "Too many requests"}
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    counts = quotas.control.counts()
    assert (counts["total"], counts["by_status"]) == (61, {"200": 60, "429": 1})
    assert counts["too_many_requests"] == 1


def test_all_other_calls_share_one_a_second(quotas: RunningSandbox) -> None:
    assert quotas.call("POST", "connections/36/disconnect").status_code == 200

    def refused() -> bool:
        # On a machine that stalls a second may pass between two calls; then the next pair shows it.
        quotas.call("PUT", "connections/36", json={"name": "n"})
        answer = quotas.call("GET", "connections/runtime_user_connections/36/get_oauth_url")
        return answer.status_code == 429 and answer.headers["retry-after"] == "1"

    wait_until(refused, what="a refusal of the second call in a second")
    assert quotas.call("GET", "connections").status_code == 200, "the list has a quota of its own"
    assert [quotas.call("GET", "users/me").status_code for _ in range(5)] == [200] * 5


def test_calls_pass_as_the_window_moves(quotas: RunningSandbox) -> None:
    quotas.control.set_quota(calls_per_second=2)

    def five_passed() -> bool:
        quotas.call("DELETE", "connections/99")
        by_status: dict[str, int] = quotas.control.counts()["by_status"]
        return by_status["404"] == 5

    wait_until(five_passed, what="five calls that passed")
    passed = [entry["at"] for entry in quotas.control.requests() if entry["status"] == 404]
    assert passed[2] - passed[0] >= 0.9
    assert passed[4] - passed[2] >= 0.9


def test_outside_the_api_nothing_counts(quotas: RunningSandbox) -> None:
    quotas.control.set_quota(list_per_minute=1, calls_per_second=1)
    for _ in range(5):
        quotas.control.state()
        assert quotas.session.get(quotas.url, timeout=30).status_code == 200
        assert quotas.session.get(f"{quotas.url}/oauth/authorize", timeout=30).status_code == 404
        assert (
            quotas.session.get(f"{quotas.url}/api/connections", headers={"Authorization": ""}).status_code
            == 401
        )
    assert quotas.call("GET", "connections").status_code == 200


def test_change_and_reset(quotas: RunningSandbox) -> None:
    default = {"list_per_minute": 60, "calls_per_second": 1}
    assert quotas.control.set_quota() == default
    assert quotas.control.set_quota(list_per_minute="off") == {
        "list_per_minute": "off",
        "calls_per_second": 1,
    }
    assert "x-rate-limit-remaining" not in quotas.call("GET", "connections").headers
    assert quotas.control.set_quota(calls_per_second=5)["list_per_minute"] == "off"
    quotas.control.reset()
    assert quotas.control.set_quota() == default


def test_limits_from_the_command_line() -> None:
    with running_sandbox("--list-per-minute=7", "--calls-per-second=3") as process:
        assert process.control.set_quota() == {"list_per_minute": 7, "calls_per_second": 3}


def test_the_default_is_the_documented_quota() -> None:
    assert QuotaLimits() == QuotaLimits(list_per_minute=60, calls_per_second=1)
