"""How much the exchange lets this address ask within a minute, and how much of that is used.

Pure: the exchange's time is an argument. The exchange counts everybody at the address together and
says in each answer what it has counted, so this needs no book of its own but of what is on its way.
"""

from collections.abc import Iterator
from contextlib import contextmanager

MINUTE_MS = 60_000
# The rest is for whoever else is at this address: an order must never fail because of us.
SHARE = 0.5


class Weight:
    """Request weight of the minute that runs."""

    def __init__(self) -> None:
        """Know neither the limit nor what is used."""
        self._limit: int | None = None
        self._used = self._minute = self._on_the_way = 0

    def __str__(self) -> str:
        """``38 of 6000 in a minute``."""
        return f"{self._used} of {self._limit or 'any'} in a minute"

    def limited(self, limit: int | None) -> None:
        """The exchange states its ``limit`` for a minute, None if it states none."""
        self._limit = limit

    def answered(self, used: str | None, exchange_ms: float | None) -> None:
        """An answer's header says that so much was ``used``."""
        if used is not None and used.isascii() and used.isdecimal() and len(used) < 10:
            minute, before = _minute(exchange_ms), self._used
            # Answers may overtake each other; what was used within a minute does not shrink.
            self._used = max(before, int(used)) if minute == self._minute else int(used)
            self._minute = minute

    @contextmanager
    def asking(self, weight: int) -> Iterator[None]:
        """Count a request, too, whose answer has not come yet, or does not come at all."""
        self._on_the_way += weight
        try:
            yield
        except BaseException:
            self._used += weight
            raise
        finally:
            self._on_the_way -= weight

    def pause_s(self, weight: int, exchange_ms: float | None) -> float:
        """Seconds to wait before a request of ``weight`` keeps to our share; mostly 0."""
        if self._limit is None or exchange_ms is None or _minute(exchange_ms) != self._minute:
            return 0.0
        if self._used + self._on_the_way + weight <= self._limit * SHARE:
            return 0.0
        return (MINUTE_MS - exchange_ms % MINUTE_MS) / 1000


def _minute(exchange_ms: float | None) -> int:
    return int((exchange_ms or 0) // MINUTE_MS)
