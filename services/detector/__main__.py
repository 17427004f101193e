"""The detector process: ``python -m services.detector --config PATH``."""

import asyncio
import sys

from services.detector.rules import Rules
from services.detector.worker import Worker
from shared.checkup import examine
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.market import market_of
from shared.progress import watched
from shared.redis_access import RedisAccess
from shared.roll_call import RollCall
from shared.runtime import start_service
from shared.settings import Settings
from shared.streams import SignalsWriter

SERVICE = "detector"


def rules_of(settings: Settings) -> Rules:
    """What these settings ask for."""
    rules, periods = settings.signal_rules, settings.indicators
    age_s = rules.max_signal_age_seconds
    return Rules(
        volume_spike_threshold=rules.volume_spike_threshold,
        rsi_min=rules.rsi_min,
        rsi_max=rules.rsi_max,
        stop_loss_atr_multiplier=rules.stop_loss_atr_multiplier,
        take_profit_atr_multiplier=rules.take_profit_atr_multiplier,
        min_confidence=rules.min_confidence,
        max_age_ms=None if age_s is None else age_s * 1000,
        names={
            "ema_fast": f"EMA{periods.ema_fast}",
            "ema_slow": f"EMA{periods.ema_slow}",
            "ema_trend": f"EMA{periods.ema_trend}",
            "rsi": f"RSI{periods.rsi_period}",
        },
    )


async def serve(settings: Settings, instance: str) -> None:
    """Evaluate until cancelled."""
    access = RedisAccess(settings.redis.effective_url, name=f"{SERVICE}-{instance}")
    heartbeat = Heartbeat(SERVICE, instance, settings.health)
    events = EventsWriter(access, SERVICE, instance, settings.streams)
    roll_call = RollCall(access, events, SERVICE, settings.health)
    rules = settings.signal_rules
    writer = SignalsWriter(
        access,
        settings.exchange.market,
        settings.streams,
        window_ms=round(rules.duplicate_time_window_minutes * 60_000),
        threshold_percent=rules.duplicate_price_threshold_percent,
    )
    worker = Worker(
        access,
        writer,
        market=market_of(settings.exchange.symbol),
        timeframes=settings.exchange.timeframes,
        rules=rules_of(settings),
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
            group.create_task(watched("candles", worker.run))
    finally:
        await access.close()


if __name__ == "__main__":
    sys.exit(start_service(SERVICE, serve))
