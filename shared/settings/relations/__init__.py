"""Relations between keys: what is wrong together though each is right by itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.settings.relations.channels import smtp_clashes, telegram_clashes
from shared.settings.relations.clash import Clash
from shared.settings.relations.redis import redis_clashes
from shared.settings.relations.rules import rule_clashes, trend_clash
from shared.settings.relations.streams import stream_clashes
from shared.settings.relations.times import deadline_clashes, quiet_clashes, time_clashes

if TYPE_CHECKING:
    from shared.settings.root import Settings


def clashes(settings: "Settings") -> Iterator[Clash]:
    """Everything that is wrong between keys which are each right."""
    yield from rule_clashes(settings.signal_rules, settings.indicators)
    for name in settings.exchange.timeframes:
        yield from trend_clash(name, settings.signal_rules.trend_timeframes)
    yield from stream_clashes(settings)
    yield from deadline_clashes(settings.exchange)
    yield from time_clashes(settings)
    yield from quiet_clashes(settings.notifier)
    yield from redis_clashes(settings.redis)
    if settings.smtp:
        yield from smtp_clashes(settings.smtp)
    if settings.telegram.enabled:
        yield from telegram_clashes(settings.telegram)
