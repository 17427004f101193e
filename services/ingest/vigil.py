"""Decides when REST must be asked for the next candle of one timeframe.

Pure: both clocks are arguments, ``now_s`` steady and ``exchange_ms`` the exchange's.
"""

from math import inf

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 10.0


class Vigil:
    """What is known of the stream's end, and whether to wait for the WebSocket any longer.

    Attributes:
        last_ms: Last boundary in the stream as last seen, None while it is empty.
        gap: Whether a later candle waits for one that has not come.
    """

    def __init__(self, interval_ms: int, deadline_ms: float) -> None:
        """Ask when an entry is ``deadline_ms`` late."""
        self._interval_ms, self._deadline_ms = interval_ms, deadline_ms
        self.last_ms: int | None = None
        self.gap = False
        self._hurry = False
        self._retry_at_s, self._retry_s = -inf, FIRST_RETRY_S

    def seconds_left(self, now_s: float, exchange_ms: float | None, waiting: int) -> float:
        """Seconds until REST must be asked, 0 or less for now; ``waiting`` frames are at hand."""
        if self._hurry:
            return 0.0
        if self.gap or self.last_ms is None:
            due_s = 0.0
        elif exchange_ms is None or waiting:
            due_s = inf
        else:
            due_ms = self.last_ms + self._interval_ms + self._deadline_ms
            due_s = (due_ms - exchange_ms) / 1000
        return max(due_s, self.retry_in_s(now_s))

    def retry_in_s(self, now_s: float) -> float:
        """Seconds until REST may be asked again after it was asked in vain."""
        return self._retry_at_s - now_s

    def look_now(self) -> None:
        """Something may have been missed: ask without waiting for the deadline."""
        self._hurry = True

    def found_gap(self) -> None:
        """A candle waits for one before it."""
        if not self.gap:
            self.gap = True
            self._retry_at_s, self._retry_s = -inf, FIRST_RETRY_S

    def asked(self, now_s: float) -> None:
        """REST is asked now; unless the stream ``moved``, not again for a while."""
        if self._hurry:
            self._hurry = False  # out of turn: what is due stays due
            return
        self._retry_at_s = now_s + self._retry_s
        self._retry_s = min(LAST_RETRY_S, self._retry_s * 2)

    def moved(self, last_ms: int | None) -> bool:
        """The stream ends at ``last_ms``; whether that is news."""
        if last_ms == self.last_ms:
            return False
        self.last_ms, self.gap = last_ms, False
        self._retry_at_s, self._retry_s = -inf, FIRST_RETRY_S
        return True
