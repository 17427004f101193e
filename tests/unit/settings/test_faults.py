"""All faults at once, and how they are told."""

from pathlib import Path
from typing import Any

import pytest

from shared.config_errors import ConfigError
from tests.unit.settings.refused import Row, each, refuses
from tests.unit.settings.samples import SMTP

ALL_AT_ONCE = {
    "exchange": {"symbol": "BTCUSDT", "timeframes": ["1m", "7m", "1m"], "nam": "binance"},
    "indicators": {"ema_fast": 30, "atr_period": "14"},
    "signal_rules": {"rsi_min": 70, "rsi_max": 30, "min_confidence": 9},
    "smtp": {"user": "me", "port": 0},
    "telegram": {"enabled": True, "timeout_seconds": -1},
    "notifier": [],
    "health": {"interval_seconds": 60},
    "loging": {},
}


def test_all_faults_come_in_one_list_those_between_keys_included(faults: Any) -> None:
    assert set(faults(ALL_AT_ONCE, {"BTC_SCANNER__REDIS__PORT": "1"})) == {
        "exchange.symbol",
        "exchange.timeframes[1]",
        "exchange.timeframes",
        "exchange.nam",
        "indicators.ema_fast",
        "indicators.atr_period",
        "signal_rules.rsi_min",
        "signal_rules.min_confidence",
        "smtp.server",
        "smtp.from_email",
        "smtp.to_email",
        "smtp.password",
        "smtp.port",
        "telegram.bot_token",
        "telegram.chat_id",
        "telegram.timeout_seconds",
        "notifier",
        "health.ttl_seconds",
        "loging",
        "BTC_SCANNER__REDIS__PORT",
    }


def test_a_relation_is_not_judged_by_a_key_that_is_itself_broken(faults: Any) -> None:
    assert list(faults({"signal_rules": {"rsi_min": "x", "rsi_max": 10}})) == [
        "signal_rules.rsi_min"
    ]


def test_the_text_of_the_error_is_a_block_with_one_line_per_fault(
    load: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"logging": {"level": "WARN", "retention_days": 0}})
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{tmp_path / 'config.json'}: 2 faults"
    assert lines[1] == (
        "  logging.level: is not one of those known; did you mean WARNING? "
        '-> give one of DEBUG, INFO, WARNING, ERROR, CRITICAL, for example "INFO"'
    )
    assert len(lines) == 3


REFUSED: list[Row] = [
    ("section unknown", {"telegrm": {}}, "telegrm", "not a known section", "telegram"),
    (
        "key unknown",
        {"signal_rules": {"rsi_mim": 3}},
        "signal_rules.rsi_mim",
        "not a known key",
        "rsi_min",
    ),
    (
        "key elsewhere",
        {"exchange": {"rsi_max": 3}},
        "exchange.rsi_max",
        "not a known key",
        "signal_rules.rsi_max",
    ),
    ("key at the top", {"symbol": "BTC/USDT"}, "symbol", "not a known section", "exchange.symbol"),
    ("section not an object", {"exchange": "x"}, "exchange", "is text, not an object", ""),
    ("section a list", {"smtp": []}, "smtp", "is a list, not an object", ""),
]


@each(REFUSED)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    refuses(faults, values, path, what, near)


@pytest.mark.parametrize(
    ("values", "path", "words"),
    [
        ({"redis": {"url": "localhost:6379"}}, "redis.url", "like redis://localhost:6379"),
        (
            {"telegram": {"chat_id": 1.5}},
            "telegram.chat_id",
            "give a whole number or text",
        ),
        (
            {"smtp": {**SMTP, "to_email": "a@b.c, d@e.f"}},
            "smtp.to_email",
            'write a list: ["a@b.c", "d@e.f"]',
        ),
        (
            {"smtp": {key: value for key, value in SMTP.items() if key != "to_email"}},
            "smtp.to_email",
            "give text, or a list of such",
        ),
        (
            {"logging": {"level": "verbose"}},
            "logging.level",
            "give one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
        ),
    ],
)
def test_the_remedy_shows_the_form_that_is_taken(
    faults: Any, values: object, path: str, words: str
) -> None:
    found = faults(values)[path]
    assert words in found.remedy
    assert found.near == ""
