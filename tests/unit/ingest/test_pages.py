"""REST pages: what is usable is used, the rest is named, and the open candle stays open."""

import json
from typing import Any

import pytest

from services.ingest.pages import (
    near_misses,
    read_markets,
    read_page,
    read_server_time,
)
from shared.malformed import Malformed
from shared.market import Market

MINUTE = 60_000
START = 1_762_094_040_000
FAR = START + 1000 * MINUTE


def row(number: int = 0, **changes: Any) -> list[Any]:
    opened = START + number * MINUTE
    values = [opened, "2", "3", "1", "2.5", "10", opened + MINUTE - 1, "1", 1, "1", "1", "0"]
    places = {"open_ms": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "close_ms": 6}
    for name, value in changes.items():
        values[places[name]] = value
    return values


def page(*rows: object, closed_by_ms: float = FAR) -> tuple[list[int], int]:
    """Minutes of the usable rows, and how many others there were."""
    found = read_page(json.dumps(rows).encode(), MINUTE, START, closed_by_ms)
    return [(each.open_ms - START) // MINUTE for each in found.rows], len(found.flaws)


def test_rows_are_read() -> None:
    [first] = read_page(json.dumps([row()]).encode(), MINUTE, START, FAR).rows
    assert (first.open_ms, first.closed) == (START, True)
    assert (first.open, first.high, first.low, first.close, first.volume) == (2, 3, 1, 2.5, 10)


@pytest.mark.parametrize(
    ("closed_by_ms", "closed"),
    [(START + MINUTE - 1, False), (START + MINUTE, True), (START, False)],
)
def test_a_row_is_closed_when_its_boundary_has_passed(closed_by_ms: int, closed: bool) -> None:
    [only] = read_page(json.dumps([row()]).encode(), MINUTE, START, closed_by_ms).rows
    assert only.closed is closed


def test_a_close_time_before_the_boundary_closes_nothing_early() -> None:
    # The candle in which the outage of 2023-03-24 began.
    opened, closes = 1679661540000, 1679661581646
    body = json.dumps([row(open_ms=opened, close_ms=closes)]).encode()
    [early] = read_page(body, MINUTE, opened, closes + 1).rows
    [late] = read_page(body, MINUTE, opened, opened + MINUTE).rows
    assert (early.closed, late.closed) == (False, True)


def test_rows_out_of_order_or_twice_are_left_out() -> None:
    assert page(row(0), row(2), row(1), row(2), row(3)) == ([0, 2, 3], 2)


def test_rows_before_the_range_are_left_out() -> None:
    assert page(row(-1), row(0)) == ([0], 1)


@pytest.mark.parametrize(
    "bad",
    [
        [],
        row()[:6],
        row(open_ms="1762094040000"),
        row(open_ms=True),
        row(open_ms=None),
        row(open_ms=START + 1),
        row(open_ms=-START),
        row(open_ms=MINUTE * 10**300),
        row(open_ms=float(START)),
        row(close_ms=START - 1),
        row(close_ms=START + MINUTE),
        row(close_ms="x"),
        row(open=2.0),
        row(open="nan"),
        row(high="0.5"),
        row(low="-1"),
        row(volume="-1"),
        row(volume=None),
    ],
)
def test_a_row_that_cannot_be_is_left_out(bad: list[Any]) -> None:
    assert page(bad, row(1)) == ([1], 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"<html>", b"[1]", b'["a"]', b"[[1]", b"\xff", b"[[" + b"[" * 100_000],
)
def test_what_is_no_page_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_page(body, MINUTE, START, FAR)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"serverTime":0}', b'{"serverTime":-1}', b'{"serverTime":1e300}', b"[]", b""]
)
def test_a_time_that_cannot_be_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_server_time(body)


def test_a_time_is_read() -> None:
    assert read_server_time(b'{"serverTime":1499827319559}') == 1499827319559


def test_markets_are_read_with_their_tick() -> None:
    body = {
        "symbols": [
            {
                "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "BREAK",
                "filters": [
                    {"filterType": "LOT_SIZE", "stepSize": "0.1"},
                    {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
                ],
            },
            {"symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC"},
        ]
    }  # fmt: skip
    assert read_markets(json.dumps(body).encode()) == [
        Market("BTCUSDT", "BTC", "USDT", "0.01000000", "BREAK"),
        Market("ETHBTC", "ETH", "BTC", "0.01"),
    ]
    with pytest.raises(Malformed):
        read_markets(b'{"symbols":[{}]}')


def test_near_misses_are_markets_that_trade() -> None:
    markets = [
        Market("BTCUSDT", "BTC", "USDT", "0.01"),
        Market("BTCUSD", "BTC", "USD", "0.01", "BREAK"),
        Market("SOLEUR", "SOL", "EUR", "0.01"),
    ]
    assert near_misses("BTC/USDTT", markets) == ["BTC/USDT"]
