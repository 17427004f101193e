"""Since when Redis answers without a break. Pure: the clock is an argument."""

from math import inf

# Somebody asks every second: after a longer silence Redis was away, or we stood still.
_SILENT_S = 5.0


class Answering:
    """What one process sees of Redis; it believes that all was well before it first asked."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._since_s: float | None = -inf
        self._last_s: float | None = None

    def failed(self) -> None:
        """Note that it did not do what it was asked: it is away, or refuses to write."""
        self._since_s = None

    def answered(self, now_s: float) -> None:
        """Note that it did."""
        silent = self._last_s is not None and now_s - self._last_s > _SILENT_S
        if self._since_s is None or silent:
            self._since_s = now_s
        self._last_s = now_s

    def for_s(self, now_s: float) -> float:
        """For how long it has answered without a break; 0 during one, infinite before any."""
        return 0.0 if self._since_s is None else now_s - self._since_s
