"""What is traded: the assets, and the smallest price step that decides how prices are shown."""

import re
from dataclasses import dataclass

from shared.candle import Fields
from shared.decimals import places
from shared.malformed import Malformed

_NAME = re.compile(r"[A-Za-z0-9]{1,40}")
_STEP = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_USD_LIKE = frozenset({"USD", "USDT", "USDC", "FDUSD", "TUSD", "BUSD"})


@dataclass(frozen=True, slots=True)
class Market:
    """A market as the exchange describes it.

    Attributes:
        symbol: The exchange's name, ``BTCUSDT``.
        tick_size: Smallest price step as the exchange writes it, ``0.01000000``.
        status: ``TRADING`` when open.
    """

    symbol: str
    base: str
    quote: str
    tick_size: str
    status: str = "TRADING"

    @property
    def price_places(self) -> int:
        """Decimals of a price."""
        return places(self.tick_size)

    @property
    def in_dollars(self) -> bool:
        """Whether prices may be shown with a dollar sign."""
        return self.quote in _USD_LIKE

    @property
    def shown_name(self) -> str:
        """``BTC/USD``: dollar-backed quotes are shown as the dollar that traders think in."""
        return f"{self.base}/{'USD' if self.in_dollars else self.quote}"

    def fields(self) -> dict[str, str]:
        """The hash that ingest keeps for the others."""
        return {
            "symbol": self.symbol,
            "base": self.base,
            "quote": self.quote,
            "tick_size": self.tick_size,
            "status": self.status,
        }


def market_of(symbol: str) -> Market:
    """What is known of ``BTC/USDT`` from its name alone, before the exchange was asked."""
    base, _, quote = symbol.partition("/")
    return Market(f"{base}{quote}", base, quote, "0.01")


def read_market(fields: Fields, otherwise: Market) -> Market:
    """Decode the hash that ingest keeps; parts that are absent are taken from ``otherwise``.

    Raises:
        Malformed: It is of another market, or cannot be shown (somebody edited it).
    """
    known = otherwise.fields()
    for name in known:
        if (value := fields.get(name.encode())) is not None:
            known[name] = value.decode(errors="replace")
    market = Market(**known)
    if market.symbol != otherwise.symbol:
        raise Malformed(f"the market is {market.symbol[:40]!r}, not {otherwise.symbol}")
    check_market(market)
    return market


def check_market(market: Market) -> None:
    """Refuse names and steps that no exchange has.

    Raises:
        Malformed: Says which.
    """
    for name in (market.symbol, market.base, market.quote):
        if not _NAME.fullmatch(name):
            raise Malformed(f"{name[:40]!r} is no name of a market or asset")
    if not _STEP.fullmatch(market.tick_size):
        raise Malformed(f"{market.tick_size[:40]!r} is no price step")
