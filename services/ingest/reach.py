"""Says whether REST answers, and if not, since when and why. Pure: the time is an argument.

One host of several that fails is no news while the next one answers.
"""

from shared.times import utc

ANSWERED = "answered by "


class Reach:
    """What came of the latest requests."""

    def __init__(self, hosts: int) -> None:
        """Nothing was asked yet of so many ``hosts``."""
        self._hosts, self._failures, self._since_ms = hosts, 0, 0.0
        self.state = ""
        """In words for people; empty before the first answer or the failure of all hosts."""

    @property
    def failure(self) -> str:
        """Since when nobody answers, and why, in words for people; empty while somebody does."""
        return "" if self.state.startswith(ANSWERED) else self.state

    def answered(self, host: str) -> None:
        """``host`` gave a usable answer."""
        self._failures, self.state = 0, f"{ANSWERED}{host}"

    def failed(self, what: str, now_ms: float) -> None:
        """A request failed by our clock's ``now_ms``; ``what`` names the host and the reason."""
        if not self._failures:
            self._since_ms = now_ms
        self._failures += 1
        if self._failures >= self._hosts:
            self.state = f"has not answered since {utc(self._since_ms)}: {what}"
