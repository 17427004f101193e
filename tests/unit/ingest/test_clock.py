"""The exchange's clock is never ahead of what the exchange said."""

from services.ingest.clock import ExchangeClock

T = 1_762_094_040_000


def test_nothing_is_known_at_first() -> None:
    assert ExchangeClock().now_ms(5.0) is None


def test_it_runs_on_from_the_latest_proof() -> None:
    clock = ExchangeClock()
    clock.saw(T, 100.0)
    assert clock.now_ms(101.5) == T + 1500


def test_a_late_message_does_not_set_it_back() -> None:
    clock = ExchangeClock()
    clock.saw(T, 100.0)
    clock.saw(T + 200, 101.0)  # 800 ms on its way
    assert clock.now_ms(101.0) == T + 1000


def test_a_prompter_message_sets_it_forward() -> None:
    clock = ExchangeClock()
    clock.saw(T, 100.0)
    clock.saw(T + 1300, 101.0)
    assert clock.now_ms(101.0) == T + 1300


def test_a_fast_local_clock_cannot_carry_it_away() -> None:
    clock = ExchangeClock()
    exact = 0.0
    for second in range(3600):
        # Our seconds are 1 % short, so each old proof promises too much.
        exact = T + second * 990
        clock.saw(int(exact), float(second))
    now = clock.now_ms(3599.0)
    assert now is not None
    assert 0 <= now - exact <= 2 * 301 * 10


def test_old_proof_is_kept_while_there_is_no_newer() -> None:
    clock = ExchangeClock()
    clock.saw(T, 0.0)
    assert clock.now_ms(7200.0) == T + 7_200_000


def test_an_answer_ends_what_a_damaged_frame_made_us_believe() -> None:
    clock = ExchangeClock()
    clock.saw(T, 0.0)
    clock.saw(T + 3_600_000, 1.0)
    clock.answered(T + 2000, asked_s=1.9, answered_s=2.0)
    assert clock.now_ms(2.0) == T + 2000


def test_an_answer_leaves_a_little_difference_alone() -> None:
    clock = ExchangeClock()
    clock.saw(T + 300, 0.0)
    clock.answered(T + 1000, asked_s=0.9, answered_s=1.0)
    assert clock.now_ms(1.0) == T + 1300
