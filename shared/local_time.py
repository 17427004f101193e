"""Times of the day, spans of them, and time zones, as people write them in the configuration."""

import re
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, tzinfo
from difflib import get_close_matches

from shared.config_errors import Wrong

DAY_MINUTES = 1440

Span = tuple[int, int]
"""Begin and end in minutes since midnight; the end is not part of it, and may be next day's."""

_TIME = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_NO_DATABASE = (
    "this machine has no time zones: install them (apt-get install tzdata, apk add tzdata, or"
    " pip install tzdata), or use UTC"
)


def minute_of(text: str) -> int | None:
    """``07:30`` in minutes since midnight; None if it is no time of the day."""
    found = re.fullmatch(_TIME, text, re.ASCII)
    return int(found[1]) * 60 + int(found[2]) if found else None


def span_of(text: str) -> Span:
    """``22:00-07:00`` as minutes since midnight.

    Raises:
        Wrong: It is not of that form, or has no length.
    """
    begin, _, end = (part.strip() for part in text.partition("-"))
    first, last = minute_of(begin), minute_of("00:00" if end == "24:00" else end)
    if first is None or last is None:
        raise Wrong("is not a span of time", "write it like 22:00-07:00")
    if first == last:
        raise Wrong("begins when it ends", "give a begin and a later end, like 22:00-07:00")
    return first, last


def quiet_minutes(spans: Iterable[Span]) -> frozenset[int]:
    """The minutes of a day that lie in one of ``spans``."""
    found: set[int] = set()
    for begin, end in spans:
        last = end if begin < end else end + DAY_MINUTES
        found.update(minute % DAY_MINUTES for minute in range(begin, last))
    return frozenset(found)


def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name. UTC needs no database of the machine.

    Raises:
        Wrong: There is none of that name, or no database.
    """
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if not known:
            raise Wrong("cannot be looked up", _NO_DATABASE) from None
        near = get_close_matches(name, known, n=1, cutoff=0.7)
        raise Wrong(
            "is not a time zone",
            "use its IANA name, like Europe/Berlin or America/New_York",
            near[0] if near else "",
        ) from None
