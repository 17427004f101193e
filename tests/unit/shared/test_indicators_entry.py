"""The indicators entry as text, and everything that makes a stored entry none."""

from dataclasses import fields as fields_of
from dataclasses import replace

import pytest

from shared.indicators_entry import IndicatorsEntry, read_indicators
from shared.malformed import Malformed
from shared.quality import Quality
from tests.unit.detector.entries import LONG

ID = b"1762094100000-1"
OPTIONAL = (
    "ema_fast", "ema_slow", "ema_trend", "ema_fast_prev", "ema_slow_prev", "rsi", "atr", "vwap",
    "volume_ma", "trend_timeframe", "trend_ema",
)  # fmt: skip
UNDEFINED = replace(LONG, **dict.fromkeys(OPTIONAL))


def stored(entry: IndicatorsEntry) -> dict[bytes, bytes]:
    """The entry as Redis gives it back."""
    flat = [text.encode() for text in entry.fields()]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_an_entry_is_stored_as_text_a_person_can_read() -> None:
    assert LONG.entry_id == "1762094100000-1"
    assert LONG.fields() == [
        "timeframe", "5m",
        "open", "99", "high", "101", "low", "98.5", "close", "100", "volume", "20",
        "ema_fast", "99", "ema_slow", "98", "ema_trend", "97",
        "ema_fast_prev", "96", "ema_slow_prev", "96.5",
        "rsi", "55", "atr", "2", "vwap", "95", "volume_ma", "10", "trend_ema", "94",
        "trend_timeframe", "1h",
        "source", "ws", "lag_ms", "40", "received_at", "1762094100040",
    ]  # fmt: skip


def test_what_is_undefined_is_left_out() -> None:
    assert UNDEFINED.fields()[::2] == [
        "timeframe", "open", "high", "low", "close", "volume", "source", "lag_ms", "received_at",
    ]  # fmt: skip


def test_zero_is_a_value_and_not_undefined() -> None:
    zero = replace(LONG, rsi=0.0, volume_ma=0.0)
    assert read_indicators(ID, stored(zero)) == zero


@pytest.mark.parametrize("entry", [LONG, UNDEFINED], ids=["complete", "undefined"])
def test_an_entry_reads_back_as_itself(entry: IndicatorsEntry) -> None:
    assert read_indicators(ID, stored(entry)) == entry


def test_every_attribute_is_in_the_stream_or_in_the_id() -> None:
    names = {field.name for field in fields_of(IndicatorsEntry)}
    stamped = replace(LONG, quality=Quality(5))
    assert names - set(stamped.fields()[::2]) == {"boundary_ms", "rank", "received_at_ms"}


@pytest.mark.parametrize("name", [name.encode() for name in UNDEFINED.fields()[::2]])
def test_an_entry_without_one_of_its_fields_is_malformed(name: bytes) -> None:
    fields = stored(LONG)
    del fields[name]
    with pytest.raises(Malformed, match=f"has no field b'{name.decode()}'"):
        read_indicators(ID, fields)


@pytest.mark.parametrize("name", [b"close", b"rsi", b"trend_ema"])
@pytest.mark.parametrize("value", [b"", b"x", b"nan", b"inf", b"-inf"])
def test_an_entry_whose_number_is_none_is_malformed(name: bytes, value: bytes) -> None:
    with pytest.raises(Malformed, match=r"indicators entry b'1762094100000-1': "):
        read_indicators(ID, stored(LONG) | {name: value})


@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        ({b"atr": b"1e31"}, "no price or volume of any market"),
        ({b"close": b"-1"}, "not positive"),
        ({b"low": b"0"}, "not positive"),
        ({b"volume": b"-1"}, "volume is negative"),
        ({b"timeframe": b"1\n"}, "unknown timeframe"),
        ({b"trend_timeframe": b"x" * 5000}, "unknown timeframe"),
        ({b"received_at": b"9" * 400}, "400 characters"),
    ],
)
def test_an_entry_that_no_candle_gives_is_malformed(spoilt: dict[bytes, bytes], what: str) -> None:
    """A signal made of it could not be written, or not be shown."""
    with pytest.raises(Malformed, match=what):
        read_indicators(ID, stored(LONG) | spoilt)


def test_an_entry_of_no_time_is_malformed() -> None:
    with pytest.raises(Malformed, match="no time in milliseconds"):
        read_indicators(b"18446744073709551615-1", stored(LONG))


@pytest.mark.parametrize("entry_id", [b"1762094100000", b"x-1", b"1-x", b""])
def test_an_entry_without_a_boundary_and_rank_is_malformed(entry_id: bytes) -> None:
    with pytest.raises(Malformed, match="invalid literal"):
        read_indicators(entry_id, stored(LONG))


def test_the_stamp_of_an_entry_reads_back() -> None:
    stamped = replace(LONG, quality=Quality(300, 1, 2, 3))
    assert read_indicators(ID, stored(stamped)) == stamped
