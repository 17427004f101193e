"""Faults of frames. Those with a count are for the next closing frames, of one or any timeframe."""

from sim.candles import MINUTE_MS
from sim.faults.bounded import Bounded
from sim.faults.catalogue import fault
from sim.garbage import KINDS
from sim.tape import TIMEFRAMES
from sim.treatments import Contradicted, Late, Lost, Reversed, Side, Treatment, Twice


class FrameFaults(Bounded):
    """How frames are late, lost, repeated or wrong."""

    @fault()
    def late_close(self, late_ms: int, count: int = 1, *, interval: str | None = None) -> None:
        """Send closing frames this long after the boundary, up to 30 s; REST is not late."""
        if not 0 <= late_ms <= MINUTE_MS // 2:
            raise ValueError(f"late by {late_ms} ms: give 0 to 30000")
        self._treat(Late(late_ms), count, interval)

    @fault()
    def lose_close(self, count: int = 1, *, interval: str | None = None) -> None:
        """Never send them."""
        self._treat(Lost(), count, interval)

    @fault()
    def duplicate(self, count: int = 1, *, after_ms: int = 0, interval: str | None = None) -> None:
        """Send them twice; with ``after_ms`` the copies are old news between new frames."""
        self._treat(Twice(after_ms), count, interval)

    @fault()
    def disorder(self, count: int = 2, *, interval: str | None = None) -> None:
        """Hold them until all are there, and send the last one first."""
        self._treat(Reversed(count), count, interval)

    @fault()
    def contradict(
        self,
        count: int = 1,
        *,
        side: Side = "copy",
        by: float = 0.001,
        interval: str | None = None,
    ) -> None:
        """Tell two values of a candle, apart by the share ``by`` in close and volume.

        ``side`` is who lies: the frame ("ws"), REST until ``behave`` ("rest"), or a second frame
        right after the true one ("copy").
        """
        if side not in ("ws", "rest", "copy"):
            raise ValueError(f'side {side!r}: "ws", "rest" or "copy"')
        self._treat(Contradicted(side, by), count, interval)

    @fault()
    def garbage(self, kind: str | None = None) -> None:
        """Send a frame of this kind to whoever hears anything, or one of each (None)."""
        for name in KINDS if kind is None else (kind,):
            self.feed.send_garbage(name)

    def _treat(self, treatment: Treatment, count: int, interval: str | None) -> None:
        if interval is not None and interval not in TIMEFRAMES:
            raise ValueError(f"no stream of {interval!r}; there are {', '.join(TIMEFRAMES)}")
        if count < 1:
            raise ValueError(f"{count} frames: at least one")
        self.feed.treatments.add(treatment, count, interval)
