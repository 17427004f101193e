"""What the exchange tells of its markets and limits."""

from dataclasses import dataclass
from typing import Any

# Other markets that exist, so that a near miss of the symbol has something to be near to.
MARKETS = (
    ("BTC", "USDT", "0.01"),
    ("ETH", "USDT", "0.01"),
    ("BNB", "USDT", "0.01"),
    ("SOL", "USDT", "0.01"),
    ("XRP", "USDT", "0.0001"),
    ("BTC", "USDC", "0.01"),
    ("ETH", "USDC", "0.01"),
    ("BTC", "FDUSD", "0.01"),
    ("BTC", "EUR", "0.01"),
    ("ETH", "BTC", "0.00001"),
)


@dataclass(frozen=True, slots=True)
class Market:
    """A traded pair; ``tick`` is the decimal text of the smallest price step."""

    base: str
    quote: str
    tick: str = "0.01"

    @property
    def symbol(self) -> str:
        """``BTCUSDT``"""
        return self.base + self.quote


def rate_limit(kind: str, minutes: int, limit: int) -> dict[str, Any]:
    """One entry of ``rateLimits``."""
    return {"rateLimitType": kind, "interval": "MINUTE", "intervalNum": minutes, "limit": limit}


def symbol_info(market: Market) -> dict[str, Any]:
    """One entry of ``symbols``."""
    tick = f"{float(market.tick):.8f}"
    return {
        "symbol": market.symbol,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00001000",
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }
