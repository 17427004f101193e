"""``test-alert``: a marked signal on the real way, and whether each recipient's peer accepted it.

It goes into the stream of signals as the detector's do; the running notifier delivers it, and what
is told here is what that notifier recorded. So whatever is in the way of a real signal is in its
way too, but for mutes and quiet hours.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli import EXIT_FAILURE, CommandError, clock
from cli.asking import ANSWER_S, answered
from cli.dead_letters import people_of, tags_of
from cli.here import knock_at, start_alone
from cli.write_probe import would_write
from services.notifier.dead_letter import says_dead
from shared import keys
from shared.candle import Fields
from shared.log import Line
from shared.market import market_of
from shared.redis_remedies import runs_by_up
from shared.settings import Settings
from shared.trade_signal import Signal, example_signal

_LOOK_S = 0.1
# A heartbeat is older than that only if nobody writes it any more.
_SHORTEST_SILENCE_MS = 10_000
_MISSED_BEATS = 5
_DEAD_LOOKED_AT = 50

_REMEDIES = {
    "email": "add the section smtp to the configuration",
    "telegram": "set telegram.enabled, telegram.bot_token and telegram.chat_id",
    "console": "it is used where neither email nor telegram is",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the test at one recipient.

    Attributes:
        record: The entry of the ledger, None while there is none.
        trouble: What stands in the way, as far as that is known.
        refused: Whether it is not tried again: a dead letter.
    """

    channel: str
    tag: str
    record: bytes | None
    trouble: str = ""
    refused: bool = False


def run(settings: Settings, config: Path | None, channel: str | None, timeout_s: float) -> int:
    """Send a test by one channel or all; 0 only if everybody's peer accepted it."""
    clean = Line("test-alert", settings.secrets()).clean
    tags = _wanted(settings, channel)
    signal = test_of(settings, channel or "", clock.now_ms())

    async def dialogue(client: Redis) -> list[Outcome]:
        await _require_notifier(client, settings, config, tags)
        await _add(client, settings, signal)
        print(f"{signal.id} is on its way; waiting up to {timeout_s:g} s", flush=True)
        return await _outcomes(client, signal, tags, timeout_s)

    found = asyncio.run(answered(settings, dialogue, ANSWER_S * 3 + timeout_s))
    for outcome in found:
        known = people_of(settings, outcome.channel)[outcome.tag]
        print(clean(said(outcome, known, signal.received_at_ms, timeout_s)))
    missing = [outcome for outcome in found if outcome.record is None]
    if any(not outcome.refused for outcome in missing):
        print("It may still arrive: ./btc-scanner signals says what became of it.")
    return EXIT_FAILURE if missing else 0


def test_of(settings: Settings, only: str, now_ms: int) -> Signal:
    """The signal that is sent: the numbers are those of an example, the market is the real one."""
    timeframe = settings.exchange.timeframes[0]
    return example_signal(
        market=market_of(settings.exchange.symbol),
        timeframe=timeframe,
        trend_timeframe=settings.signal_rules.trend_timeframes[timeframe],
        close_time_ms=now_ms,
        received_at_ms=now_ms,
        lag_ms=0,
        source="test-alert",
        why="a test alert; the numbers are those of an example",
        test=True,
        only=only,
    )


def said(outcome: Outcome, known: str, sent_ms: int, timeout_s: float) -> str:
    """``email 5f2b1c00 (t…r@example.org)  delivered in 120 ms: 250 OK``, or what is in the way."""
    who = f"{outcome.channel:<9} {outcome.tag} ({known})"
    if outcome.refused:
        words = f"refused, now a dead letter: {outcome.trouble}"
        return f"{who}  {words} (./btc-scanner dead list)"
    if outcome.record is None:
        return f"{who}  NOT delivered within {timeout_s:g} s: {outcome.trouble}"
    at, _, rest = outcome.record.decode(errors="replace").partition(" ")
    _, _, answer = rest.partition(" ")
    took = f" in {max(0, int(at) - sent_ms)} ms" if at.isdigit() else ""
    return f"{who}  delivered{took}" + (f": {answer}" if answer else "")


def _wanted(settings: Settings, channel: str | None) -> dict[str, list[str]]:
    """Channel → tags of the recipients that are to get the test.

    Raises:
        CommandError: The channel is not configured.
    """
    tags = {name: tags_of(settings, name) for name in settings.channels}
    if channel is None:
        return tags
    if channel not in tags:
        raise CommandError(f"{channel} is not configured: {_REMEDIES[channel]}")
    return {channel: tags[channel]}


