"""REST is asked at the deadline, in a gap and after a reconnect, and not again at once."""

import pytest

from services.ingest.vigil import FIRST_RETRY_S, LAST_RETRY_S, Vigil

MINUTE = 60_000
T = 1_762_094_040_000


@pytest.fixture
def vigil() -> Vigil:
    vigil = Vigil(MINUTE, deadline_ms=3000)
    vigil.moved(T)
    return vigil


def left(
    vigil: Vigil, now_s: float = 0.0, exchange_ms: float | None = T, waiting: int = 0
) -> float:
    return vigil.seconds_left(now_s, exchange_ms, waiting)


def test_the_next_boundary_has_until_the_deadline(vigil: Vigil) -> None:
    assert left(vigil) == 63.0
    assert left(vigil, exchange_ms=T + MINUTE + 2999) == pytest.approx(0.001)
    assert left(vigil, exchange_ms=T + MINUTE + 3000) <= 0


def test_without_the_exchanges_time_nothing_is_late(vigil: Vigil) -> None:
    assert left(vigil, exchange_ms=None) == float("inf")


def test_what_is_at_hand_is_not_late(vigil: Vigil) -> None:
    assert left(vigil, exchange_ms=T + 10 * MINUTE, waiting=1) == float("inf")


def test_a_gap_is_asked_for_at_once_though_frames_wait(vigil: Vigil) -> None:
    vigil.found_gap()
    assert left(vigil, waiting=5) <= 0


def test_an_empty_stream_is_asked_for_at_once() -> None:
    assert left(Vigil(MINUTE, 3000)) <= 0


def test_in_vain_is_asked_again_later_and_later(vigil: Vigil) -> None:
    vigil.found_gap()
    now_s, delays = 100.0, []
    for _ in range(8):
        assert left(vigil, now_s) <= 0
        vigil.asked(now_s)
        delays.append(left(vigil, now_s))
        now_s += delays[-1]
    assert delays[0] == FIRST_RETRY_S
    assert delays[:5] == [FIRST_RETRY_S * 2**n for n in range(5)]
    assert delays[-1] == LAST_RETRY_S


def test_a_stream_that_moved_forgets_the_delay(vigil: Vigil) -> None:
    vigil.found_gap()
    vigil.asked(0.0)
    assert vigil.moved(T + MINUTE)
    assert not vigil.gap
    assert left(vigil, exchange_ms=T + 10 * MINUTE) <= 0
    assert not vigil.moved(T + MINUTE)


def test_a_new_gap_does_not_wait_for_an_old_delay(vigil: Vigil) -> None:
    for now_s in range(5):
        vigil.asked(float(now_s))
    vigil.found_gap()
    assert left(vigil, 5.0) <= 0


def test_the_same_gap_found_again_keeps_the_delay(vigil: Vigil) -> None:
    vigil.found_gap()
    vigil.asked(0.0)
    vigil.found_gap()
    assert left(vigil, 0.1) > 0


def test_a_reconnect_looks_at_once_and_once(vigil: Vigil) -> None:
    vigil.look_now()
    assert left(vigil, waiting=3) <= 0
    vigil.asked(0.0)
    assert left(vigil) == 63.0


def test_hours_without_any_socket_ask_for_each_candle_once_and_at_its_deadline() -> None:
    vigil, now_s, asked = Vigil(MINUTE, deadline_ms=3000), 0.0, []
    vigil.moved(T)
    for _ in range(12 * 60):
        now_s += vigil.seconds_left(now_s, T + now_s * 1000, 0)
        asked.append(now_s)
        vigil.asked(now_s)
        vigil.moved(T + len(asked) * MINUTE)
    assert asked == pytest.approx([60.0 * (n + 1) + 3 for n in range(12 * 60)])


def test_a_minute_in_which_rest_fails_does_not_delay_the_next_ones() -> None:
    vigil, now_s, late = Vigil(MINUTE, deadline_ms=3000), 0.0, []
    vigil.moved(T)
    for number in range(1, 200):
        failures = 5 if number % 10 == 0 else 0
        for attempt in range(failures + 1):
            now_s += max(0.0, vigil.seconds_left(now_s, T + now_s * 1000, 0))
            vigil.asked(now_s)
            if attempt == failures:
                vigil.moved(T + number * MINUTE)
        late.append(round(now_s - 60 * number, 6))
    assert set(late) == {3.0, 3 + 0.5 + 1 + 2 + 4 + 8}


def test_many_reconnects_do_not_postpone_the_deadline(vigil: Vigil) -> None:
    for now_s in range(20):
        vigil.look_now()
        vigil.asked(float(now_s))
    assert left(vigil, 19.0, T + MINUTE + 3000) <= 0
