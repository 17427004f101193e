"""How the candles behind a signal came: the data-quality stamp. Pure.

It says nothing of the prices, which are the exchange's own in every case, but of how they reached
us: what came late or by REST was not seen when it happened, and what is missing never was.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from shared.candle import Candle
from shared.decimals import whole

# An EMA's seed weighs e^-10 after so many periods.
_WARM_UP_PERIODS = 5
# How a candle came, as a snapshot holds it: one byte each.
IN_TIME, BY_REST, LATE, MISSING = range(4)


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the last ``candles`` candles in the warm-up, how many did not come in time.

    Attributes:
        candles: How many were looked at; 0: unknown.
        by_rest: Fetched over REST, because the WebSocket did not bring them.
        late: Brought by the WebSocket, but after the close deadline.
        missing: The exchange has none.
    """

    candles: int = 0
    by_rest: int = 0
    late: int = 0
    missing: int = 0

    def __add__(self, other: "Quality") -> "Quality":
        """Of the candles of both."""
        return Quality(
            self.candles + other.candles,
            self.by_rest + other.by_rest,
            self.late + other.late,
            self.missing + other.missing,
        )

    @property
    def complete(self) -> bool:
        """Whether all came in time."""
        return bool(self.candles) and not (self.by_rest or self.late or self.missing)

    @property
    def text(self) -> str:
        """In words: ``complete``, or ``3 by REST, 1 late, 2 missing of the last 500 candles``."""
        if not self.candles:
            return "unknown"
        if self.complete:
            return "complete"
        counts = ((self.by_rest, "by REST"), (self.late, "late"), (self.missing, "missing"))
        told = ", ".join(f"{count} {how}" for count, how in counts if count)
        return f"{told} of the last {self.candles} candles"

    def fields(self) -> list[str]:
        """Flat field, value, ... as stream entries hold them; nothing when unknown."""
        if not self.candles:
            return []
        return [
            "quality", self.text,
            "warm_up", str(self.candles),
            "warm_up_by_rest", str(self.by_rest),
            "warm_up_late", str(self.late),
            "warm_up_missing", str(self.missing),
        ]  # fmt: skip


UNKNOWN = Quality()


def read_quality(fields: Mapping[str, str]) -> Quality:
    """The stamp of an entry; of one without it, unknown.

    Raises:
        KeyError: A part of it is absent.
        ValueError: A count is none, or they do not go together.
    """
    if "warm_up" not in fields:
        return UNKNOWN
    names = ("warm_up", "warm_up_by_rest", "warm_up_late", "warm_up_missing")
    counts = [whole(fields[name]) for name in names]
    if min(counts) < 0 or sum(counts[1:]) > counts[0]:
        raise ValueError(f"the counts of the warm-up are {counts}")
    return Quality(*counts)


def warm_up_candles(*periods: int) -> int:
    """Candles after which indicators of these periods have forgotten how they were seeded."""
    return _WARM_UP_PERIODS * max(periods)


class WarmUp:
    """How the last candles of one timeframe came."""

    def __init__(self, length: int, late_after_ms: float) -> None:
        """Remember ``length`` candles; those that lag more than ``late_after_ms`` are late."""
        self._late_after_ms = late_after_ms
        self._came: deque[int] = deque(maxlen=length)
        self._counts = [0, 0, 0, 0]

    def add(self, candle: Candle) -> None:
        """The next candle, or missing marker."""
        if candle.missing:
            self._add(MISSING)
        elif candle.source == "rest":
            self._add(BY_REST)
        else:
            self._add(LATE if candle.lag_ms > self._late_after_ms else IN_TIME)

    def _add(self, came: int) -> None:
        if len(self._came) == self._came.maxlen:
            self._counts[self._came[0]] -= 1
        self._came.append(came)
        self._counts[came] += 1

    def forget(self) -> None:
        """Begin anew."""
        self._came.clear()
        self._counts = [0, 0, 0, 0]

    @property
    def quality(self) -> Quality:
        """Of what is remembered."""
        _, by_rest, late, missing = self._counts
        return Quality(len(self._came), by_rest, late, missing)

    def state(self) -> bytes:
        """What is remembered, one byte a candle, the oldest first."""
        return bytes(self._came)

    def restore(self, state: object) -> None:
        """Remember what ``state`` says.

        Raises:
            ValueError: It says something else.
        """
        if not isinstance(state, bytes) or len(state) > (self._came.maxlen or 0):
            raise ValueError("the state of a warm-up is not its bytes")
        if state and max(state) > MISSING:
            raise ValueError(f"{max(state)} in the state of a warm-up")
        self.forget()
        for came in state:
            self._add(came)
