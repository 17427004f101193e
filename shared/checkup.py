"""What a running service answers when it is asked whether it is well.

It knows itself how it lives, and asks Redis how its work goes on: with its own connection and its
own rights, so that what it says is what it meets.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from shared import keys
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.settings import Settings
from shared.timeframe import interval_ms
from shared.wellbeing import (
    Delivering,
    Life,
    delivering,
    feeding,
    following,
    lifeless,
    oldest_healthy_ms,
)

Verdict = tuple[bool, str]

# Shorter than whoever asks waits.
_ASK_S = 2.0
# Beyond the longest pause: a peer may ask for one of its own.
_SLACK_MS = 300_000
_COUNTED = 1000


@dataclass(slots=True)
class Checkup:
    """Of this process: what is examined, and since when it has run."""

    born_s: float
    settings: Settings | None = None
    access: RedisAccess | None = None
    heartbeat: Heartbeat | None = None

    async def verdict(self) -> Verdict:
        """Whether the service is well, and why, in words."""
        if self.settings is None or self.access is None or self.heartbeat is None:
            return False, f"starting for {time.monotonic() - self.born_s:.0f} s"
        life = self.heartbeat.life(self.access.trouble)
        if what := lifeless(life):
            return False, what
        examine = _EXAMINERS[self.heartbeat.service]
        try:
            async with asyncio.timeout(_ASK_S):
                return await examine(self.settings, self.access, self.heartbeat, life)
        except TimeoutError:
            return False, f"Redis does not answer within {_ASK_S:g} s"
        except (RedisError, OSError) as error:
            return False, f"Redis says: {error}"


_THIS = Checkup(time.monotonic())


def examine(settings: Settings, access: RedisAccess, heartbeat: Heartbeat) -> None:
    """Say what this process is, so that it can be asked."""
    _THIS.settings, _THIS.access, _THIS.heartbeat = settings, access, heartbeat


async def verdict() -> Verdict:
    """Whether this process is well, and why."""
    return await _THIS.verdict()


# --- the four kinds of work ----------------------------------------------------------------------


async def _feed(settings: Settings, _: RedisAccess, heartbeat: Heartbeat, life: Life) -> Verdict:
    shortest, exchange = settings.feed_timeframes[-1], settings.exchange
    longest_ms = oldest_healthy_ms(
        interval_ms(shortest), exchange.close_deadline_seconds, exchange.missing_after_seconds
    )
    facts = heartbeat.facts
    stream, rest = facts.get("connection", "not open yet"), facts.get("rest", "not asked yet")
    moved_s = facts.unchanged_s(f"last_{shortest}")
    return feeding(life, shortest, moved_s, longest_ms, f"stream {stream}, REST {rest}")


async def _compute(settings: Settings, access: RedisAccess, _: Heartbeat, life: Life) -> Verdict:
    symbol, shortest = settings.exchange.market, settings.feed_timeframes[-1]
    done = await access.client.hget(keys.progress(symbol), "indicators")
    stream = keys.klines(symbol, shortest)
    return following(life, stream, await _oldest_wait_ms(access, stream, done))


async def _detect(settings: Settings, access: RedisAccess, _: Heartbeat, life: Life) -> Verdict:
    symbol = settings.exchange.market
    [done] = await access.client.mget([keys.cursor(symbol)])
    stream = keys.indicators(symbol)
    return following(life, stream, await _oldest_wait_ms(access, stream, done))


async def _oldest_wait_ms(access: RedisAccess, stream: str, done: object) -> int | None:
    """Since the first entry after the position was received; None if there is none."""
    after = "-"
    if isinstance(done, bytes) and done.partition(b"-")[0].isdigit():
        after = f"({done.partition(b'-')[0].decode()}-{2**64 - 1}"
    entries = cast("Any", await access.client.xrange(stream, after, "+", count=1))
    if not entries:
        return None
    received = entries[0][1].get(b"received_at", b"")
    return max(0, round(time.time() * 1000) - int(received)) if received.isdigit() else None


async def _deliver(
    settings: Settings, access: RedisAccess, heartbeat: Heartbeat, life: Life
) -> Verdict:
    notifier = settings.notifier
    longest_s = notifier.claim_idle_seconds + notifier.retry_max_seconds
    longest_ms = round(longest_s * 1000) + _SLACK_MS
    # Only those that this process serves: another one may serve the others, or be meant to.
    served = heartbeat.facts.get("channels", " ".join(settings.channels)).split()
    channels = [await _channel(access.client, name, longest_ms) for name in served]
    return delivering(life, channels)


async def _channel(client: Redis, name: str, longest_ms: int) -> Delivering:
    groups = {row["name"]: row for row in await _groups(client)}
    group = groups.get(name.encode())
    if group is None:
        return Delivering(name, begun=False)
    [held] = await client.mget([keys.gate(name)])
    pending = min(_COUNTED, group["pending"])
    rows: list[dict[str, Any]] = await client.xpending_range(
        keys.SIGNALS, name, min="-", max="+", count=_COUNTED, idle=longest_ms
    )
    after = cast("bytes", group["last-delivered-id"]).decode()
    unread = cast("Any", await client.xrange(keys.SIGNALS, f"({after}", "+", count=1))
    told_ms = int(unread[0][0].partition(b"-")[0]) if unread else None
    return Delivering(
        channel=name,
        begun=True,
        held=held.decode(errors="replace") if isinstance(held, bytes) else "",
        pending=pending,
        # What a person wants tried again has waited for longer when it comes.
        forsaken=sum(row["consumer"] != keys.REVIVED.encode() for row in rows),
        unread_ms=None if told_ms is None else max(0, round(time.time() * 1000) - told_ms),
    )


async def _groups(client: Redis) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = await client.xinfo_groups(keys.SIGNALS)
    except ResponseError:  # no stream yet
        return []
    return found


_EXAMINERS: dict[str, Callable[[Settings, RedisAccess, Heartbeat, Life], Awaitable[Verdict]]] = {
    "ingest": _feed,
    "indicators": _compute,
    "detector": _detect,
    "notifier": _deliver,
}
