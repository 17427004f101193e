"""Relations between times: deadlines, pauses, lives and quiet hours."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.local_time import DAY_MINUTES, quiet_minutes, span_of
from shared.settings.exchange import Exchange
from shared.settings.notifier import Notifier
from shared.settings.relations.clash import Clash

if TYPE_CHECKING:
    from shared.settings.root import Settings


def deadline_clashes(feed: Exchange) -> Iterator[Clash]:
    """Of what cannot be told before a candle is late."""
    for name in ("missing_after_seconds", "blind_after_seconds"):
        seconds: float = getattr(feed, name)
        if seconds < feed.close_deadline_seconds:
            yield Clash(
                (f"exchange.{name}", "exchange.close_deadline_seconds"),
                f"{seconds:g} is less than close_deadline_seconds {feed.close_deadline_seconds:g}",
                f"raise {name}",
            )


def time_clashes(settings: "Settings") -> Iterator[Clash]:
    """Of retries, memories, heartbeats and timeouts."""
    notifier, health = settings.notifier, settings.health
    if notifier.retry_base_seconds > notifier.retry_max_seconds:
        yield Clash(
            ("notifier.retry_base_seconds", "notifier.retry_max_seconds"),
            f"{notifier.retry_base_seconds:g} is more than retry_max_seconds "
            f"{notifier.retry_max_seconds:g}",
            "lower it",
        )
    if notifier.give_up_after_hours >= notifier.ledger_ttl_hours:
        yield Clash(
            ("notifier.give_up_after_hours", "notifier.ledger_ttl_hours"),
            f"{notifier.give_up_after_hours:g} is not less than ledger_ttl_hours "
            f"{notifier.ledger_ttl_hours:g}: what was delivered would be forgotten, and sent again",
            "lower it or raise ledger_ttl_hours",
        )
    if health.ttl_seconds <= health.interval_seconds:
        yield Clash(
            ("health.ttl_seconds", "health.interval_seconds"),
            f"{health.ttl_seconds:g} is not more than interval_seconds "
            f"{health.interval_seconds:g}: a live service would seem dead",
            "raise ttl_seconds",
        )
    timeouts: dict[str, float] = {}
    if settings.smtp:
        timeouts["smtp"] = settings.smtp.timeout_seconds
    if settings.telegram.enabled:
        timeouts["telegram"] = settings.telegram.timeout_seconds
    for channel, timeout in timeouts.items():
        if notifier.claim_idle_seconds <= timeout:
            yield Clash(
                ("notifier.claim_idle_seconds", f"{channel}.timeout_seconds"),
                f"{notifier.claim_idle_seconds:g} is not more than {channel}.timeout_seconds "
                f"{timeout:g}: an alert would be taken over while it is being sent",
                "raise claim_idle_seconds or lower the timeout",
            )


def quiet_clashes(notifier: Notifier) -> Iterator[Clash]:
    """Of quiet hours that never end."""
    if len(quiet_minutes(map(span_of, notifier.quiet_hours))) == DAY_MINUTES:
        yield Clash(
            ("notifier.quiet_hours",),
            "is the whole day: no signal would ever be sent",
            "leave a time in which they are; ./btc-scanner mute silences signals for a while",
        )
