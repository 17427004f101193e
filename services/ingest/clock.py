"""The exchange's clock as far as it is proven: never ahead of the truth, late by the network.

Pure: the steady time (``shared.steady``) is an argument. Each server time seen is a lower bound
from its arrival on; the greatest bound wins. Samples older than some minutes are dropped, so that
a drifting local clock cannot carry a bound away.
"""

_BUCKET_S = 300.0
# Two of the exchange's machines may differ by this much without either being wrong.
_TOLERATED_MS = 1000.0


class ExchangeClock:
    """A lower bound of the exchange's time in ms UTC, from the server times seen so far."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._bucket_started = float("-inf")
        self._best: float | None = None  # server ms minus steady ms, of the current bucket
        self._previous: float | None = None

    def saw(self, server_ms: int, now_s: float) -> None:
        """A message stamped ``server_ms`` by the exchange arrived at ``now_s``."""
        if now_s - self._bucket_started > _BUCKET_S:
            self._bucket_started = now_s
            self._previous, self._best = self._best, None
        offset = server_ms - now_s * 1000
        if self._best is None or offset > self._best:
            self._best = offset

    def answered(self, server_ms: int, asked_s: float, answered_s: float) -> None:
        """The exchange, asked for its time, said ``server_ms``.

        Unlike a frame this also bounds the time from above: it was not later when we asked. So
        what a damaged or foreign frame made us believe ends here.
        """
        most = server_ms - asked_s * 1000 + _TOLERATED_MS
        if self._best is not None and self._best > most:
            self._best = None
        if self._previous is not None and self._previous > most:
            self._previous = None
        self.saw(server_ms, answered_s)

    def now_ms(self, now_s: float) -> float | None:
        """The exchange's time now, at least; None before any server time was seen."""
        best, previous = self._best, self._previous
        if best is None or (previous is not None and previous > best):
            best = previous
        return None if best is None else best + now_s * 1000
