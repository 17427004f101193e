"""What may be done to a closing frame instead of just sending it; pure.

A treatment waits for the next frames that it fits, the oldest one first, and each frame gets at
most one.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from sim.tape import Kline

Side = Literal["ws", "rest", "copy"]


@dataclass(frozen=True, slots=True)
class Late:
    """Send it so long after the close boundary."""

    late_ms: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Never send it."""


@dataclass(frozen=True, slots=True)
class Twice:
    """Send it, and again some time later (0: at once)."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Reversed:
    """Hold it until a whole group is held, then send the group backwards."""

    size: int


@dataclass(frozen=True, slots=True)
class Contradicted:
    """Tell two values of one candle, which differ by a share.

    Attributes:
        side: who lies: the frame ("ws"), REST ("rest"), or a second frame ("copy").
    """

    side: Side
    by: float


Treatment = Late | Lost | Twice | Reversed | Contradicted


@dataclass(slots=True)
class _Waiting:
    treatment: Treatment
    left: int
    interval: str | None


@dataclass(slots=True)
class Treatments:
    """Those that wait for frames."""

    _queue: deque[_Waiting] = field(default_factory=deque)

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, treatment: Treatment, count: int, interval: str | None) -> None:
        """Treat the next ``count`` closing frames, of one timeframe or of any."""
        self._queue.append(_Waiting(treatment, count, interval))

    def take(self, interval: str) -> Treatment | None:
        """The treatment of the frame at hand."""
        for waiting in self._queue:
            if waiting.interval in (None, interval):
                waiting.left -= 1
                if waiting.left <= 0:
                    self._queue.remove(waiting)
                return waiting.treatment
        return None

    def clear(self) -> None:
        """Treat nothing any more."""
        self._queue.clear()


def contradict(kline: Kline, by: float) -> Kline:
    """The candle with another close and volume; still one that could be true."""
    close = round(kline.close * (1 + by), 2 if kline.close >= 100 else 8)
    return kline._replace(
        close=close,
        high=max(kline.high, close),
        low=min(kline.low, close),
        volume=round(kline.volume * (1 + by), 8),
        quote=kline.quote * (1 + by),
    )
