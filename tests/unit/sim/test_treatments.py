"""Treatments of closing frames: which frame gets which."""

from sim.tape import Kline
from sim.treatments import Late, Lost, Treatments, contradict


def test_each_frame_gets_the_oldest_treatment_that_fits() -> None:
    treatments = Treatments()
    assert not treatments
    treatments.add(Lost(), 1, "5m")
    treatments.add(Late(100), 2, None)
    assert treatments
    assert treatments.take("1m") == Late(100)
    assert treatments.take("5m") == Lost()
    assert treatments.take("5m") == Late(100)
    assert treatments.take("1m") is None
    assert not treatments


def test_clearing_leaves_nothing() -> None:
    treatments = Treatments()
    treatments.add(Lost(), 9, None)
    treatments.clear()
    assert treatments.take("1m") is None


def test_a_contradiction_is_another_possible_candle() -> None:
    kline = Kline(0, 59_999, 100.0, 110.0, 90.0, 105.0, 7.0, 735.0, 3, 1, 3)
    for by in (-0.5, -0.001, 0.001, 0.5):
        lie = contradict(kline, by)
        assert lie.close != kline.close
        assert lie.volume != kline.volume
        assert lie.low <= min(lie.open, lie.close)
        assert lie.high >= max(lie.open, lie.close)
        assert (lie.open_ms, lie.close_ms) == (0, 59_999)
