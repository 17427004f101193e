"""Who must wait for the rate limit, and until when. Pure: the clock is an argument."""

from collections.abc import Set


class Limited:
    """Recipients that a limiter held back, by tag."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._until_s: dict[str, float] = {}

    def note(self, tag: str, until_s: float) -> None:
        """This recipient waits."""
        self._until_s[tag] = until_s

    def holds_back(self, tags: Set[str], now_s: float) -> bool:
        """Whether all of these wait."""
        return self.wait_s(now_s) is not None and tags <= self._until_s.keys()

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the first of them may be tried; None if nobody waits."""
        self._until_s = {tag: at_s for tag, at_s in self._until_s.items() if at_s > now_s}
        return min(self._until_s.values()) - now_s if self._until_s else None
