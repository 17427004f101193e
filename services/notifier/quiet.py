"""When signals are recorded instead of sent, and what is told of them afterwards. Pure.

Quiet hours are times on the clock on the wall of a time zone: on the night in which that is set
forward they are shorter, on the night in which it is set back they are longer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from shared.event import LONGEST
from shared.times import LATEST_MS, utc
from shared.trade_signal import Signal

_MINUTE_MS = 60_000
# Quiet hours leave a minute of each day, so no longer than two days even where a zone skips one.
_LONGEST_MINUTES = 2880

# The script that records writes these beside the signals, whose IDs have colons.
SINCE, MORE = "from", "more"

# What a digest is called among events.
SUBJECT, STATE = "mute", "over"

# All lines together leave room for the rest of the message.
_ALL_LINES = LONGEST * 8 // 10
_LINE = 100


@dataclass(frozen=True, slots=True)
class Quiet:
    """Signals are not sent.

    Attributes:
        until_ms: When that ends; None if only a person ends it.
    """

    since_ms: int
    until_ms: int | None

    @property
    def until(self) -> str:
        """``until 2025-11-02 14:35:00 UTC``."""
        return (
            "until ./btc-scanner unmute" if self.until_ms is None else f"until {utc(self.until_ms)}"
        )

    @property
    def text(self) -> str:
        """As the key of a mute holds it."""
        until_ms = "" if self.until_ms is None else self.until_ms
        return f"{self.since_ms} {until_ms} {self.until}"


def read_mute(text: bytes | None, left_ms: int, now_ms: int) -> Quiet | None:
    """The mute of a key that lives ``left_ms`` longer (−1: for ever); None if there is none.

    What somebody wrote by hand counts too: the life of the key decides.
    """
    if text is None:
        return None
    found = re.match(r"([0-9]{1,14}) ", text.decode(errors="replace"), re.ASCII)
    since_ms = int(found[1]) if found and int(found[1]) < LATEST_MS else now_ms
    return Quiet(min(since_ms, now_ms), None if left_ms < 0 else now_ms + left_ms)


def quiet_hours(minutes: frozenset[int], zone: tzinfo, now_ms: int) -> Quiet | None:
    """The quiet hours that now lies in; None if it lies in none.

    Args:
        minutes: The quiet minutes of a day, by the wall clock of ``zone``.
    """
    now = now_ms // _MINUTE_MS

    def is_quiet(minute: int) -> bool:
        wall = datetime.fromtimestamp(minute * 60, zone)
        return wall.hour * 60 + wall.minute in minutes

    if not minutes or not is_quiet(now):
        return None
    steps = range(1, _LONGEST_MINUTES)
    since = next((now - step + 1 for step in steps if not is_quiet(now - step)), now)
    until = next((now + step for step in steps if not is_quiet(now + step)), now + 1)
    return Quiet(since * _MINUTE_MS, until * _MINUTE_MS)


def line(signal: Signal) -> str:
    """What the digest says of a signal; lines in alphabetical order are in order of time."""
    text = (
        f"{utc(signal.close_time_ms)} {signal.timeframe} {signal.side}"
        f" {signal.market.shown_name} at {signal.price(signal.entry)}"
    )
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


@dataclass(frozen=True, slots=True)
class Digest:
    """What is told when signals are sent again.

    Attributes:
        details: Number → line of a signal, and ``more`` if there is no room for all.
    """

    sentence: str
    details: Mapping[str, str]


def digest(held: Mapping[bytes, bytes], now_ms: int) -> Digest | None:
    """The digest of the hash of muted signals; None if there is nothing to tell."""
    fields = {name.decode(errors="replace"): _shown(text) for name, text in held.items()}
    lines = sorted(text for name, text in fields.items() if name not in (SINCE, MORE))
    count = len(lines) + _whole(fields.get(MORE, ""), most=10**9)
    if not count:
        return None
    shown: dict[str, str] = {}
    for number, text in enumerate(lines, 1):
        if sum(map(len, shown.values())) + len(text) > _ALL_LINES:
            break
        shown[f"{number}"] = text
    if count > len(shown):
        shown["more"] = f"and {count - len(shown)} more: ./btc-scanner signals"
    since_ms = _whole(fields.get(SINCE, ""), most=now_ms) or now_ms
    return Digest(
        f"While muted (from {utc(since_ms)} to {utc(now_ms)}):"
        f" {count} signal{'' if count == 1 else 's'}",
        shown,
    )


def _shown(text: bytes) -> str:
    """A line that somebody may have edited."""
    known = "".join(each if each.isprintable() else " " for each in text.decode(errors="replace"))
    return known[:_LINE]


def _whole(text: str, *, most: int) -> int:
    return min(int(text), most) if re.fullmatch("[0-9]{1,16}", text, re.ASCII) else 0
