"""Decides when the feed is blind and when it sees again.

Pure: the monotonic time and the exchange's are arguments. Blind is the feed while the next entry of
any timeframe is overdue by more than a limit. A refill may be faster than any look at it, so an
entry that came too late proves the same afterwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.times import lasting

# While a connection comes back, the feed is now late and now in time; that is one trouble.
STEADY_S = 2.0
# Without a socket, REST has to show first that it brings the next candle in time, too.
STEADY_BY_REST_S = 65.0


@dataclass(frozen=True, slots=True)
class Lapse:
    """Nothing came of a timeframe after an entry, for too long.

    Attributes:
        since_ms: The last boundary before.
        next_ms: The boundary that should have come.
    """

    timeframe: str
    since_ms: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class End:
    """Where one timeframe's stream ends, as far as is known.

    Attributes:
        last_ms: The last boundary in it, or at hand without a gap; None while it is empty.
        idle_s: For how long nothing has been added.
        lag_ms: How late the last entry came; None if that is not known.
    """

    interval_ms: int
    last_ms: int | None
    idle_s: float
    lag_ms: int | None = None


def overdue(
    ends: Mapping[str, End], exchange_ms: float | None, blind_after_ms: float
) -> list[Lapse]:
    """The timeframes that are overdue now.

    A stream whose last entry came late while it still grows is being filled: with the history that
    it begins with, or after a lapse that is known.
    """
    lapses = []
    for name, end in ends.items():
        if end.last_ms is None or exchange_ms is None:
            continue
        next_ms = end.last_ms + end.interval_ms
        filling = (
            end.lag_ms is not None
            and end.lag_ms > blind_after_ms
            and end.idle_s * 1000 <= blind_after_ms
        )
        if exchange_ms - next_ms > blind_after_ms and not filling:
            lapses.append(Lapse(name, end.last_ms, next_ms))
    return lapses


def worst(lapses: Iterable[Lapse]) -> Lapse:
    """The most overdue one; there is at least one."""
    return min(lapses, key=lambda lapse: lapse.next_ms)


class Sight:
    """For how long all timeframes have been in time."""

    def __init__(self) -> None:
        """Begin in doubt."""
        self._well_since_s: float | None = None
        self._well_at_ms: float | None = None

    def looked(self, *, well: bool, now_s: float, exchange_ms: float | None) -> None:
        """The streams were looked at; ``well`` if nothing was overdue, nor had come too late."""
        if not well:
            self._well_since_s = None
        elif self._well_since_s is None:
            self._well_since_s, self._well_at_ms = now_s, exchange_ms

    def recovered_ms(self, now_s: float, *, by_socket: bool) -> float | None:
        """The exchange's time from which on all was well; None while it is too early to say."""
        steady_s = STEADY_S if by_socket else STEADY_BY_REST_S
        if self._well_since_s is None or now_s - self._well_since_s < steady_s:
            return None
        return self._well_at_ms


@dataclass(frozen=True, slots=True)
class Refilled:
    """What came late of one timeframe."""

    timeframe: str
    candles: int
    by_rest: int
    missing: int


def blind_sentence(symbol: str, since: str, timeframe: str, rest_failure: str = "") -> str:
    """``BTC/USDT feed BLIND since 2026-01-01 00:01:00 UTC: no 1m candle after that``.

    ``; REST has not answered since …: …`` follows where that is the reason.
    """
    why = f"; REST {rest_failure}" if rest_failure else ""
    return f"{symbol} feed BLIND since {since}: no {timeframe} candle after that{why}"


def recovered_sentence(symbol: str, after_ms: float, refilled: Iterable[Refilled]) -> str:
    """``BTC/USDT feed RECOVERED after 10h 0m: 730 candles refilled (600 1m, …), 728 by REST``."""
    some = [each for each in refilled if each.candles]
    total = sum(each.candles for each in some)
    by_rest, missing = sum(each.by_rest for each in some), sum(each.missing for each in some)
    each_of = ", ".join(f"{each.candles} {each.timeframe}" for each in some)
    parts = [
        f"{total} candle{'' if total == 1 else 's'} refilled" + (f" ({each_of})" if some else ""),
        f"{by_rest} by REST",
        *([f"{missing} missing"] if missing else []),
    ]
    return f"{symbol} feed RECOVERED after {lasting(after_ms)}: {', '.join(parts)}"
