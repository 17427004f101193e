"""Faults of time."""

from functools import partial

from sim.candles import MINUTE_MS
from sim.faults.bounded import Bounded
from sim.faults.catalogue import fault


class TimeFaults(Bounded):
    """How the exchange's clock is wrong, and its market closed."""

    @fault()
    def skew(self, by_ms: int, *, for_ms: int | None = None) -> None:
        """Set the exchange's clock ahead of its pace, or behind; see ``Clock.skew``."""
        self.clock.skew(by_ms)
        self.expire(for_ms, partial(self.clock.skew, -by_ms))

    @fault()
    def maintenance(self, *, for_ms: int, from_ms: int | None = None) -> None:
        """Let whole minutes pass without candles, from ``from_ms`` or the next minute on.

        Neither frames nor REST will ever know them. This changes what is true: an undisturbed run
        to compare with needs the same candles (``sim.candles.without``).
        """
        next_ms = -(-self.clock.now_ms // MINUTE_MS) * MINUTE_MS
        start_ms = max(next_ms, -(-(from_ms or 0) // MINUTE_MS) * MINUTE_MS)
        end_ms = (next_ms if from_ms is None else from_ms) + for_ms
        self.feed.cut_out(start_ms, -(-end_ms // MINUTE_MS) * MINUTE_MS)
