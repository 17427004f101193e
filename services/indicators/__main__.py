"""The indicators process: ``python -m services.indicators --config PATH``."""

import asyncio
import contextlib
import sys

from redis.exceptions import RedisError

from services.indicators.engine import Plan
from services.indicators.worker import Worker
from shared.checkup import examine
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.progress import watched
from shared.redis_access import RedisAccess
from shared.roll_call import RollCall
from shared.runtime import start_service
from shared.settings import Settings
from shared.timeframe import interval_ms

SERVICE = "indicators"


def plan_of(settings: Settings) -> Plan:
    """What these settings ask for."""
    frames, periods = settings.feed_timeframes, settings.indicators
    trends = settings.signal_rules.trend_timeframes
    return Plan(
        intervals={name: interval_ms(name) for name in frames},
        trends={name: trends[name] for name in frames if trends.get(name) in frames},
        ema_fast=periods.ema_fast,
        ema_slow=periods.ema_slow,
        ema_trend=periods.ema_trend,
        rsi_period=periods.rsi_period,
        atr_period=periods.atr_period,
        volume_ma_period=periods.volume_ma_period,
        late_after_ms=settings.exchange.close_deadline_seconds * 1000,
    )


async def serve(settings: Settings, instance: str) -> None:
    """Compute until cancelled."""
    access = RedisAccess(settings.redis.effective_url, name=f"{SERVICE}-{instance}")
    heartbeat = Heartbeat(SERVICE, instance, settings.health)
    events = EventsWriter(access, SERVICE, instance, settings.streams)
    roll_call = RollCall(access, events, SERVICE, settings.health)
    worker = Worker(
        access,
        settings.exchange.market,
        plan_of(settings),
        settings.streams,
        heartbeat=heartbeat,
        events=events,
    )
    try:
        examine(settings, access, heartbeat)
        await access.ready()
        heartbeat.state = "running"
        async with asyncio.TaskGroup() as group:
            group.create_task(heartbeat.beat(access))
            group.create_task(roll_call.keep_answering())
            group.create_task(worker.own())
            group.create_task(watched("candles", worker.run))
    finally:
        with contextlib.suppress(RedisError, OSError):
            await worker.disown()
        await access.close()


if __name__ == "__main__":
    sys.exit(start_service(SERVICE, serve))
