"""Since when Redis answers without a break."""

from math import inf

from shared.answering import Answering


def test_without_an_outage_it_has_always_answered() -> None:
    answering = Answering()
    assert answering.for_s(100.0) == inf
    for second in range(100, 200):
        answering.answered(second)
    assert answering.for_s(200.0) == inf


def test_an_outage_lasts_until_an_answer() -> None:
    answering = Answering()
    answering.answered(100.0)
    answering.failed()
    assert answering.for_s(101.0) == 0.0
    answering.answered(102.0)
    assert answering.for_s(105.0) == 3.0
    answering.failed()
    assert answering.for_s(106.0) == 0.0


def test_a_process_that_began_in_an_outage_knows_of_it() -> None:
    answering = Answering()
    answering.failed()
    answering.answered(10.0)
    assert answering.for_s(12.0) == 2.0


def test_a_silence_counts_as_an_outage() -> None:
    answering = Answering()
    answering.answered(100.0)
    answering.answered(105.0)
    assert answering.for_s(105.0) == inf
    answering.answered(110.5)  # the machine slept, or Redis was frozen
    assert answering.for_s(111.5) == 1.0
