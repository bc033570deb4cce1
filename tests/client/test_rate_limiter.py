"""The rate limiter with a clock that moves only during sleeps, and the rate limit of a real hook."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_workato.client.endpoints import Quota
from airflow_provider_workato.client.rate_limiter import RateLimiter, rate_limiter_for
from airflow_provider_workato.exceptions import WorkatoRateLimitError
from airflow_provider_workato.hooks.connections import WorkatoConnectionsHook
from airflow_provider_workato.sandbox.client import wait_until
from tests.support.hook import Connect
from tests.support.sandbox import RunningSandbox


class Clock:
    """A clock for several threads: each sleep moves it forward to the moment of waking up."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        wake_up = self.now + seconds
        with self._lock:
            self.now = max(self.now, wake_up)


def starts(limiter: RateLimiter, clock: Clock, *, count: int) -> list[float]:
    """Return the start of each of some calls."""
    moments = []
    for _ in range(count):
        limiter.acquire()
        moments.append(clock.now - 1000)
    return moments


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_quota_may_be_used_at_once(clock: Clock) -> None:
    limiter = RateLimiter(calls=3, period=60, clock=clock, sleep=clock.sleep)
    assert starts(limiter, clock, count=3) == [0, 0, 0]
    later = starts(limiter, clock, count=4)
    assert later[:3] == pytest.approx([61.2] * 3), "a period and the margin later"
    assert later[3] == pytest.approx(122.4)


def test_no_window_has_too_many(clock: Clock) -> None:
    limiter = RateLimiter(calls=5, period=10, clock=clock, sleep=clock.sleep)
    moments = []
    for number in range(40):
        clock.now += number % 4
        moments += starts(limiter, clock, count=1)
    for moment in moments:
        assert sum(moment <= other < moment + 10 for other in moments) <= 5


def test_idle_time_gives_no_credit(clock: Clock) -> None:
    limiter = RateLimiter(calls=2, period=1, clock=clock, sleep=clock.sleep)
    starts(limiter, clock, count=1)
    clock.now += 1000
    moments = starts(limiter, clock, count=3)
    assert moments[0] == moments[1] < moments[2]


def test_a_pause_applies_to_all_callers(clock: Clock) -> None:
    limiter = RateLimiter(calls=10, period=1, clock=clock, sleep=clock.sleep)
    limiter.acquire()
    limiter.pause(30)
    limiter.pause(5)
    assert starts(limiter, clock, count=2) == [30, 30]


def test_a_pause_delays_callers_that_already_wait(clock: Clock) -> None:
    limiter: RateLimiter

    def sleep(seconds: float) -> None:
        if clock.now == 1000:
            limiter.pause(30)
        clock.sleep(seconds)

    limiter = RateLimiter(calls=1, period=10, clock=clock, sleep=sleep)
    assert starts(limiter, clock, count=2) == pytest.approx([0, 30])


def test_threads_take_turns(clock: Clock) -> None:
    limiter = RateLimiter(calls=4, period=1, clock=clock, sleep=clock.sleep)
    moments: list[float] = []
    lock = threading.Lock()

    def call(_: int) -> None:
        limiter.acquire()
        with lock:
            moments.append(clock.now)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(40)))
    # Forty calls, four at a time: the last four start nine periods after the first.
    assert len(moments) == 40
    assert clock.now - 1000 >= 9


def test_users_of_a_workspace_share_a_limiter() -> None:
    one = rate_limiter_for("a workspace", calls_per_period=60, period=60)
    assert rate_limiter_for("a workspace", calls_per_period=60, period=60) is one
    assert rate_limiter_for("another one", calls_per_period=60, period=60) is not one
    assert rate_limiter_for("a workspace", calls_per_period=30, period=60) is not one


@pytest.mark.parametrize(("calls_per_period", "gap"), [(0.5, 2.04), (1, 1.02), (1.5, 1.02 / 1.5), (2, 0.0)])
def test_less_than_a_call_a_period(clock: Clock, calls_per_period: float, gap: float) -> None:
    limiter = rate_limiter_for(("fraction", calls_per_period), calls_per_period=calls_per_period, period=1)
    limiter._clock, limiter._sleep = clock, clock.sleep
    first, second = starts(limiter, clock, count=2)
    assert second - first == pytest.approx(gap)


def test_hooks_share_the_quota_of_their_workspace(connect: Connect, sandbox: RunningSandbox) -> None:
    # A larger quota than the hooks use: on a busy machine, calls arrive closer together than they were sent.
    sandbox.control.set_quota(calls_per_second=6)
    connect(calls_per_second=4, retry_budget=0)

    def call(_: int) -> None:
        hook = WorkatoConnectionsHook()
        hook.disconnect_connection(36)
        hook.close()

    try:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(call, range(9)))
        assert sandbox.control.counts()["too_many_requests"] == 0
        assert sandbox.control.counts()["total"] == 9
    finally:
        sandbox.control.set_quota(calls_per_second="off")


