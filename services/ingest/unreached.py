"""Judges whether the feed is blind in a process that has not reached the exchange. Pure.

Without the exchange's time there are only the ends of the streams, and what has passed since: by
our clock until an entry is seen to come (another process may feed), then since that was seen.
"""

from collections.abc import Mapping

from services.ingest.sight import End, Lapse, overdue
from shared.candle import Candle

# However short the limit is: a process needs some time for its first answer.
_FIRST_ANSWER_S = 5.0


class Unreached:
    """Watches the ends of the streams, by timeframe, from the first look on."""

    def __init__(self, intervals_ms: Mapping[str, int], blind_after_ms: float) -> None:
        """Begin with the first look."""
        self._intervals_ms, self._blind_after_ms = intervals_ms, blind_after_ms
        self._since_s: float | None = None
        self._ends: dict[str, tuple[int | None, float]] = {}
        self._grown = False

    def look(
        self,
        lasts: Mapping[str, Candle | None],
        now_s: float,
        now_ms: float,
        exchange_ms: float | None = None,
    ) -> list[Lapse]:
        """The timeframes that are overdue.

        Args:
            lasts: The last entry of each stream, None while it is empty.
            now_s: Steady time.
            now_ms: Our clock.
            exchange_ms: The exchange's time, should it be known after all.
        """
        self._note(lasts, now_s)
        if self._since_s is None:
            self._since_s = now_s
        up_s = now_s - self._since_s
        if up_s <= max(_FIRST_ANSWER_S, self._blind_after_ms / 1000):
            return []
        filled = {name: last for name, last in lasts.items() if last is not None}
        if not filled:
            began_ms = round(now_ms - up_s * 1000)
            shortest = min(self._intervals_ms, key=self._intervals_ms.__getitem__)
            return [Lapse(shortest, began_ms, began_ms)]
        ends = {}
        for name, last in filled.items():
            idle_s = now_s - self._ends[name][1]
            ends[name] = End(self._intervals_ms[name], last.boundary_ms, idle_s, last.lag_ms)
        proven_ms = self._proven_ms(filled, now_s, now_ms) if exchange_ms is None else exchange_ms
        return overdue(ends, proven_ms, self._blind_after_ms)

    def _note(self, lasts: Mapping[str, Candle | None], now_s: float) -> None:
        for name, last in lasts.items():
            boundary_ms = last.boundary_ms if last else None
            if name not in self._ends:
                self._ends[name] = boundary_ms, now_s
            elif self._ends[name][0] != boundary_ms:
                self._ends[name], self._grown = (boundary_ms, now_s), True

    def _proven_ms(self, filled: Mapping[str, Candle], now_s: float, now_ms: float) -> float:
        """The exchange's time, as far as the entries and what has passed since show it."""
        found = []
        for name, last in filled.items():
            passed_ms = (now_s - self._ends[name][1]) * 1000
            if not self._grown:
                passed_ms = max(passed_ms, now_ms - last.received_at_ms)
            found.append(last.boundary_ms + last.lag_ms + passed_ms)
        return max(found)
