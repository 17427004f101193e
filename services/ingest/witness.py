"""What is remarkable about one timeframe's candles, for whoever wants to know."""

from typing import Protocol

from services.ingest.published import KEPT, Arrival, Published
from shared.candle import Candle


class Observer(Protocol):
    """Whoever wants to know what is remarkable about one timeframe's candles."""

    def twice(self, timeframe: str, first: Candle | None, second: Candle) -> None:
        """A candle came again; None if somebody else has put the first into the stream."""

    def came_late(self, timeframe: str, arrival: Arrival) -> None:
        """An entry came so late that the feed was blind before it."""


class Witness:
    """Remembers what this process has published, and tells the observer, if there is one."""

    def __init__(
        self, timeframe: str, interval_ms: int, blind_after_ms: float, observer: Observer | None
    ) -> None:
        """Nothing is published yet."""
        self._timeframe, self._interval_ms = timeframe, interval_ms
        self._published, self._observer = Published(blind_after_ms), observer

    def published(self, new: list[Candle]) -> None:
        """These went into the stream, by us."""
        arrival = self._published.add(new, self._interval_ms)
        if arrival is not None and self._observer is not None:
            self._observer.came_late(self._timeframe, arrival)

    def known(self, candles: list[Candle]) -> None:
        """The stream had these before: ours, or somebody else's."""
        for candle in candles[-KEPT:]:
            self.twice(self._published.known(candle.boundary_ms), candle)

    def twice(self, first: Candle | None, second: Candle) -> None:
        """A candle came again."""
        if self._observer is not None:
            self._observer.twice(self._timeframe, first, second)
