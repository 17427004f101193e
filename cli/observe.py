"""What can be seen of a running pipeline from outside its services: streams, totals, latencies."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import Redis

from cli.measure import quantiles_ms
from cli.pipeline import Pipeline
from cli.replay_record import Delivery, join_deliveries
from services.notifier.dead_letter import says_dead
from services.notifier.message import Periods
from shared import keys
from shared.candle import Candle, read_candle
from shared.event import Event, read_event
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.settings import Settings
from shared.streams import Entry, read
from shared.trade_signal import Signal, read_signal


class SignalWatch:
    """Notes when each signal appeared in the stream, on our clock in ns."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.seen_ns: dict[str, int] = {}

    async def follow(self, access: RedisAccess) -> None:
        """Watch until cancelled."""
        position = "0-0"
        while True:
            batch = await read(access, {keys.SIGNALS: position}, count=100, block_ms=1000)
            now_ns = time.time_ns()
            for entries in batch.values():
                position = entries[-1][0].decode()
                for _, fields in entries:
                    self.seen_ns.setdefault(fields[b"id"].decode(), now_ns)


def periods_of(settings: Settings) -> Periods:
    """The periods that alerts show."""
    chosen = settings.indicators
    return Periods(
        ema_fast=chosen.ema_fast,
        ema_slow=chosen.ema_slow,
        ema_trend=chosen.ema_trend,
        atr=chosen.atr_period,
        rsi=chosen.rsi_period,
    )


async def undelivered(access: RedisAccess) -> int:
    """Signals that some channel has not acknowledged yet."""
    return await access.patiently(lambda: _undelivered(access.client))


async def _undelivered(client: Redis) -> int:
    if not await client.exists(keys.SIGNALS):
        return 0
    groups = await client.xinfo_groups(keys.SIGNALS)
    top = cast("list[Entry]", await client.xrevrange(keys.SIGNALS, count=1))
    last = top[0][0] if top else b"0-0"
    return sum(
        group["pending"] + (group["last-delivered-id"] != last if top else 0) for group in groups
    )


async def totals(pipeline: Pipeline) -> dict[str, Any]:
    """Candles and missing markers published, in all and by timeframe."""
    fields = await pipeline.access.fields(keys.totals(pipeline.settings.exchange.market))
    known = {name.decode(): int(count) for name, count in fields.items()}
    candles = {name: count for name, count in known.items() if " " not in name}
    missing = {name.split()[0]: count for name, count in known.items() if " " in name}
    return {
        "candles": sum(candles.values()),
        "candles_by_timeframe": candles,
        "missing": sum(missing.values()),
        "missing_by_timeframe": missing,
    }


async def read_signals(access: RedisAccess) -> list[Signal]:
    """All signals of the stream, oldest first; no test alerts."""
    entries = cast("list[Entry]", await access.client.xrange(keys.SIGNALS))
    signals = [read_signal(entry_id, fields) for entry_id, fields in entries]
    return [signal for signal in signals if not signal.test]


async def read_klines(access: RedisAccess, symbol: str, timeframe: str) -> list[Candle]:
    """All candles and missing markers of a stream, oldest first."""
    entries = cast("list[Entry]", await access.client.xrange(keys.klines(symbol, timeframe)))
    return [read_candle(entry_id, fields) for entry_id, fields in entries]


async def join_received(pipeline: Pipeline, signals: Sequence[Signal]) -> list[Delivery]:
    """What the mailbox and the Bot API accepted, and of which signal or event each is."""
    received, events = await pipeline.outside.deliveries(), await read_events(pipeline.access)
    return join_deliveries(signals, received, periods_of(pipeline.settings), events)


async def read_ledger(access: RedisAccess) -> dict[tuple[str, str], int]:
    """What the delivery ledger holds: (channel, signal ID) → our clock at the first recipient, ms.

    Events are not among them.
    """
    prefix = "delivered:{signals}"
    recorded: dict[tuple[str, str], int] = {}
    async for key in access.client.scan_iter(match=f"{prefix}:*", count=1000):
        channel, _, rest = key.decode().removeprefix(f"{prefix}:").partition(":")
        text = await access.value(key.decode())
        if text is None or says_dead(text):
            continue
        at_ms, name = int(text.split()[0]), (channel, rest.rpartition(":")[0])
        recorded[name] = min(at_ms, recorded.get(name, at_ms))
    return recorded


async def read_events(access: RedisAccess) -> list[Event]:
    """All events that can be read, oldest first."""
    found = []
    for entry_id, fields in cast("list[Entry]", await access.client.xrange(keys.EVENTS)):
        with suppress(Malformed):
            found.append(read_event(entry_id, fields))
    return found


async def latencies(
    pipeline: Pipeline,
    signals: Sequence[Signal],
    watch: SignalWatch,
    deliveries: Sequence[Delivery],
) -> dict[str, Any]:
    """From the closing frame's departure at the exchange to stream, mailbox and Bot API."""
    sent_ns: dict[str, int] = {}
    for timeframe in pipeline.settings.exchange.timeframes:
        chosen = [signal for signal in signals if signal.timeframe == timeframe]
        sent = await pipeline.outside.sent_ns(timeframe, [each.close_time_ms for each in chosen])
        sent_ns.update((signal.id, at) for signal, at in zip(chosen, sent, strict=True) if at)
    arrived: dict[str, list[int]] = {"signal": [], "email": [], "telegram": []}
    for signal_id, at in watch.seen_ns.items():
        if signal_id in sent_ns:
            arrived["signal"].append(at - sent_ns[signal_id])
    for each in deliveries:
        if each.signal_id in sent_ns:
            arrived[each.channel].append(each.received_at_ns - sent_ns[each.signal_id])
    return {f"frame_to_{name}": quantiles_ms(times) for name, times in arrived.items()}
