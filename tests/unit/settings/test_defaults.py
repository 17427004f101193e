"""What applies where nothing is said, and what settings are in code."""

import json
from pathlib import Path

import pytest

from shared.configuration import load_settings
from shared.settings import Settings, SignalRules

ROOT = Path(__file__).parents[3]


def test_without_any_source_the_defaults_of_the_documentation_apply() -> None:
    settings = load_settings(environ={})
    assert settings == Settings()
    assert settings.exchange.timeframes == ("1m", "5m")
    assert settings.smtp is None
    assert settings.channels == ("console",)
    assert settings.redis.effective_url == "redis://127.0.0.1:6379/0"


def test_the_constructor_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE", '{"symbol": "ETH/USDT"}')
    assert Settings().exchange.symbol == "BTC/USDT"


def test_the_example_loads_as_it_is() -> None:
    settings = load_settings(ROOT / "config.example.json", {})
    assert settings.channels == ("email",)
    expected = {"exchange", "indicators", "signal_rules", "smtp", "telegram", "logging"}
    assert set(json.loads((ROOT / "config.example.json").read_text())) == expected


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().exchange.symbol = "ETH/USDT"


def test_settings_built_in_code_are_checked_too() -> None:
    with pytest.raises(ValueError, match="rsi_min"):
        Settings(signal_rules=SignalRules(rsi_min=70.0, rsi_max=30.0))
