"""The clock's difference is the median of the last few quick answers, told with hysteresis."""

import pytest

from services.ingest.skew import Skew, clock_edge, right_sentence, skewed_sentence

T = 1_762_094_040_000


def measured(*found: tuple[float, float]) -> Skew:
    """Of answers (skew in ms, round trip in ms)."""
    skew = Skew()
    for ms, round_trip_ms in found:
        skew.answered(T, T + ms - round_trip_ms / 2, round_trip_ms)
    return skew


def test_the_exchange_is_read_in_the_middle_of_the_round_trip() -> None:
    assert measured((3000, 100), (3000, 500), (3000, 0)).ms == pytest.approx(3000)
    assert measured((-70, 10), (-70, 10), (-70, 10)).ms == pytest.approx(-70)


def test_a_few_answers_are_needed() -> None:
    assert measured().ms is None
    assert measured((5, 1), (5, 1)).ms is None


def test_one_outlier_changes_nothing_and_old_ones_are_forgotten() -> None:
    assert measured((5, 1), (5, 1), (9999, 1), (5, 1)).ms == pytest.approx(5)
    assert measured(*[(5000, 1)] * 5, *[(5, 1)] * 3).ms == pytest.approx(5)


def test_a_slow_answer_says_nothing() -> None:
    assert measured((5, 1), (5, 1), (5, 1001)).ms is None
    assert measured((5, 1), (5, 1), (5, -3)).ms is None


@pytest.mark.parametrize("sign", [1, -1])
def test_it_is_told_above_the_limit_until_it_is_below_half_of_it(sign: int) -> None:
    assert not clock_edge(sign * 2000, 2000, told=False)
    assert clock_edge(sign * 2001, 2000, told=False)
    assert clock_edge(sign * 1001, 2000, told=True)
    assert not clock_edge(sign * 1000, 2000, told=True)


def test_the_sentences_say_which_clock_which_way_and_what_to_do() -> None:
    assert skewed_sentence("box", 3210).startswith("clock of box is 3.2 s ahead of the exchange's:")
    assert skewed_sentence("box", -3210).startswith("clock of box is 3.2 s behind the exchange's:")
    assert "timedatectl" in skewed_sentence("box", 1)
    assert right_sentence("box", -300) == ("clock of box is right again: 0.3 s from the exchange's")
