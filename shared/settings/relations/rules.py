"""Relations between the keys of the signal rules, the indicators and the timeframes."""

from collections.abc import Iterator, Mapping

from shared import timeframe
from shared.settings.relations.clash import Clash
from shared.settings.rules import Indicators, SignalRules


def rule_clashes(rules: SignalRules, periods: Indicators) -> Iterator[Clash]:
    """Of limits and periods that stand the wrong way round."""
    if rules.rsi_min >= rules.rsi_max:
        yield Clash(
            ("signal_rules.rsi_min", "signal_rules.rsi_max"),
            f"{rules.rsi_min:g} is not less than rsi_max {rules.rsi_max:g}",
            "lower rsi_min or raise rsi_max; the defaults are 30 and 70",
        )
    if periods.ema_fast >= periods.ema_slow:
        yield Clash(
            ("indicators.ema_fast", "indicators.ema_slow"),
            f"{periods.ema_fast} is not less than ema_slow {periods.ema_slow}",
            "lower ema_fast or raise ema_slow; the defaults are 9 and 21",
        )


# Suggested where a timeframe has no trend of its own yet.
_USUAL_TREND = {
    "1m": "5m",
    "3m": "15m",
    "5m": "1h",
    "15m": "4h",
    "30m": "4h",
    "1h": "4h",
    "2h": "12h",
    "4h": "1d",
    "6h": "1d",
    "8h": "1d",
    "12h": "1d",
}


def trend_clash(name: str, trends: Mapping[str, str]) -> Iterator[Clash]:
    """Of one timeframe and the trend that it needs."""
    paths = ("signal_rules.trend_timeframes", "exchange.timeframes")
    usual = _USUAL_TREND.get(name)
    if usual is None:
        yield Clash(
            ("exchange.timeframes", "signal_rules.trend_timeframes"),
            f"{name} has no longer timeframe to take its trend from",
            f"remove {name}; it can be the trend of a shorter one",
        )
        return
    trend = trends.get(name)
    if trend is None:
        yield Clash(
            paths,
            f"names no trend timeframe for {name}, which is in exchange.timeframes",
            f'add "{name}": "{usual}"',
        )
        return
    own_ms, trend_ms = timeframe.interval_ms(name), timeframe.interval_ms(trend)
    if trend_ms <= own_ms or trend_ms % own_ms:
        yield Clash(
            paths,
            f"{trend} is not longer than {name} and a multiple of it",
            f'for example "{name}": "{usual}"',
        )
