"""Decides what a REST page means for the next candle: candles, a hole to confirm, or a wait.

Pure. A candle counts as missing only if the exchange, asked well past its boundary, knows a later
candle but not this one, and says so again when asked for exactly that range. The database behind
REST can lag, and pages can have holes that the next answer has not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.ingest.pages import Page, Row

# How often a range may come back with rows that cannot be used before it counts as empty: with the
# delays between, some 15 seconds. A feed must not stop for ever before one impossible row.
MOST_DOUBTS = 5


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
class Absent:
    """The exchange has no candle that opened from ``first_ms`` to ``last_ms``."""

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
        return contiguous(rows, interval_ms)
    # The hole ends where the first known candle, open or closed, begins; its last boundary is
    # that candle's open time.
    if server_ms >= rows[0].open_ms + missing_after_ms:
        return Confirm(next_open_ms, rows[0].open_ms - interval_ms)
    return Wait()


def second_look(
    page: Page, hole: Confirm, interval_ms: int, doubts: int
) -> Take | Confirm | Absent | Wait:
    """What ``page``, asked for exactly the range of ``hole``, says.

    ``doubts`` is how often this range came back with unusable rows before.
    """
    if page.rows and page.rows[0].open_ms == hole.first_ms:
        return contiguous(page.rows, interval_ms)
    if page.rows:  # a smaller hole, to be asked for by itself: so it ends in one of the others
        return Confirm(hole.first_ms, page.rows[0].open_ms - interval_ms)
    if page.flaws and doubts < MOST_DOUBTS:
        return Wait()
    return Absent(hole.first_ms, hole.last_ms)


def contiguous(rows: Sequence[Row], interval_ms: int) -> Take | Wait:
    """The closed rows from the first one on, up to the first hole."""
    open_ms, taken = rows[0].open_ms, 0
    for row in rows:
        if not row.closed or row.open_ms != open_ms:
            break
        open_ms += interval_ms
        taken += 1
    return Take(tuple(rows[:taken])) if taken else Wait()
