"""A closed candle as it travels in ``klines`` streams, and the marker for one that never was."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from shared.decimals import LARGEST, shortest, whole
from shared.malformed import Malformed
from shared.times import LATEST_MS

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed candle, or (``missing``) the exchange's word that there is none.

    Attributes:
        boundary_ms: Close boundary = open time + interval, ms UTC. The identity of the candle.
        open: First price; like ``high``, ``low``, ``close`` in the quote asset, 0 when missing.
        volume: In the base asset.
        source: ``ws`` or ``rest``.
        lag_ms: Exchange time at arrival minus ``boundary_ms``.
        received_at_ms: Our clock at arrival, ms UTC.
    """

    boundary_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    source: str
    lag_ms: int
    received_at_ms: int
    missing: bool = False

    def fields(self) -> list[str]:
        """Flat field, value, field, value, ... as the stream entry holds them."""
        origin = [
            "source", self.source,
            "lag_ms", str(self.lag_ms),
            "received_at", str(self.received_at_ms),
        ]  # fmt: skip
        if self.missing:
            return ["missing", "1", *origin]
        return [
            "open", shortest(self.open),
            "high", shortest(self.high),
            "low", shortest(self.low),
            "close", shortest(self.close),
            "volume", shortest(self.volume),
            *origin,
        ]  # fmt: skip


def missing_candle(boundary_ms: int, lag_ms: int, received_at_ms: int) -> Candle:
    """The marker for a boundary at which the exchange has no candle."""
    return Candle(boundary_ms, 0, 0, 0, 0, 0, "rest", lag_ms, received_at_ms, missing=True)


def flaw(  # noqa: PLR0911 - one for each fault
    open_: float, high: float, low: float, close: float, volume: float
) -> str | None:
    """What is impossible about these prices, or None."""
    if not (isfinite(open_ + high + low + close) and isfinite(volume)):
        return "a price or the volume is not a finite number"
    if max(open_, high, low, close, volume) > LARGEST:
        return "a price or the volume is larger than any market's"
    if min(open_, high, low, close) <= 0:
        return "a price is not positive"
    if volume < 0:
        return "the volume is negative"
    if high < low:
        return "high is below low"
    if not (low <= open_ <= high and low <= close <= high):
        return "open or close lies outside low..high"
    return None


def read_candle(entry_id: bytes, fields: Fields) -> Candle:
    """Decode an entry of a ``klines`` stream.

    Raises:
        Malformed: A field is absent, not a number or impossible (somebody edited the stream).
    """
    try:
        boundary_ms = int(entry_id.partition(b"-")[0])
        source = fields[b"source"].decode()
        lag_ms = whole(fields[b"lag_ms"])
        received_at_ms = whole(fields[b"received_at"])
        if fields.get(b"missing") == b"1" and boundary_ms < LATEST_MS:
            return missing_candle(boundary_ms, lag_ms, received_at_ms)
        open_, high = float(fields[b"open"]), float(fields[b"high"])
        low, close = float(fields[b"low"]), float(fields[b"close"])
        volume = float(fields[b"volume"])
    except KeyError as error:
        raise Malformed(f"klines entry {entry_id!r} has no field {error}") from None
    except ValueError as error:
        raise Malformed(f"klines entry {entry_id!r}: {error}") from None
    if boundary_ms >= LATEST_MS:
        raise Malformed(f"klines entry {entry_id!r}: its ID is no time in milliseconds")
    if (wrong := flaw(open_, high, low, close, volume)) is not None:
        raise Malformed(f"klines entry {entry_id!r}: {wrong}")
    return Candle(boundary_ms, open_, high, low, close, volume, source, lag_ms, received_at_ms)
