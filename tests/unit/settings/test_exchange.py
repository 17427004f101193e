"""The section ``exchange``: symbol, timeframes, hosts and deadlines."""

from typing import Any

from tests.unit.settings.refused import Row, each, refuses


def test_the_feed_is_the_timeframes_and_their_trends_longest_first(load: Any) -> None:
    rules = {"trend_timeframes": {"15m": "4h", "1m": "5m"}}
    settings = load({"exchange": {"timeframes": ["1m", "15m"]}, "signal_rules": rules})
    assert settings.feed_timeframes == ("4h", "15m", "5m", "1m")


REFUSED: list[Row] = [
    ("exchange", {"exchange": {"name": "binanc"}}, "exchange.name", "not one of", "binance"),
    (
        "symbol joined",
        {"exchange": {"symbol": "BTCUSDT"}},
        "exchange.symbol",
        "BASE/QUOTE",
        "BTC/USDT",
    ),
    (
        "symbol dashed",
        {"exchange": {"symbol": "BTC-USDT"}},
        "exchange.symbol",
        "BASE/QUOTE",
        "BTC/USDT",
    ),
    (
        "symbol small",
        {"exchange": {"symbol": "btc/usdt"}},
        "exchange.symbol",
        "BASE/QUOTE",
        "BTC/USDT",
    ),
    ("symbol odd", {"exchange": {"symbol": "?"}}, "exchange.symbol", "BASE/QUOTE", ""),
    (
        "timeframe unknown",
        {"exchange": {"timeframes": ["1m", "60m"]}},
        "exchange.timeframes[1]",
        "not a timeframe",
        "1h",
    ),
    (
        "timeframe twice",
        {"exchange": {"timeframes": ["1m", "1m"]}},
        "exchange.timeframes",
        "twice",
        "",
    ),
    ("timeframes none", {"exchange": {"timeframes": []}}, "exchange.timeframes", "is empty", ""),
    ("timeframes text", {"exchange": {"timeframes": "1m"}}, "exchange.timeframes", "is text", ""),
    (
        "timeframe without trend",
        {"exchange": {"timeframes": ["15m"]}},
        "signal_rules.trend_timeframes",
        "no trend timeframe for 15m",
        "",
    ),
    (
        "a day has no trend",
        {"exchange": {"timeframes": ["1d"]}},
        "exchange.timeframes",
        "no longer timeframe",
        "",
    ),
    (
        "trend unknown",
        {"signal_rules": {"trend_timeframes": {"1m": "5min", "5m": "1h"}}},
        "signal_rules.trend_timeframes.1m",
        "not a timeframe",
        "5m",
    ),
    (
        "trend not longer",
        {"signal_rules": {"trend_timeframes": {"1m": "1m", "5m": "1h"}}},
        "signal_rules.trend_timeframes",
        "not longer",
        "",
    ),
    (
        "trend no multiple",
        {
            "signal_rules": {"trend_timeframes": {"1m": "5m", "4h": "6h"}},
            "exchange": {"timeframes": ["4h"]},
        },
        "signal_rules.trend_timeframes",
        "multiple",
        "",
    ),
    (
        "host no url",
        {"exchange": {"rest_hosts": ["api.binance.com"]}},
        "exchange.rest_hosts[0]",
        "does not begin with http://",
        "",
    ),
    (
        "host near scheme",
        {"exchange": {"rest_hosts": ["htps://x"]}},
        "exchange.rest_hosts[0]",
        "does not begin with",
        "https://",
    ),
    (
        "host with login",
        {"exchange": {"ws_hosts": ["wss://u:p@h"]}},
        "exchange.ws_hosts[0]",
        "more than a base URL",
        "",
    ),
    (
        "host bad port",
        {"exchange": {"ws_hosts": ["wss://h:99999"]}},
        "exchange.ws_hosts[0]",
        "valid host and port",
        "",
    ),
    (
        "long label",
        {"exchange": {"rest_hosts": [f"https://{'a' * 64}.com"]}},
        "exchange.rest_hosts[0]",
        "no valid host name",
        "",
    ),
    (
        "host without name",
        {"exchange": {"ws_hosts": ["wss:///x"]}},
        "exchange.ws_hosts[0]",
        "no host",
        "",
    ),
    (
        "host with newline",
        {"exchange": {"ws_hosts": ["wss://h\n"]}},
        "exchange.ws_hosts[0]",
        "control character",
        "",
    ),
    (
        "missing before late",
        {"exchange": {"missing_after_seconds": 1}},
        "exchange.missing_after_seconds",
        "less than close_deadline",
        "",
    ),
    (
        "blind before late",
        {"exchange": {"blind_after_seconds": 2}},
        "exchange.blind_after_seconds",
        "less than close_deadline",
        "",
    ),
]


@each(REFUSED)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    refuses(faults, values, path, what, near)
