"""How long our own entries have waited by our own clock. Pure: the clock is an argument.

Their idle times follow the clock of Redis's machine: were it set back by an hour, what failed just
before would get no further attempt for an hour.
"""

from collections.abc import Iterable, Mapping

from services.notifier.decisions import Pending


class Waits:
    """Since when each entry of our own has lain as it lies."""

    def __init__(self, consumer: str) -> None:
        """Watch what is pending for ``consumer``."""
        self._consumer = consumer
        self._since: dict[bytes, tuple[int, float]] = {}

    def look(self, pending: Iterable[Pending], now_s: float) -> Mapping[bytes, float]:
        """Seconds that each has waited at least; what is not pending any more is forgotten."""
        found: dict[bytes, tuple[int, float]] = {}
        for entry in pending:
            if entry.consumer == self._consumer:
                attempts, _ = known = self._since.get(entry.entry_id, (entry.attempts, now_s))
                found[entry.entry_id] = (
                    known if attempts == entry.attempts else (entry.attempts, now_s)
                )
        self._since = found
        return {entry_id: now_s - since_s for entry_id, (_, since_s) in found.items()}

    def begin_anew(self, entry_id: bytes) -> None:
        """Note that it had its turn just now."""
        self._since.pop(entry_id, None)