async def _require_notifier(
    client: Redis, settings: Settings, config: Path | None, tags: Mapping[str, Sequence[str]]
) -> None:
    """Raise unless a notifier that serves the channels is alive: later, a test surprises."""
    await would_write(client)  # else nobody can write a heartbeat
    beats = await _beats(client, settings)
    if not beats:
        raise CommandError(await _why_nobody(settings, config))
    served = {name for beat in beats for name in beat.get(b"channels", b"").decode().split()}
    for channel in tags:
        if channel not in served:
            raise CommandError(
                f"the running notifier does not serve {channel}: it was started with another"
                " configuration; restart it"
            )


async def _why_nobody(settings: Settings, config: Path | None) -> str:
    """Why no notifier writes heartbeats, and what to do."""
    up = runs_by_up(settings.redis.effective_url)
    there = await knock_at("notifier", config)
    if there.hangs:
        again = "up" if up else "whatever runs it"
        return f"the notifier hangs: kill -9 {there.pid}; {again} starts it again"
    if there.pid is not None:
        return f"the notifier writes no heartbeat; its process {there.pid} says: {there.answer}"
    if up:
        return "no notifier runs just now: up starts it again by itself; if not, see what up prints"
    return (
        "no notifier runs, so nothing is delivered: start all with ./btc-scanner up,"
        f" or it alone with {start_alone(config)}notifier"
    )


async def _beats(client: Redis, settings: Settings) -> list[dict[bytes, bytes]]:
    """The heartbeats of notifiers that are alive."""
    longest_ms = max(_SHORTEST_SILENCE_MS, _MISSED_BEATS * settings.health.interval_seconds * 1000)
    found = [key async for key in client.scan_iter(match="health:notifier:*", count=5000)]
    beats = []
    for key in found:
        beat = cast("dict[bytes, bytes]", await client.hgetall(key))
        at = beat.get(b"beat_at", b"")
        if at.isdigit() and clock.now_ms() - int(at) < longest_ms:
            beats.append(beat)
    return beats


async def _add(client: Redis, settings: Settings, signal: Signal) -> None:
    flat = signal.fields()
    fields: Any = dict(zip(flat[::2], flat[1::2], strict=True))
    most = settings.streams.signals_maxlen
    await client.xadd(keys.SIGNALS, fields, maxlen=most, approximate=True)


async def _outcomes(
    client: Redis, signal: Signal, tags: Mapping[str, Sequence[str]], timeout_s: float
) -> list[Outcome]:
    ledger = [(channel, tag) for channel, each in tags.items() for tag in each]
    names = [keys.delivered(channel, signal.id, tag) for channel, tag in ledger]
    ends = time.monotonic() + timeout_s
    while True:
        records = cast("list[bytes | None]", await client.mget(names))
        if None not in records or time.monotonic() >= ends:
            break
        await asyncio.sleep(_LOOK_S)
    return [
        Outcome(channel, tag, record, "")
        if record is not None and not says_dead(record)
        else Outcome(
            channel,
            tag,
            None,
            await _trouble(client, channel, signal, tag),
            refused=record is not None,
        )
        for (channel, tag), record in zip(ledger, records, strict=True)
    ]


async def _dead_letter(client: Redis, channel: str, signal: Signal, tag: str) -> Fields:
    entries = cast(
        "list[tuple[bytes, Fields]]",
        await client.xrevrange(keys.dead(channel), count=_DEAD_LOOKED_AT),
    )
    wanted = (signal.id.encode(), tag.encode())
    found = (
        fields for _, fields in entries if (fields.get(b"id"), fields.get(b"recipient")) == wanted
    )
    return next(found, {})


async def _trouble(client: Redis, channel: str, signal: Signal, tag: str) -> str:
    """Why the test is not delivered, from what the notifier has written."""
    if letter := await _dead_letter(client, channel, signal, tag):
        return letter.get(b"reason", b"it was refused").decode(errors="replace")
    gate = await _text(client, keys.gate(channel))
    if gate:
        return f"the channel is stopped: {gate}"
    totals = await _totals(client, channel)
    at = totals.get(b"last_failure_at", b"")
    if at.isdigit() and int(at) >= signal.received_at_ms:
        return totals.get(b"last_failure", b"").decode(errors="replace")
    return "no failure is recorded; the notifier may hang, see its log"


async def _text(client: Redis, key: str) -> str:
    [text] = cast("list[bytes | None]", await client.mget([key]))
    return (text or b"").decode(errors="replace")


async def _totals(client: Redis, channel: str) -> dict[bytes, bytes]:
    try:
        return cast("dict[bytes, bytes]", await client.hgetall(keys.deliveries(channel)))
    except RedisError:  # somebody spoilt it
        return {}
