"""The wire format, against recorded frames of the real exchange."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.candles import MINUTE_MS
from sim.frames import CHUNK, Closings, combined, kline_event, kline_row, stream_name, text_frame
from sim.market import generate
from sim.tape import Kline, Tape

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "binance-kline-frames.jsonl"
START = 1_735_689_600_000
KLINE = Kline(START, START + 59_999, 1.5, 2.0, 1.0, 1.25, 3.0, 4.5, 7, 10, 16)
QUIET = Kline(START, START + 59_999, 1.5, 1.5, 1.5, 1.5, 0.0, 0.0, 0, -1, -1)


def shape(value: Any) -> Any:
    """The keys in order and the JSON type of each value; decimals count as such."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, str) and len(value.rpartition(".")[2]) == 8 and "." in value:
        float(value)
        return "decimal"
    return type(value).__name__


def recorded_spot_frames() -> list[dict[str, Any]]:
    lines = map(json.loads, RECORDED.read_text().splitlines())
    return [json.loads(line["raw"]) for line in lines if line["capture"].startswith("spot")]


@pytest.mark.skipif(not RECORDED.exists(), reason=f"{RECORDED.name} is not here")
def test_a_frame_has_the_shape_of_recorded_spot_frames() -> None:
    wire = combined("btcusdt@kline_1m", kline_event("BTCUSDT", "1m", 1, KLINE, closed=False))
    recorded = recorded_spot_frames()
    assert recorded
    assert {str(shape(frame)) for frame in recorded} == {str(shape(json.loads(wire)))}


def test_a_closing_frame_tells_everything() -> None:
    event = json.loads(kline_event("BTCUSDT", "1m", START + 60_012, KLINE, closed=True))
    assert event == {
        "e": "kline",
        "E": START + 60_012,
        "s": "BTCUSDT",
        "k": {
            "t": START,
            "T": START + 59_999,
            "s": "BTCUSDT",
            "i": "1m",
            "f": 10,
            "L": 16,
            "o": "1.50000000",
            "c": "1.25000000",
            "h": "2.00000000",
            "l": "1.00000000",
            "v": "3.00000000",
            "n": 7,
            "x": True,
            "q": "4.50000000",
            "V": "1.50000000",
            "Q": "2.25000000",
            "B": "0",
        },
    }


def test_a_minute_without_trades_closes_like_any_other() -> None:
    k = json.loads(kline_event("BTCUSDT", "1m", 1, QUIET, closed=True))["k"]
    assert (k["f"], k["L"], k["n"], k["v"], k["x"]) == (-1, -1, 0, "0.00000000", True)


def test_a_rest_row_has_twelve_elements() -> None:
    assert json.loads(kline_row(KLINE)) == [
        START,
        "1.50000000",
        "2.00000000",
        "1.00000000",
        "1.25000000",
        "3.00000000",
        START + 59_999,
        "4.50000000",
        7,
        "1.50000000",
        "2.25000000",
        "0",
    ]


@pytest.mark.parametrize(("length", "header"), [(5, 2), (126, 4), (65535, 4), (65536, 10)])
def test_frame_headers_follow_the_length(length: int, header: int) -> None:
    frame = text_frame("x" * length)
    assert len(frame) == header + length
    assert frame[0] == 0x81


def test_closings_are_the_same_in_any_order() -> None:
    series = Tape(generate(1, 2, START)).series("1m")
    event_ms = series.candles.open_time_ms + MINUTE_MS + 7
    closings = Closings("BTCUSDT", series, event_ms)
    for index in (0, CHUNK - 1, CHUNK, 2879, 3):
        row = series.rows(index, index + 1)[0]
        event = kline_event("BTCUSDT", "1m", int(event_ms[index]), row, closed=True)
        assert closings.frame(index, wrapped=False) == text_frame(event)
        wrapped = combined(stream_name("BTCUSDT", "1m"), event)
        assert closings.frame(index, wrapped=True) == text_frame(wrapped)
        assert closings.event(index) == event
    assert np.all(event_ms > 0)
