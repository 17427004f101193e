"""The exchange's clock as far as it is proven: never ahead of the truth, late by the network.

Pure: the monotonic time is an argument. Each server time seen is a lower bound from its arrival
on; the greatest bound wins. Samples older than some minutes are dropped, so that a drifting local
clock cannot carry a bound away.
"""

_BUCKET_S = 300.0


class ExchangeClock:
    """A lower bound of the exchange's time in ms UTC, from the server times seen so far."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._bucket_started = float("-inf")
        self._best: float | None = None  # server ms minus monotonic ms, of the current bucket
        self._previous: float | None = None

    def saw(self, server_ms: int, monotonic_s: float) -> None:
        """A message stamped ``server_ms`` by the exchange arrived at ``monotonic_s``."""
        if monotonic_s - self._bucket_started > _BUCKET_S:
            self._bucket_started = monotonic_s
            self._previous, self._best = self._best, None
        offset = server_ms - monotonic_s * 1000
        if self._best is None or offset > self._best:
            self._best = offset

    def now_ms(self, monotonic_s: float) -> float | None:
        """The exchange's time now, at least; None before any server time was seen."""
        offsets = [offset for offset in (self._best, self._previous) if offset is not None]
        return max(offsets) + monotonic_s * 1000 if offsets else None
