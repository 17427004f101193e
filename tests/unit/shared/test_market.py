"""How a market is named and shown."""

import pytest

from shared.malformed import Malformed
from shared.market import Market, market_of, read_market


@pytest.mark.parametrize(
    ("quote", "shown", "dollars"),
    [
        ("USDT", "BTC/USD", True),
        ("USDC", "BTC/USD", True),
        ("USD", "BTC/USD", True),
        ("EUR", "BTC/EUR", False),
        ("ETH", "BTC/ETH", False),
    ],
)
def test_dollar_backed_quotes_are_shown_as_dollars(quote: str, shown: str, dollars: bool) -> None:
    market = Market(f"BTC{quote}", "BTC", quote, "0.01")
    assert (market.shown_name, market.in_dollars) == (shown, dollars)


def test_a_market_is_known_by_its_name_before_the_exchange_was_asked() -> None:
    market = market_of("ETH/BTC")
    assert (market.symbol, market.base, market.quote) == ("ETHBTC", "ETH", "BTC")
    assert market.price_places == 2


def test_a_market_reads_back_as_itself() -> None:
    market = Market("DOGEUSDT", "DOGE", "USDT", "0.00001000", "BREAK")
    stored = {name.encode(): value.encode() for name, value in market.fields().items()}
    assert read_market(stored, market_of("DOGE/USDT")) == market


def test_what_is_not_stored_is_taken_from_what_is_known() -> None:
    known = market_of("BTC/USDT")
    assert read_market({}, known) == known
    assert read_market({b"tick_size": b"0.1", b"colour": b"red"}, known).price_places == 1


@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        ({b"symbol": b"ETHUSDT"}, "is 'ETHUSDT', not BTCUSDT"),
        ({b"base": b"a\r\nBcc: b"}, "no name of a market"),
        ({b"quote": b""}, "no name of a market"),
        ({b"quote": b"\xff"}, "no name of a market"),
        ({b"tick_size": b"cheap"}, "no price step"),
        ({b"tick_size": b"1e-100000"}, "no price step"),
        ({b"tick_size": b"-0.01"}, "no price step"),
    ],
    ids=str,
)
def test_a_market_that_cannot_be_shown_is_refused(spoilt: dict[bytes, bytes], what: str) -> None:
    with pytest.raises(Malformed, match=what):
        read_market(spoilt, market_of("BTC/USDT"))
