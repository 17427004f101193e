"""A trading signal: what the detector decided, why, and everything an alert shows of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from shared.candle import Fields
from shared.decimals import LARGEST, measured, shortest, whole
from shared.malformed import Malformed
from shared.market import Market, check_market, market_of
from shared.quality import UNKNOWN, Quality, read_quality
from shared.timeframe import interval_ms


class Side(StrEnum):
    """The direction of a signal."""

    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        """+1 where rising prices win, −1 where falling prices do."""
        return 1 if self is Side.LONG else -1


class Bias(StrEnum):
    """Where the close stands: above both VWAP and trend EMA, below both, or between."""

    BULLISH = "BULLISH"
    BEARISH = "BEARISH"
    NEUTRAL = "NEUTRAL"


FACTORS = ("trend", "bias", "momentum", "volume", "higher_timeframe")
"""The five factors in the order in which they are judged and shown."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. Prices in the quote asset, volumes in the base asset, times in ms UTC.

    Attributes:
        close_time_ms: Close boundary of the candle that gave the signal.
        risk_reward: Reward divided by risk.
        confidence: How many of the five factors are met.
        factors: Names of the factors that are met.
        why: The factor board in words.
        stale: Already too old when detected; recorded, never alerted.
        lag_ms: Exchange time when the candle arrived minus its boundary.
        received_at_ms: Our clock when the candle arrived.
        quality: How the candles came that it rests on.
        test: Made by ``test-alert``, not by the market.
        only: The channel that is meant, empty for all.
    """

    market: Market
    timeframe: str
    side: Side
    close_time_ms: int
    entry: float
    stop_loss: float
    take_profit: float
    risk_reward: float
    atr: float
    rsi: float
    vwap: float
    ema_fast: float
    ema_slow: float
    trend_ema: float
    trend_timeframe: str
    volume: float
    volume_ma: float
    bias: Bias
    confidence: int
    factors: tuple[str, ...]
    why: str
    stale: bool
    source: str
    lag_ms: int
    received_at_ms: int
    quality: Quality = UNKNOWN
    test: bool = False
    only: str = ""

    @property
    def id(self) -> str:
        """The deterministic identity: ``BTCUSDT:5m:LONG:<close boundary ms>``, or ``TEST:…``."""
        identity = f"{self.market.symbol}:{self.timeframe}:{self.side}:{self.close_time_ms}"
        return f"TEST:{identity}" if self.test else identity

    @property
    def lacking(self) -> str:
        """What is missing, to be added: ``", without volume"``; empty when all factors are met."""
        names = [name.replace("_", " ") for name in FACTORS if name not in self.factors]
        return f", without {', '.join(names)}" if names else ""

    def age_ms(self, now_ms: int) -> int:
        """Since the close boundary; by our clock only from when the candle was received.

        So it is right for a replay too, whose market time may be years ago.
        """
        return now_ms - self.received_at_ms + max(self.lag_ms, 0)

    @property
    def volume_ratio(self) -> float:
        """Volume as a multiple of its moving average."""
        return self.volume / self.volume_ma if self.volume_ma else 0.0

    @property
    def closed_at(self) -> datetime:
        """The close boundary as a UTC time."""
        return datetime.fromtimestamp(self.close_time_ms / 1000, UTC)

    def percent(self, price: float) -> float:
        """How far ``price`` is from the entry, in percent; negative below it."""
        return (price - self.entry) / self.entry * 100

    def price(self, value: float) -> str:
        """A price with thousands separators and the market's decimals: ``65,432.50``."""
        return f"{value:,.{self.market.price_places}f}"

    @property
    def sentence(self) -> str:
        """The signal as a trader would say it, the first field of the stream entry."""
        stop, target = self.percent(self.stop_loss), self.percent(self.take_profit)
        old = "stale, not alerted: " if self.stale else "TEST, no signal: " if self.test else ""
        return (
            f"{old}{self.side} {self.market.base}/{self.market.quote} {self.timeframe}"
            f" at {self.price(self.entry)}, stop {self.price(self.stop_loss)} ({stop:+.2f}%),"
            f" target {self.price(self.take_profit)} ({target:+.2f}%),"
            f" R:R 1:{self.risk_reward:.2f}, {self.confidence}/{len(FACTORS)} factors,"
            f" {self.bias}, candle closed {self.closed_at:%Y-%m-%d %H:%M:%S} UTC"
        )

    def fields(self) -> list[str]:
        """Flat field, value, ... as the stream entry holds them; the sentence comes first."""
        flat = ["signal", self.sentence, "why", self.why, "id", self.id]
        flat += [text for pair in self.market.fields().items() for text in pair]
        for name in _TEXTS:
            flat += (name, str(getattr(self, name)))
        for name in _NUMBERS:
            flat += (name, shortest(getattr(self, name)))
        flat += ("factors", " ".join(self.factors), "stale", "1" if self.stale else "0")
        flat += ("source", self.source, "lag_ms", str(self.lag_ms))
        flat += ("received_at", str(self.received_at_ms))
        if self.test:
            flat += ("test", "1", "only", self.only)
        return flat + self.quality.fields()


