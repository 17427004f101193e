"""The factor board that people look at between signals."""

from services.detector.worker import board
from tests.unit.detector.entries import LONG, RULES, SHORT, changed


def test_a_board_shows_time_side_and_each_factor_with_its_reason() -> None:
    assert board(changed(LONG, volume=12.0), RULES) == {
        "closed_at": "2025-11-02 14:35:00 UTC",
        "close_time_ms": "1762094100000",
        "side": "LONG",
        "confidence": "4",
        "trend": "yes: EMA9 crossed above EMA21",
        "bias": "yes: close above VWAP 95",
        "momentum": "yes: RSI6 55.0 within 30..70",
        "volume": "no: volume 1.20x average, 1.5x needed",
        "higher_timeframe": "yes: close above 1h EMA50 94",
    }


def test_a_board_without_a_crossover_is_that_of_the_side_which_leads() -> None:
    shown = board(changed(SHORT, ema_fast_prev=100.0), RULES)
    assert (shown["side"], shown["confidence"]) == ("SHORT", "4")
    assert shown["trend"] == "no: EMA9 did not cross below EMA21"
