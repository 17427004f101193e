"""The sections ``indicators`` and ``signal_rules``."""

import math
from typing import Any

from tests.unit.settings.refused import Row, each, refuses

REFUSED: list[Row] = [
    ("period zero", {"indicators": {"atr_period": 0}}, "indicators.atr_period", "out of range", ""),
    (
        "period negative",
        {"indicators": {"atr_period": -3}},
        "indicators.atr_period",
        "out of range",
        "",
    ),
    (
        "period broken",
        {"indicators": {"atr_period": 1.5}},
        "indicators.atr_period",
        "number with decimals",
        "",
    ),
    (
        "period true",
        {"indicators": {"atr_period": True}},
        "indicators.atr_period",
        "is true or false",
        "",
    ),
    ("period text", {"indicators": {"atr_period": "14"}}, "indicators.atr_period", "is text", ""),
    ("period null", {"indicators": {"atr_period": None}}, "indicators.atr_period", "is null", ""),
    (
        "period huge",
        {"indicators": {"atr_period": 10**30}},
        "indicators.atr_period",
        "too large",
        "",
    ),
    (
        "ema order",
        {"indicators": {"ema_fast": 21}},
        "indicators.ema_fast",
        "21 is not less than ema_slow 21",
        "",
    ),
    (
        "rsi order",
        {"signal_rules": {"rsi_min": 70}},
        "signal_rules.rsi_min",
        "70 is not less than rsi_max 70",
        "",
    ),
    ("rsi below", {"signal_rules": {"rsi_min": -1}}, "signal_rules.rsi_min", "out of range", ""),
    ("rsi above", {"signal_rules": {"rsi_max": 100.5}}, "signal_rules.rsi_max", "out of range", ""),
    (
        "rsi true",
        {"signal_rules": {"rsi_max": True}},
        "signal_rules.rsi_max",
        "is true or false",
        "",
    ),
    (
        "not a number",
        {"signal_rules": {"rsi_max": math.nan}},
        "signal_rules.rsi_max",
        "not a finite number",
        "",
    ),
    (
        "infinite",
        {"signal_rules": {"rsi_max": math.inf}},
        "signal_rules.rsi_max",
        "not a finite number",
        "",
    ),
    (
        "age zero",
        {"signal_rules": {"max_signal_age_seconds": 0}},
        "signal_rules.max_signal_age_seconds",
        "out of range",
        "",
    ),
    (
        "confidence",
        {"signal_rules": {"min_confidence": 6}},
        "signal_rules.min_confidence",
        "out of range",
        "",
    ),
    (
        "multiplier",
        {"signal_rules": {"stop_loss_atr_multiplier": 0}},
        "signal_rules.stop_loss_atr_multiplier",
        "out of range",
        "",
    ),
]


@each(REFUSED)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    refuses(faults, values, path, what, near)