_TEXTS = ("timeframe", "side", "close_time_ms", "trend_timeframe", "bias", "confidence")
_NUMBERS = (
    "entry",
    "stop_loss",
    "take_profit",
    "risk_reward",
    "atr",
    "rsi",
    "vwap",
    "ema_fast",
    "ema_slow",
    "trend_ema",
    "volume",
    "volume_ma",
)


# A stop can be a thousand ATRs away.
_LARGEST = LARGEST * 10_000


def read_signal(entry_id: bytes, fields: Fields) -> Signal:
    """Decode an entry of the ``signals`` stream.

    Raises:
        Malformed: A field is absent or does not fit (somebody edited the stream).
    """
    try:
        known = dict(_decoded(fields))
        market = Market(
            known["symbol"], known["base"], known["quote"], known["tick_size"], known["status"]
        )
        check_market(market)
        numbers = {name: measured(known[name], _LARGEST) for name in _NUMBERS}
        signal = Signal(
            market=market,
            timeframe=known["timeframe"],
            side=Side(known["side"]),
            close_time_ms=whole(known["close_time_ms"]),
            trend_timeframe=known["trend_timeframe"],
            bias=Bias(known["bias"]),
            confidence=whole(known["confidence"]),
            factors=tuple(known["factors"].split()),
            why=known["why"],
            stale=known["stale"] == "1",
            source=known["source"],
            lag_ms=whole(known["lag_ms"]),
            received_at_ms=whole(known["received_at"]),
            quality=read_quality(known),
            test=known.get("test") == "1",
            only=known.get("only", ""),
            **numbers,
        )
        interval_ms(signal.timeframe)
        interval_ms(signal.trend_timeframe)
        _ = signal.sentence  # what cannot be shown (a time) fails here, not in an alert
    except KeyError as error:
        raise Malformed(f"signals entry {entry_id!r} has no field {error}") from None
    except (ValueError, ArithmeticError) as error:
        raise Malformed(f"signals entry {entry_id!r}: {error}") from None
    return signal


def _decoded(fields: Fields) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        yield name.decode(), value.decode()


def example_signal(**changes: object) -> Signal:
    """A complete, plausible signal, for test alerts and examples in the documentation."""
    signal = Signal(
        market=market_of("BTC/USDT"),
        timeframe="5m",
        side=Side.LONG,
        close_time_ms=1762094100000,
        entry=65432.50,
        stop_loss=65200.00,
        take_profit=65665.00,
        risk_reward=1.0,
        atr=232.50,
        rsi=55.3,
        vwap=65300.00,
        ema_fast=65450.00,
        ema_slow=65380.00,
        trend_ema=65100.00,
        trend_timeframe="1h",
        volume=1234567.0,
        volume_ma=705466.857,
        bias=Bias.BULLISH,
        confidence=5,
        factors=FACTORS,
        why="EMA 9 crossed above EMA 21",
        stale=False,
        source="ws",
        lag_ms=12,
        received_at_ms=1762094100012,
        quality=Quality(500),
    )
    return replace(signal, **changes)  # type: ignore[arg-type] # names are the caller's concern
