"""How much the exchange lets this address ask within a minute, and how much of that is used.

Pure: the exchange's time is an argument. The exchange counts everybody at the address together and
says in each answer what it has counted, so this needs no book of its own.
"""

MINUTE_MS = 60_000
# The rest is for whoever else is at this address: an order must never fail because of us.
SHARE = 0.5


class Weight:
    """Request weight of the minute that runs."""

    def __init__(self) -> None:
        """Know neither the limit nor what is used."""
        self._limit: int | None = None
        self._used = self._minute = 0

    def __str__(self) -> str:
        """``38 of 6000 in a minute``."""
        return f"{self._used} of {self._limit or 'any'} in a minute"

    def limited(self, limit: int | None) -> None:
        """The exchange states its ``limit`` for a minute, None if it states none."""
        self._limit = limit

    def answered(self, used: str | None, exchange_ms: float | None) -> None:
        """An answer's header says that so much was ``used``."""
        if used is not None and used.isascii() and used.isdecimal() and len(used) < 10:
            self._used, self._minute = int(used), _minute(exchange_ms)

    def pause_s(self, weight: int, exchange_ms: float | None) -> float:
        """Seconds to wait before a request of ``weight`` keeps to our share; mostly 0."""
        if self._limit is None or exchange_ms is None or _minute(exchange_ms) != self._minute:
            return 0.0
        if self._used + weight <= self._limit * SHARE:
            return 0.0
        return (MINUTE_MS - exchange_ms % MINUTE_MS) / 1000


def _minute(exchange_ms: float | None) -> int:
    return int((exchange_ms or 0) // MINUTE_MS)
