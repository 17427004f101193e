"""The candle intervals of the exchange, and their order.

Only intervals that divide a UTC day are here: 3d, 1w and 1M have no fixed place in the event-time
merge. ``1m`` is a minute; Binance writes a month ``1M``, so case matters.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_MINUTE_MS = 60_000
_UNITS_MS = {"m": _MINUTE_MS, "h": 60 * _MINUTE_MS, "d": 1440 * _MINUTE_MS}

INTERVALS_MS = {
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "2h": 120 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "6h": 360 * _MINUTE_MS,
    "8h": 480 * _MINUTE_MS,
    "12h": 720 * _MINUTE_MS,
    "1d": 1440 * _MINUTE_MS,
}
NAMES = tuple(INTERVALS_MS)


class UnknownTimeframe(ValueError):
    """A name that is not one of ``NAMES``; ``near`` is the closest that is, if any."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.near = nearest(name)
        hint = f"did you mean {self.near}?" if self.near else f"known are {' '.join(NAMES)}"
        super().__init__(f"unknown timeframe {name!r}: {hint}")


def interval_ms(name: str) -> int:
    """Length of a timeframe in milliseconds.

    Raises: UnknownTimeframe.
    """
    try:
        return INTERVALS_MS[name]
    except KeyError:
        raise UnknownTimeframe(name) from None


def longest_first(names: Iterable[str]) -> tuple[str, ...]:
    """The distinct timeframes, longest first: a timeframe's index is its rank in the merge.

    Raises: UnknownTimeframe.
    """
    return tuple(sorted(set(names), key=interval_ms, reverse=True))


def nearest(name: str) -> str | None:
    """The timeframe probably meant: of the same length (60m, 1hour), else of like spelling."""
    parts = re.fullmatch(r"\s*([0-9]{1,6})?\s*([mhd])[a-z]*\s*", name.lower())
    if parts:
        length = int(parts[1] or 1) * _UNITS_MS[parts[2]]
        for known, known_ms in INTERVALS_MS.items():
            if known_ms == length:
                return known
    return next(iter(get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)), None)
