"""``mute`` and ``unmute``: signals are recorded, not sent, until a time that is chosen."""

import asyncio
import re
from datetime import datetime, timedelta, tzinfo
from typing import Any

from redis.asyncio import Redis

from cli import EXIT_USAGE, CommandError, clock
from cli.asking import answered
from cli.mute_state import muted_words
from services.notifier.mute import QuietHours
from services.notifier.quiet import Quiet
from shared import keys
from shared.local_time import minute_of, zone_of
from shared.settings import Settings
from shared.times import lasting

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS = 30 * 86_400_000
_FORM = (
    "give how long, like 30m, 2h or 1d (at most 30d), or until when, like 07:30"
    " (in notifier.quiet_timezone)"
)


class NoDuration(CommandError):
    """What was typed says neither how long nor until when."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r:.50} is no time to be muted: {_FORM}", exit_code=EXIT_USAGE)


def mute(settings: Settings, until: str | None) -> int:
    """Mute, or without ``until`` say whether signals are muted."""
    if until is None:
        return _show(settings)
    now_ms = clock.now_ms()
    zone = zone_of(settings.notifier.quiet_timezone)
    chosen = Quiet(now_ms, until_ms(until, now_ms, zone))
    asyncio.run(answered(settings, lambda client: _set(client, chosen)))
    print(
        f"MUTED {chosen.until}, for {lasting((chosen.until_ms or now_ms) - now_ms)}: signals are"
        " recorded, and told in one digest afterwards.\nMessages about the scanner itself still"
        " come. ./btc-scanner unmute ends it."
    )
    return 0


def unmute(settings: Settings) -> int:
    """Send signals again."""
    ended = asyncio.run(answered(settings, lambda client: client.delete(keys.MUTE)))
    print("Signals are sent again." if ended else "Signals were not muted.")
    hours = QuietHours(settings).at(clock.now_ms())
    if hours is not None:
        print(f"But these are quiet hours (notifier.quiet_hours) {hours.until}.")
    return 0


def until_ms(text: str, now_ms: int, zone: tzinfo) -> int:
    """When ``30m``, ``2h``, ``1d`` or ``07:30`` (the next one in ``zone``) ends, ms UTC.

    Raises:
        NoDuration: It is neither.
    """
    minute = minute_of(text)
    if minute is not None:
        return _next(minute, now_ms, zone)
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", text, re.ASCII)
    lasting_ms = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not 0 < lasting_ms <= _LONGEST_MS:
        raise NoDuration(text)
    return now_ms + lasting_ms


def _next(minute: int, now_ms: int, zone: tzinfo) -> int:
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    at = now.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0, fold=0)
    for each in (at, at + timedelta(days=1)):
        each_ms = round(each.timestamp() * 1000)
        if each_ms > now_ms:
            return each_ms
    return round((at + timedelta(days=2)).timestamp() * 1000)


def _show(settings: Settings) -> int:
    text, left_ms, held = asyncio.run(answered(settings, _state))
    words = muted_words(text, left_ms, held, settings, clock.now_ms())
    print(words or "Not muted: signals are sent.")
    if settings.notifier.quiet_hours:
        listed = ", ".join(settings.notifier.quiet_hours)
        print(f"Quiet hours: {listed} ({settings.notifier.quiet_timezone})")
    return 0


async def _state(client: Redis) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    pipe.get(keys.MUTE)
    pipe.pttl(keys.MUTE)
    pipe.hgetall(keys.QUIET)
    return await pipe.execute(raise_on_error=False)


async def _set(client: Redis, chosen: Quiet) -> None:
    left_ms = (chosen.until_ms or 0) - chosen.since_ms
    await client.set(keys.MUTE, chosen.text, px=left_ms)
