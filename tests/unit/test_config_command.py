"""``config check`` and ``config show`` as an operator sees them."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli import config_command
from shared import config_draft, config_place
from shared.settings import Settings

SECRET = "hunter2-hunter2-hunter2"
SMTP = {
    "server": "mail.example.org",
    "user": "me",
    "password": SECRET,
    "from_email": "a@example.org",
    "to_email": ["b@example.org", "c@example.org"],
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_place, "SYSTEM_CONFIG", tmp_path / "etc.json")
    monkeypatch.setattr(config_draft, "DOCKER_SECRETS", tmp_path / "none")
    for name in ("BTC_SCANNER_CONFIG", "SMTP_PASSWORD", "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"):
        monkeypatch.delenv(name, raising=False)


def write(values: object, mode: int = 0o600) -> Path:
    path = Path("config.json")
    path.write_text(json.dumps(values))
    path.chmod(mode)
    return path


def test_check_tells_what_is_enabled(capsys: pytest.CaptureFixture[str]) -> None:
    telegram = {"enabled": True, "bot_token": "1:abc", "chat_id": [5, "@channel"]}
    write({"smtp": SMTP, "telegram": telegram, "redis": {"url": f"redis://:{SECRET}@h"}})
    assert config_command.check(None) == 0
    out, err = capsys.readouterr()
    assert out == (
        "OK: config.json\n"
        "  market      BTC/USDT on binance\n"
        "  timeframes  1m (trend 5m), 5m (trend 1h)\n"
        "  alerts      email to b@example.org, c@example.org by mail.example.org:465; "
        "telegram to 5, @channel\n"
        "  redis       redis://:********@h\n"
        "  log         logs/scanner.log, INFO and above\n"
    )
    assert err == ""


def test_check_without_a_file_says_so_and_where_alerts_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert config_command.check(None) == 0
    out, err = capsys.readouterr()
    assert out.startswith("OK: no configuration file; defaults and environment apply\n")
    assert err.startswith("warning: neither email nor telegram is set up: alerts go to the console")


def test_check_lists_all_faults_on_stderr_and_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write({"exchange": {"symbol": "BTCUSDT"}, "logging": {"level": "WARN"}})
    assert config_command.check(path) == 2
    assert config_command.check(Path("no-such.json")) == 2
    assert config_command.show(path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("config.json: 2 faults\n  exchange.symbol: ") == 2
    assert "no-such.json: 1 fault\n" in err


@pytest.mark.parametrize(
    "values",
    [
        {"smtp": SMTP},
        {"telegram": {"bot_token": "1:x"}},
        {"redis": {"url": "redis://:pw@h"}},
        {"redis": {"url": "unix:///r.sock?password=pw"}},
    ],
    ids=["mail", "bot", "redis", "query"],
)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_check_warns_of_a_secret_that_others_can_read(
    capsys: pytest.CaptureFixture[str], values: Any, mode: int
) -> None:
    write(values, mode)
    assert config_command.check(None) == 0
    assert "others can read it: chmod 600 config.json\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "mode"), [({"smtp": SMTP}, 0o600), ({"smtp": None, "redis": None}, 0o644)]
)
def test_check_does_not_warn_where_others_cannot_read_or_nothing_is_secret(
    capsys: pytest.CaptureFixture[str], values: Any, mode: int
) -> None:
    write(values, mode)
    assert config_command.check(None) == 0
    assert "chmod" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("port", "use_ssl", "warned"),
    [(465, True, False), (465, False, True), (587, True, True), (587, False, False)],
)
def test_check_warns_of_a_port_that_does_not_fit(
    capsys: pytest.CaptureFixture[str], *, port: int, use_ssl: bool, warned: bool
) -> None:
    write({"smtp": {**SMTP, "port": port, "use_ssl": use_ssl}})
    assert config_command.check(None) == 0
    assert ("is unusual" in capsys.readouterr().err) == warned


def test_check_of_the_example_warns_of_its_placeholders(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert config_command.check(Path(__file__).parents[2] / "config.example.json") == 0
    assert "still that of the example" in capsys.readouterr().err


def test_show_prints_everything_that_applies_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", f"1:{SECRET}")
    write({"smtp": SMTP})
    assert config_command.show(None) == 0
    out = capsys.readouterr().out
    assert SECRET not in out
    shown = json.loads(out)
    assert shown["smtp"]["password"] == shown["telegram"]["bot_token"] == "********"
    assert shown["indicators"]["ema_slow"] == 21
    assert set(shown) == set(Settings.model_fields)
