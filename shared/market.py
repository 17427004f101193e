"""What is traded: the assets, and the smallest price step that decides how prices are shown."""

from dataclasses import dataclass

from shared.candle import Fields
from shared.decimals import places

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
    """Decode the hash that ingest keeps; parts that are absent are taken from ``otherwise``."""
    known = otherwise.fields()
    known.update({name.decode(): value.decode() for name, value in fields.items()})
    return Market(**{name: known[name] for name in otherwise.fields()})
