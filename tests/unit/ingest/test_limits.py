"""The exchange is never hammered, and its orders to wait are obeyed."""

from itertools import pairwise

import pytest

from services.ingest.limits import (
    FIRST_DELAY_S,
    LAST_DELAY_S,
    LONGEST_PAUSE_S,
    WINDOW_S,
    Attempts,
    ordered_pause_s,
)


def test_delays_double_with_jitter_up_to_a_limit() -> None:
    attempts = Attempts(most=None)
    full = FIRST_DELAY_S
    for _ in range(20):
        assert full / 2 <= attempts.delay_s(0.0) <= full
        full = min(LAST_DELAY_S, full * 2)


def test_jitter_spreads_them() -> None:
    assert len({Attempts(most=None).delay_s(0.0) for _ in range(20)}) > 10


def test_only_a_connection_that_delivered_starts_them_over() -> None:
    attempts = Attempts(most=None)
    for _ in range(6):
        attempts.delay_s(0.0)
    assert attempts.delay_s(0.0) > 1
    attempts.delivered()
    assert attempts.delay_s(0.0) <= FIRST_DELAY_S


def test_an_ordered_pause_is_kept_also_when_longer() -> None:
    assert Attempts(most=None).delay_s(0.0, 120.0) == 120.0


def test_even_connections_that_deliver_are_counted() -> None:
    attempts, now_s = Attempts(most=10), 0.0
    made = []
    for _ in range(100):
        attempts.delivered()
        now_s += attempts.delay_s(now_s)
        made.append(now_s)
    for first, eleventh in zip(made, made[10:], strict=False):
        assert eleventh - first >= WINDOW_S - 1e-6
    assert all(later > earlier for earlier, later in pairwise(made))


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (200, "30", 0),
        (503, "30", 0),
        (451, None, 0),
        (429, "30", 30),
        (418, "259200", 259200),
        (429, "0", 1),
        (429, None, 60),
        (418, None, 120),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 60),
        (429, "-5", 60),
        (429, "²", 60),
        (429, "9" * 400, LONGEST_PAUSE_S),
    ],
)
def test_only_limits_order_a_pause(status: int, header: str | None, seconds: float) -> None:
    assert ordered_pause_s(status, header) == seconds
