"""The candle as a stream entry, and everything that makes an entry no candle."""

import math
from typing import Any

import pytest

from shared.candle import Candle, flaw, missing_candle, read_candle
from shared.malformed import Malformed

BOUNDARY_MS = 1_762_094_100_000
ID = b"1762094100000-0"
CANDLE = Candle(BOUNDARY_MS, 101.5, 103.0, 100.25, 102.0, 0.00001, "ws", 12, BOUNDARY_MS + 12)


def stored(candle: Candle) -> dict[bytes, bytes]:
    """The entry as Redis gives it back."""
    flat = [text.encode() for text in candle.fields()]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_a_candle_is_stored_as_text_a_person_can_read() -> None:
    assert CANDLE.fields() == [
        "open", "101.5", "high", "103", "low", "100.25", "close", "102", "volume", "0.00001",
        "source", "ws", "lag_ms", "12", "received_at", "1762094100012",
    ]  # fmt: skip


def test_a_missing_marker_says_so_first_and_has_no_prices() -> None:
    assert missing_candle(BOUNDARY_MS, 900, 5).fields() == [
        "missing", "1", "source", "rest", "lag_ms", "900", "received_at", "5",
    ]  # fmt: skip


@pytest.mark.parametrize("candle", [CANDLE, missing_candle(BOUNDARY_MS, 900, 5)])
def test_a_candle_reads_back_as_itself(candle: Candle) -> None:
    assert read_candle(ID, stored(candle)) == candle


@pytest.mark.parametrize("name", [b"open", b"high", b"low", b"close", b"volume"])
def test_a_candle_without_one_of_its_numbers_is_malformed(name: bytes) -> None:
    fields = stored(CANDLE)
    del fields[name]
    with pytest.raises(Malformed, match=f"has no field b'{name.decode()}'"):
        read_candle(ID, fields)


@pytest.mark.parametrize("name", [b"source", b"lag_ms", b"received_at"])
@pytest.mark.parametrize("candle", [CANDLE, missing_candle(BOUNDARY_MS, 0, 0)])
def test_an_entry_that_does_not_say_how_it_came_is_malformed(name: bytes, candle: Candle) -> None:
    fields = stored(candle)
    del fields[name]
    with pytest.raises(Malformed, match="has no field"):
        read_candle(ID, fields)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({b"open": b"x"}, "could not convert"),
        ({b"close": b""}, "could not convert"),
        ({b"lag_ms": b"1.5"}, "invalid literal"),
        ({b"received_at": b"now"}, "invalid literal"),
        ({b"source": b"\xff"}, "utf-8"),
        ({b"open": b"nan"}, "not a finite number"),
        ({b"volume": b"inf"}, "not a finite number"),
        ({b"volume": b"1e31"}, "larger than any market's"),
        ({b"lag_ms": b"9" * 400}, "400 characters"),
        ({b"received_at": b"9" * 5000}, "5000 characters"),
        ({b"low": b"0"}, "not positive"),
        ({b"low": b"-1"}, "not positive"),
        ({b"volume": b"-0.1"}, "volume is negative"),
        ({b"high": b"100"}, "high is below low"),
        ({b"close": b"103.5"}, "outside low..high"),
        ({b"open": b"100"}, "outside low..high"),
    ],
)
def test_an_entry_that_somebody_spoilt_is_malformed(
    change: dict[bytes, bytes], reason: str
) -> None:
    with pytest.raises(Malformed, match=reason):
        read_candle(ID, stored(CANDLE) | change)


def test_an_entry_whose_id_is_no_time_is_malformed() -> None:
    with pytest.raises(Malformed, match="invalid literal"):
        read_candle(b"soon-0", stored(CANDLE))
    for fields in (stored(CANDLE), stored(CANDLE) | {b"missing": b"1"}):
        with pytest.raises(Malformed, match="no time in milliseconds"):
            read_candle(b"18446744073709551615-0", fields)


@pytest.mark.parametrize(
    ("prices", "wrong"),
    [
        ((100, 100, 100, 100, 0), None),
        ((100, 101, 99, 101, 5), None),
        ((100, 101, 99, 99, 5), None),
        ((math.nan, 101, 99, 100, 5), "a price or the volume is not a finite number"),
        ((100, math.inf, 99, 100, 5), "a price or the volume is not a finite number"),
        ((100, math.inf, -math.inf, 100, 5), "a price or the volume is not a finite number"),
        ((100, 101, 99, 100, math.nan), "a price or the volume is not a finite number"),
        ((100, 1e31, 99, 100, 5), "a price or the volume is larger than any market's"),
        ((100, 101, 0, 100, 5), "a price is not positive"),
        ((100, 101, 99, 100, -5), "the volume is negative"),
        ((100, 99, 101, 100, 5), "high is below low"),
        ((102, 101, 99, 100, 5), "open or close lies outside low..high"),
        ((100, 101, 99, 98, 5), "open or close lies outside low..high"),
    ],
)
def test_impossible_prices_are_named(prices: Any, wrong: str | None) -> None:
    assert flaw(*prices) == wrong
