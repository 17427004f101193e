"""Decides what a REST page means for the next boundary: candles, a wait, or a hole to confirm.

Pure. A candle counts as missing only if the exchange, asked well past its boundary, knows a later
candle but not this one, and says so again when asked for exactly that range. The database behind
REST can lag, and pages can have holes that the next answer has not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from services.ingest.pages import Row


@dataclass(frozen=True, slots=True)
class Take:
    """Closed candles that come next, in order."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Confirm:
    """No candle opened from ``first_ms`` to ``last_ms``, it seems: ask for just these."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The page proves nothing yet."""


def next_step(
    rows: Sequence[Row],
    next_open_ms: int,
    interval_ms: int,
    server_ms: int,
    missing_after_ms: float,
) -> Take | Confirm | Wait:
    """What ``rows``, asked for from ``next_open_ms`` on, say.

    Args:
        rows: Of one page, ascending.
        next_open_ms: Open time of the candle that must come next.
        interval_ms: Of the timeframe.
        server_ms: The exchange's time, read before the page was asked for.
        missing_after_ms: How far past a boundary absence begins to count.
    """
    if not rows:
        return Wait()
    if rows[0].open_ms == next_open_ms:
        contiguous = takewhile(
            lambda pair: pair[1].closed and pair[1].open_ms == next_open_ms + pair[0] * interval_ms,
            enumerate(rows),
        )
        taken = tuple(row for _, row in contiguous)
        return Take(taken) if taken else Wait()
    # The hole ends where the first known candle, open or closed, begins; its last boundary is
    # that candle's open time.
    if server_ms >= rows[0].open_ms + missing_after_ms:
        return Confirm(next_open_ms, rows[0].open_ms - interval_ms)
    return Wait()
