"""Relations between what is kept in the streams and what is read from them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared import timeframe
from shared.settings.relations.clash import Clash
from shared.settings.rules import Indicators

if TYPE_CHECKING:
    from shared.settings.root import Settings


def stream_clashes(settings: "Settings") -> Iterator[Clash]:
    """Of lengths at which entries would be trimmed before they are read."""
    streams = settings.streams
    if streams.max_lead >= streams.klines_maxlen:
        yield Clash(
            ("streams.max_lead", "streams.klines_maxlen"),
            f"{streams.max_lead} is not less than klines_maxlen {streams.klines_maxlen}: "
            "candles would be trimmed before they are read",
            "lower max_lead or raise klines_maxlen",
        )
    longest = max(settings.indicators.model_dump().values())
    if streams.klines_maxlen <= longest:
        yield Clash(
            ("streams.klines_maxlen", *(f"indicators.{key}" for key in Indicators.model_fields)),
            f"{streams.klines_maxlen} is not more than the longest period, {longest}",
            "raise it",
        )
    names = settings.exchange.timeframes
    if any(name not in settings.signal_rules.trend_timeframes for name in names):
        return  # reported elsewhere; without it the feed is not known
    per_minute = sum(60_000 / timeframe.interval_ms(name) for name in settings.feed_timeframes)
    if streams.max_lead * per_minute >= streams.indicators_maxlen:
        yield Clash(
            (
                "streams.max_lead",
                "streams.indicators_maxlen",
                "exchange.timeframes",
                "signal_rules.trend_timeframes",
            ),
            f"{streams.max_lead} minutes are {streams.max_lead * per_minute:.0f} entries of all "
            f"timeframes, not less than indicators_maxlen {streams.indicators_maxlen}",
            "lower max_lead or raise indicators_maxlen",
        )
