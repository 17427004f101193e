"""One entry of the ``indicators`` stream: a candle with all that the signal rules need.

It carries the previous candle's fast and slow EMA and the trend timeframe's EMA too, so that
evaluating an entry needs no memory. Undefined values are omitted from the stream.
"""

from dataclasses import dataclass

from shared.candle import Fields
from shared.decimals import measured, shortest, whole
from shared.malformed import Malformed
from shared.quality import UNKNOWN, Quality, read_quality
from shared.timeframe import interval_ms
from shared.times import LATEST_MS


@dataclass(frozen=True, slots=True)
class IndicatorsEntry:
    """A closed candle with its indicators; None where an indicator is not defined yet.

    Attributes:
        rank: Place among the entries of one boundary; 0 is the longest timeframe.
        trend_ema: ``ema_trend`` of ``trend_timeframe`` at its last candle closed by then.
        lag_ms: Exchange time when the candle arrived minus its boundary.
        received_at_ms: Our clock when the candle arrived, ms UTC.
        quality: How the candles came that it rests on, its trend timeframe's too.
    """

    timeframe: str
    boundary_ms: int
    rank: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    ema_fast: float | None
    ema_slow: float | None
    ema_trend: float | None
    ema_fast_prev: float | None
    ema_slow_prev: float | None
    rsi: float | None
    atr: float | None
    vwap: float | None
    volume_ma: float | None
    trend_timeframe: str | None
    trend_ema: float | None
    source: str
    lag_ms: int
    received_at_ms: int
    quality: Quality = UNKNOWN

    @property
    def entry_id(self) -> str:
        """The stream ID: ``<boundary>-<rank>``."""
        return f"{self.boundary_ms}-{self.rank}"

    def fields(self) -> list[str]:
        """Flat field, value, ... as the stream entry holds them, undefined values left out."""
        flat = [
            "timeframe", self.timeframe,
            "open", shortest(self.open),
            "high", shortest(self.high),
            "low", shortest(self.low),
            "close", shortest(self.close),
            "volume", shortest(self.volume),
        ]  # fmt: skip
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None:
                flat += (name, shortest(value))
        if self.trend_timeframe is not None:
            flat += ("trend_timeframe", self.trend_timeframe)
        flat += (
            "source", self.source,
            "lag_ms", str(self.lag_ms),
            "received_at", str(self.received_at_ms),
        )  # fmt: skip
        return flat + self.quality.fields()


_OPTIONAL = (
    "ema_fast",
    "ema_slow",
    "ema_trend",
    "ema_fast_prev",
    "ema_slow_prev",
    "rsi",
    "atr",
    "vwap",
    "volume_ma",
    "trend_ema",
)


def read_indicators(entry_id: bytes, fields: Fields) -> IndicatorsEntry:
    """Decode an entry of the ``indicators`` stream.

    Raises:
        Malformed: A field is absent or impossible (somebody edited the stream).
    """

    def number(name: bytes) -> float | None:
        value = fields.get(name)
        return None if value is None else measured(value)

    try:
        boundary, _, rank = entry_id.partition(b"-")
        trend_timeframe = fields.get(b"trend_timeframe")
        entry = IndicatorsEntry(
            timeframe=fields[b"timeframe"].decode(),
            boundary_ms=int(boundary),
            rank=int(rank),
            open=measured(fields[b"open"]),
            high=measured(fields[b"high"]),
            low=measured(fields[b"low"]),
            close=measured(fields[b"close"]),
            volume=measured(fields[b"volume"]),
            ema_fast=number(b"ema_fast"),
            ema_slow=number(b"ema_slow"),
            ema_trend=number(b"ema_trend"),
            ema_fast_prev=number(b"ema_fast_prev"),
            ema_slow_prev=number(b"ema_slow_prev"),
            rsi=number(b"rsi"),
            atr=number(b"atr"),
            vwap=number(b"vwap"),
            volume_ma=number(b"volume_ma"),
            trend_timeframe=None if trend_timeframe is None else trend_timeframe.decode(),
            trend_ema=number(b"trend_ema"),
            source=fields[b"source"].decode(),
            lag_ms=whole(fields[b"lag_ms"]),
            received_at_ms=whole(fields[b"received_at"]),
            quality=_quality(fields),
        )
        _check(entry)
    except KeyError as error:
        raise Malformed(f"indicators entry {entry_id!r} has no field {error}") from None
    except ValueError as error:
        raise Malformed(f"indicators entry {entry_id!r}: {error}") from None
    return entry


def _check(entry: IndicatorsEntry) -> None:
    """Refuse what no candle can have.

    Raises:
        ValueError: Says what it is.
    """
    if entry.boundary_ms >= LATEST_MS:
        raise ValueError("its ID is no time in milliseconds")
    if min(entry.open, entry.high, entry.low, entry.close) <= 0 or entry.volume < 0:
        raise ValueError("a price is not positive, or the volume is negative")
    interval_ms(entry.timeframe)  # both are shown
    if entry.trend_timeframe is not None:
        interval_ms(entry.trend_timeframe)


def _quality(fields: Fields) -> Quality:
    stamp = (each for each in fields.items() if each[0].startswith(b"warm_up"))
    return read_quality({name.decode(): text.decode() for name, text in stamp})
