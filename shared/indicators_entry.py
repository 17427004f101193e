"""One entry of the ``indicators`` stream: a candle with all that the signal rules need.

It carries the previous candle's fast and slow EMA and the trend timeframe's EMA too, so that
evaluating an entry needs no memory. Undefined values are omitted from the stream.
"""

from dataclasses import dataclass

from shared.candle import Fields
from shared.decimals import finite, shortest
from shared.malformed import Malformed
from shared.quality import UNKNOWN, Quality, read_quality


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
        Malformed: A field is absent or not a finite number (somebody edited the stream).
    """

    def number(name: bytes) -> float | None:
        value = fields.get(name)
        return None if value is None else finite(value)

    try:
        boundary, _, rank = entry_id.partition(b"-")
        trend_timeframe = fields.get(b"trend_timeframe")
        return IndicatorsEntry(
            timeframe=fields[b"timeframe"].decode(),
            boundary_ms=int(boundary),
            rank=int(rank),
            open=finite(fields[b"open"]),
            high=finite(fields[b"high"]),
            low=finite(fields[b"low"]),
            close=finite(fields[b"close"]),
            volume=finite(fields[b"volume"]),
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
            lag_ms=int(fields[b"lag_ms"]),
            received_at_ms=int(fields[b"received_at"]),
            quality=_quality(fields),
        )
    except KeyError as error:
        raise Malformed(f"indicators entry {entry_id!r} has no field {error}") from None
    except ValueError as error:
        raise Malformed(f"indicators entry {entry_id!r}: {error}") from None


def _quality(fields: Fields) -> Quality:
    counts = {name.decode(): fields[name].decode() for name in fields if name.startswith(b"warm_")}
    return read_quality(counts)