def test_a_429_delays_the_other_hooks_too(
    connect: Connect, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.control.add_fault("rate_limited_seconds", operation="list_connections", seconds=2)
    connect(retry_budget=10)
    other = WorkatoConnectionsHook()
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(WorkatoConnectionsHook().list_connections)
        wait_until(lambda: "Trying again" in caplog.text, what="the first hook's refusal")
        other.list_connections()
        refused.result()
    other.close()
    first, *later = (request["at"] for request in sandbox.control.requests())
    assert len(later) == 2
    assert min(later) - first >= 2


def test_first_come_first_served() -> None:
    order: list[int] = []
    limiter = RateLimiter(calls=1, period=0.2)
    limiter.acquire()

    def call(number: int, queued: threading.Event) -> None:
        def sleep(seconds: float) -> None:
            queued.set()
            time.sleep(seconds)

        limiter._sleep = sleep
        limiter.acquire()
        order.append(number)

    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            queued = threading.Event()
            pool.submit(call, number, queued)
            assert queued.wait(10)
    assert order == list(range(8))


def test_a_late_start_delays_the_following_ones(clock: Clock) -> None:
    """If a call starts late, the next one keeps its distance from the actual start."""
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    limiter.acquire()
    slept: list[float] = []

    def oversleep(seconds: float) -> None:
        # Another caller queues up behind, then this one sleeps for too long.
        behind, start, _ = limiter._look(None)
        clock.sleep(seconds + 0.7)
        slept.extend((clock.now, start))
        tickets.append(behind)

    tickets: list[int | None] = []
    limiter._sleep = oversleep
    mine = limiter.acquire()
    assert mine == pytest.approx(1001.72)
    assert slept[1] == pytest.approx(1002.04), "the planned start"
    _, start, _ = limiter._look(tickets[0])
    assert start == pytest.approx(mine + 1.02)


def test_an_abandoned_ticket_costs_one_start(clock: Clock) -> None:
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    limiter.acquire()
    limiter._look(None)
    assert starts(limiter, clock, count=3) == pytest.approx([2.04, 3.06, 4.08])


def test_a_caller_whose_ticket_was_dropped_stays_first(clock: Clock) -> None:
    """A process that was stopped for long, or whose ticket seemed impossible, keeps its place."""
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    limiter.acquire()
    oldest, _, _ = limiter._look(None)
    clock.now += 2 * RateLimiter.PATIENCE
    limiter.acquire()
    behind, planned, _ = limiter._look(None)
    assert oldest not in limiter._history.queue
    assert limiter._look(oldest)[1] == planned
    assert limiter._look(behind)[1] == pytest.approx(planned + 1.02)


def test_a_caller_that_gives_up_leaves_the_queue(clock: Clock) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=interrupted)
    limiter.acquire()
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire()
    limiter._sleep = clock.sleep
    assert starts(limiter, clock, count=1) == pytest.approx([1.02])


def test_the_queue_is_limited(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RateLimiter, "MAX_TICKETS", 2)
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    limiter.acquire()
    for _ in range(2):
        limiter._look(None)
    ticket, start, now = limiter._look(None)
    assert ticket is None
    assert start > now
    assert len(limiter._history.queue) == 2
    # The two abandoned tickets do not stop a caller that found the queue full.
    assert starts(limiter, clock, count=1)[0] < 10


def test_a_start_that_is_used_later_than_granted(clock: Clock) -> None:
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    turn = limiter.acquire()
    clock.now += 0.6
    turn = limiter.renew(turn)
    assert turn == clock.now
    clock.now += 0.6
    assert limiter.renew(turn) == clock.now, "and once more"
    assert starts(limiter, clock, count=1) == pytest.approx([2.22])


def test_an_unused_start_is_lost(clock: Clock) -> None:
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    turn = limiter.acquire()
    clock.now += 1.5
    starts(limiter, clock, count=1)
    turn = limiter.renew(turn)
    assert turn - 1000 == pytest.approx(2.52), "another call used the quota meanwhile"
    limiter.pause(5)
    assert limiter.renew(turn) - 1000 == pytest.approx(7.52), "a pause began meanwhile"


def test_a_caller_that_lost_its_start_is_next(clock: Clock) -> None:
    limiter = RateLimiter(calls=1, period=1, clock=clock, sleep=clock.sleep)
    turn = limiter.acquire()
    waiting, planned, _ = limiter._look(None)
    clock.now = planned + 0.1
    again = limiter.renew(turn)
    assert again == pytest.approx(planned + 0.1), "the quota allows it at once"
    assert limiter._look(waiting)[1] == pytest.approx(again + 1.02), "the waiting caller keeps its distance"


def test_a_caller_at_the_head_of_the_queue_keeps_to_the_quota(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateLimiter, "MAX_TICKETS", 1)
    limiter = RateLimiter(calls=2, period=1, clock=clock, sleep=clock.sleep)
    began = starts(limiter, clock, count=2)
    limiter._look(None)
    began += [limiter.acquire(first=True) - 1000 for _ in range(5)]
    assert began == pytest.approx([0, 0, 1.02, 1.02, 2.04, 2.04, 3.06])
    limiter.pause(5)
    assert limiter.acquire(first=True) - 1000 == pytest.approx(8.06)


@pytest.mark.parametrize("jump", [-3600, -60, 3600])
def test_a_clock_that_is_set_changes_no_wait(
    connect: Connect, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, folder: Path, jump: float
) -> None:
    """Setting the time of day does not change how long a ``Retry-After`` lasts."""
    real, offset = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + offset[0])
    sandbox.control.add_fault("rate_limited_seconds", operation="list_connections", seconds=1)
    # A separate quota, shared through a file only by the processes of this test.
    connect(list_calls_per_minute=599 + jump / 10_000, retry_budget=0)
    hook = WorkatoConnectionsHook()
    limiter = hook.transport._limiters[Quota.LIST]

    def sleep(seconds: float) -> None:
        assert seconds < 2
        time.sleep(seconds)

    limiter._sleep = sleep
    with pytest.raises(WorkatoRateLimitError):
        hook.list_connections()
    offset[0] = jump
    hook.list_connections()
    hook.close()
    first, second = (request["at"] for request in sandbox.control.requests())
    assert 1 <= second - first < 3
