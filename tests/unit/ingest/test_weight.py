"""Our share of the exchange's limit is never exceeded, and what it counts is believed."""

import pytest

from services.ingest.weight import Weight

T = 1_762_094_040_000


def test_without_a_limit_or_a_clock_nothing_waits() -> None:
    weight = Weight()
    weight.answered("5999", T)
    assert weight.pause_s(20, T) == 0
    weight.limited(6000)
    assert weight.pause_s(20, None) == 0


def test_half_of_the_limit_may_be_used_then_the_next_minute_is_waited_for() -> None:
    weight = Weight()
    weight.limited(6000)
    weight.answered("2998", T + 12_000)
    assert weight.pause_s(2, T + 12_000) == 0
    assert weight.pause_s(3, T + 12_000) == 48
    assert weight.pause_s(3, T + 60_000) == 0
    assert str(weight) == "2998 of 6000 in a minute"


def test_what_others_at_this_address_use_counts() -> None:
    weight = Weight()
    weight.limited(6000)
    weight.answered("40", T)
    weight.answered("5000", T + 1000)
    assert weight.pause_s(1, T + 2000) == 58


def test_what_is_on_its_way_counts() -> None:
    weight = Weight()
    weight.limited(60)
    weight.answered("28", T)
    with weight.asking(2):
        assert weight.pause_s(2, T + 1000) == 59
    assert weight.pause_s(2, T + 1000) == 0


def test_what_gets_no_answer_counts() -> None:
    weight = Weight()
    weight.limited(60)
    weight.answered("28", T)
    with pytest.raises(TimeoutError), weight.asking(2):
        raise TimeoutError
    assert weight.pause_s(1, T + 1000) == 59


def test_an_answer_that_was_overtaken_takes_nothing_back() -> None:
    weight = Weight()
    weight.limited(60)
    weight.answered("30", T)
    weight.answered("28", T)
    assert weight.pause_s(2, T) > 0
    weight.answered("2", T + 60_000)
    assert weight.pause_s(2, T + 60_000) == 0


@pytest.mark.parametrize("header", [None, "", "many", "-1", "²", "9" * 30])
def test_a_header_that_says_nothing_changes_nothing(header: str | None) -> None:
    weight = Weight()
    weight.limited(10)
    weight.answered("5", T)
    weight.answered(header, T)
    assert str(weight) == "5 of 10 in a minute"
