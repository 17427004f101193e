"""The environment and secret files: which source wins, and that a password alone is no wish."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.config_errors import ConfigError
from shared.configuration import load_settings
from shared.settings import Settings, Smtp
from tests.unit.settings.samples import SECRET, SMTP


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("EXCHANGE__SYMBOL", "ETH/USDT", "ETH/USDT"),
        ("EXCHANGE__TIMEFRAMES", "5m", ("5m",)),
        ("EXCHANGE__TIMEFRAMES", "5m, 1m", ("5m", "1m")),
        ("EXCHANGE__TIMEFRAMES", '["5m"]', ("5m",)),
        ("SIGNAL_RULES__TREND_TIMEFRAMES", '{"1m":"1h","5m":"4h"}', {"1m": "1h", "5m": "4h"}),
        ("SIGNAL_RULES__RSI_MIN", "25", 25.0),
        ("SIGNAL_RULES__MAX_SIGNAL_AGE_SECONDS", "null", None),
        ("SIGNAL_RULES__MIN_CONFIDENCE", " 4 ", 4),
        ("SIGNAL_RULES__MIN_CONFIDENCE", "", 5),
        ("TELEGRAM__CHAT_ID", "-100,@channel", ("-100", "@channel")),
        ("LOGGING__LEVEL", "debug", "DEBUG"),
        ("LOGGING__FILE", "", ""),
    ],
)
def test_a_variable_sets_any_key(variable: str, text: str, expected: object) -> None:
    settings = load_settings(environ={f"BTC_SCANNER__{variable}": text})
    section, key = variable.lower().split("__")
    assert getattr(getattr(settings, section), key) == expected


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "on"])
def test_truth_in_a_variable(text: str) -> None:
    environ = {
        "BTC_SCANNER__TELEGRAM__ENABLED": text,
        "TELEGRAM_BOT_TOKEN": "1:x",
        "TELEGRAM_CHAT_ID": "5",
    }
    assert load_settings(environ=environ).telegram.enabled


def test_a_fault_from_the_environment_names_the_variable_and_not_its_value(faults: Any) -> None:
    found = faults(
        {"signal_rules": {"rsi_max": 20}},
        {
            "BTC_SCANNER__EXCHANGE__SYMBOL": SECRET,
            "BTC_SCANNER__INDICATORS__EMA_FAST": SECRET,
            "BTC_SCANNER__SIGNAL_RULES__RSI_MIN": "21",
        },
    )
    for path, fault in found.items():
        variable = "BTC_SCANNER__" + path.upper().replace(".", "__")
        assert fault.origin == f"variable {variable}"
        assert SECRET not in str(fault)
    assert len(found) == 3


def test_an_unknown_variable_is_a_fault_with_its_near_miss(faults: Any) -> None:
    found = faults({}, {"BTC_SCANNER__EXCHANGE__SYMBOLS": SECRET, "BTC_SCANNER__EXCHANGE": "{}"})
    assert found["BTC_SCANNER__EXCHANGE__SYMBOLS"].near == "BTC_SCANNER__EXCHANGE__SYMBOL"
    assert "BTC_SCANNER__EXCHANGE" in found


def test_each_source_wins_over_those_below_it(load: Any, tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    config = {"smtp": {**SMTP, "user": "me", "password": "of-file"}}

    def password() -> str:
        return load(config, environ).smtp.password.get_secret_value()  # type: ignore[no-any-return]

    assert password() == "of-file"
    for folder in ("docker-secrets", "credentials"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "smtp_password").write_text(f"of-{folder}\n")
        environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "credentials")
        assert password() == f"of-{folder}"
    environ["SMTP_PASSWORD"] = "of-own-variable"
    assert password() == "of-own-variable"
    environ["BTC_SCANNER__SMTP__PASSWORD"] = "of-general-variable"
    assert password() == "of-general-variable"


@pytest.mark.parametrize("variable", ["SMTP_PASSWORD", "BTC_SCANNER__SMTP__PASSWORD"])
@pytest.mark.parametrize("values", [{}, {"smtp": None}])
def test_a_password_alone_is_no_wish_for_email(load: Any, variable: str, values: object) -> None:
    assert load(values, {variable: SECRET}).smtp is None


def test_the_environment_alone_can_set_up_email() -> None:
    environ = {f"BTC_SCANNER__SMTP__{key.upper()}": text for key, text in SMTP.items()}
    environ |= {"BTC_SCANNER__SMTP__USER": "me", "SMTP_PASSWORD": SECRET}
    settings = load_settings(environ=environ)
    assert isinstance(settings.smtp, Smtp)
    assert settings.channels == ("email",)


def test_empty_secrets_count_as_not_set(load: Any, tmp_path: Path) -> None:
    (tmp_path / "docker-secrets").mkdir()
    (tmp_path / "docker-secrets" / "smtp_password").write_text("\n")
    config = {"smtp": {**SMTP, "user": "me", "password": "kept"}}
    assert load(config, {"SMTP_PASSWORD": ""}).smtp.password.get_secret_value() == "kept"


def test_a_secret_file_that_cannot_be_read_is_named(faults: Any, tmp_path: Path) -> None:
    (tmp_path / "telegram_bot_token").mkdir()
    found = faults({}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert str(tmp_path / "telegram_bot_token") in found["telegram.bot_token"].origin


def test_whoever_delivers_nothing_needs_no_secret_of_a_channel(tmp_path: Path) -> None:
    config = tmp_path / "without-secrets.json"
    smtp = {**SMTP, "user": "me"}
    config.write_text(json.dumps({"smtp": smtp, "telegram": {"enabled": True, "chat_id": 1}}))
    with pytest.raises(ConfigError):
        load_settings(config, {})
    (tmp_path / "smtp_password").mkdir()  # not readable as a file
    environ = {"TELEGRAM_BOT_TOKEN": "1:x", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    settings = load_settings(config, environ, channels=False)
    assert settings.smtp is None
    assert settings.telegram == Settings().telegram


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("BTC_SCANNER")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__SYMBOL", "ETH/BTC")
    exchange = load_settings().exchange
    assert (exchange.market, exchange.base, exchange.quote) == ("ETHBTC", "ETH", "BTC")


@pytest.mark.parametrize("variable", ["EXCHANGE__SYMBOL", "EXCHANGE_SYMBOL", "exchange__symbol"])
def test_a_variable_that_lacks_an_underscore_is_refused_with_its_right_name(variable: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={f"BTC_SCANNER_{variable}": "ETH/USDT"})
    (fault,) = caught.value.faults
    assert fault.path == f"BTC_SCANNER_{variable}"
    assert fault.near == "BTC_SCANNER__EXCHANGE__SYMBOL"


def test_variables_of_ours_that_are_no_keys_are_left_alone() -> None:
    names = ("CONFIG", "VENV", "INSTANCE", "DOORS", "OWN_REDIS", "TEST_SYSTEMD")
    load_settings(environ={f"BTC_SCANNER_{name}": "" for name in names})
