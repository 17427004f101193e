"""Whether a service is well, from what is known about it. Pure.

Well means: it writes its heartbeat, and its work goes on. A service that waits for something (for
Redis, for the exchange) is not well, and says what it waits for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.times import lasting

# A signal that waits longer than this is late for anybody who scalps.
LONGEST_WAIT_MS = 120_000

_MISSED_BEATS = 5
_SHORTEST_SILENCE_S = 10.0
_SLACK_MS = 30_000


@dataclass(frozen=True, slots=True)
class Life:
    """What a process knows of itself.

    Attributes:
        trouble: What it waits for in Redis, with the remedy.
        up_s: Since its start.
        beat_s: Since its heartbeat was written; None before the first.
        interval_s: Between heartbeats.
    """

    state: str
    trouble: str | None
    up_s: float
    beat_s: float | None
    interval_s: float


def oldest_healthy_ms(
    interval_ms: int, close_deadline_seconds: float, missing_after_seconds: float
) -> int:
    """Age of the last candle that a healthy feed stays below: the next one is there by then.

    The next candle or, where the exchange has none, its marker.
    """
    grace_s = max(close_deadline_seconds, missing_after_seconds)
    return interval_ms + round(grace_s * 1000) + _SLACK_MS


def lifeless(life: Life) -> str:
    """Why the process is not well, whatever its work is; "" if it is."""
    if life.trouble:
        return life.trouble
    if life.beat_s is None:
        return f"starting for {_lasting(life.up_s)}"
    if life.beat_s > max(_MISSED_BEATS * life.interval_s, _SHORTEST_SILENCE_S):
        return f"has not written its heartbeat for {_lasting(life.beat_s)}"
    return ""


def feeding(
    life: Life, timeframe: str, moved_s: float | None, longest_ms: int, means: str
) -> tuple[bool, str]:
    """Whether candles keep coming.

    Args:
        life: Of the ingest process.
        timeframe: The shortest one.
        moved_s: Since its stream went on, as this process saw it; None if it never did.
        longest_ms: What a healthy feed stays below.
        means: How the ways to the exchange are.
    """
    if moved_s is None:
        return False, f"starting for {_lasting(life.up_s)}: {life.state}; {means}"
    if moved_s * 1000 > longest_ms:
        return False, f"no {timeframe} candle for {_lasting(moved_s)}: {life.state}; {means}"
    return True, f"{life.state}; the last {timeframe} candle came {_lasting(moved_s)} ago"


def following(life: Life, stream: str, waits_ms: int | None) -> tuple[bool, str]:
    """Whether a reader keeps up; its oldest entry to be read waits for ``waits_ms``, if any."""
    if waits_ms is not None and waits_ms > LONGEST_WAIT_MS:
        waiting = f"an entry of {stream} waits for {lasting(waits_ms)}"
        return False, f"{waiting}: {life.state}"
    return True, f"{life.state}; keeps up with {stream}"


@dataclass(frozen=True, slots=True)
class Delivering:
    """How a channel's work goes on.

    Attributes:
        begun: Whether it has ever asked for work.
        held: Why nothing is sent by it on purpose; "" if nothing holds it.
        pending: Alerts that were read and have not been delivered yet.
        forsaken: Those of them that nobody has tried for longer than anybody waits on purpose.
        unread_ms: Since the oldest alert was told that nobody has read; None if there is none.
    """

    channel: str
    begun: bool
    held: str = ""
    pending: int = 0
    forsaken: int = 0
    unread_ms: int | None = None


def delivering(life: Life, channels: Sequence[Delivering]) -> tuple[bool, str]:
    """Whether somebody looks after each channel; its peer may well be down."""
    for each in channels:
        if not each.begun:
            return False, f"starting for {_lasting(life.up_s)}: {each.channel} is not open yet"
        if each.held:
            continue
        if each.pending and each.forsaken == each.pending:
            return False, f"nobody tries the {each.pending} pending of {each.channel}"
        if each.unread_ms is not None and each.unread_ms > LONGEST_WAIT_MS:
            return False, f"{each.channel} has not read an alert for {lasting(each.unread_ms)}"
    notes = [f"delivers by {', '.join(each.channel for each in channels)}"]
    notes += [f"{each.channel} is held: {each.held}" for each in channels if each.held]
    notes += [f"{each.pending} pending by {each.channel}" for each in channels if each.pending]
    return True, "; ".join([life.state, *notes])


def _lasting(seconds: float) -> str:
    return lasting(round(seconds * 1000))
