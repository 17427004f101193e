"""The section ``exchange``."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.config_errors import Wrong
from shared.settings.fields.numbers import Seconds
from shared.settings.fields.times import Timeframes
from shared.settings.fields.urls import HttpUrls, WsUrls
from shared.settings.section import Section

_QUOTES = "USDT|USDC|FDUSD|TUSD|BUSD|USD|EUR|TRY|BRL|JPY|BTC|ETH|BNB"


def _symbol(text: str) -> str:
    if re.fullmatch(r"[A-Z0-9]{1,20}/[A-Z0-9]{2,20}", text):
        return text
    parts = re.fullmatch(
        rf"([A-Z0-9]{{1,20}}?)[ /_:.-]?({_QUOTES})", text.strip().upper(), re.ASCII
    )
    near = f"{parts[1]}/{parts[2]}" if parts else ""
    raise Wrong("is not of the form BASE/QUOTE", "write it like BTC/USDT, in capitals", near)


class Exchange(Section):
    """Where the candles come from, and when they count as late."""

    name: Literal["binance"] = Field(default="binance", description="The exchange.")
    symbol: Annotated[str, AfterValidator(_symbol)] = Field(
        default="BTC/USDT", description="The market, as BASE/QUOTE."
    )
    timeframes: Timeframes = Field(
        default=("1m", "5m"),
        description="Timeframes that give signals: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h.",
    )
    rest_hosts: HttpUrls = Field(
        default=(
            "https://api.binance.com",
            "https://api-gcp.binance.com",
            "https://data-api.binance.vision",
        ),
        description="Base URLs of the REST interface, in the order in which they are tried.",
    )
    ws_hosts: WsUrls = Field(
        default=(
            "wss://stream.binance.com:9443",
            "wss://stream.binance.com:443",
            "wss://data-stream.binance.vision",
        ),
        description="Base URLs of the WebSocket streams, in the order in which they are tried.",
    )
    close_deadline_seconds: Seconds = Field(
        default=3.0,
        description="Seconds after a close, by the exchange's clock, before REST is asked for it.",
    )
    missing_after_seconds: Seconds = Field(
        default=30.0,
        description="Seconds after a close before a candle that REST does not have is marked "
        "missing; at least close_deadline_seconds.",
    )
    silence_seconds: Seconds = Field(
        default=30.0,
        description="Seconds without market data before a connection is given up, or without one "
        "of its streams before it is replaced.",
    )
    blind_after_seconds: Annotated[float, Field(gt=0, le=2_592_000)] = Field(
        default=60.0,
        description="Seconds by which a candle is overdue, by the exchange's clock, when the feed "
        "is told to be blind; at least close_deadline_seconds.",
    )
    max_clock_skew_seconds: Seconds | None = Field(
        default=2.0,
        description="Seconds by which our clock may differ from the exchange's before it is told; "
        "null = never.",
    )
    history_candles: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=1000,
        description="Candles of history per timeframe to load at a first start, at least; "
        "a number larger than the history means all of it.",
    )
    request_timeout_seconds: Seconds = Field(
        default=10.0, description="Seconds that one REST request may take."
    )

    @property
    def market(self) -> str:
        """The symbol as the exchange and the Redis keys write it, ``BTCUSDT``."""
        return self.symbol.replace("/", "")

    @property
    def base(self) -> str:
        """What is traded, ``BTC``."""
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        """What it is priced in, ``USDT``."""
        return self.symbol.partition("/")[2]
