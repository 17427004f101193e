"""The configuration: what is refused and how, which source wins, and that no secret ever shows."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared import config_place, timeframe
from shared import configuration as module
from shared.config_errors import ConfigError, Fault
from shared.configuration import find_config, load_settings
from shared.settings import Settings, SignalRules, Smtp

ROOT = Path(__file__).parents[2]
SMTP = {"server": "mail.example.org", "from_email": "a@example.org", "to_email": "b@example.org"}
SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the machine that runs the test is found."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(config_place, "SYSTEM_CONFIG", tmp_path / "etc.json")
    monkeypatch.setattr(module, "DOCKER_SECRETS", tmp_path / "docker-secrets")


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def _load(values: object, environ: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "config.json"
        path.write_text(values if isinstance(values, str) else json.dumps(values))
        return load_settings(path, environ or {})

    return _load


@pytest.fixture
def faults(load: Any) -> Any:
    def _faults(values: object, environ: Mapping[str, str] | None = None) -> dict[str, Fault]:
        with pytest.raises(ConfigError) as caught:
            load(values, environ)
        assert caught.value.__cause__ is None
        return {fault.path: fault for fault in caught.value.faults}

    return _faults


# --- what applies -----------------------------------------------------------------------------


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


def test_the_feed_is_the_timeframes_and_their_trends_longest_first(load: Any) -> None:
    rules = {"trend_timeframes": {"15m": "4h", "1m": "5m"}}
    settings = load({"exchange": {"timeframes": ["1m", "15m"]}, "signal_rules": rules})
    assert settings.feed_timeframes == ("4h", "15m", "5m", "1m")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().exchange.symbol = "ETH/USDT"


def test_one_recipient_is_a_list_of_one(load: Any) -> None:
    telegram = {"enabled": True, "bot_token": "1:x", "chat_id": -1001234567890}
    settings = load({"smtp": SMTP, "telegram": telegram})
    assert settings.smtp.to_email == ("b@example.org",)
    assert settings.telegram.chat_id == ("-1001234567890",)
    assert settings.channels == ("email", "telegram")


def test_a_sender_may_have_a_name(load: Any) -> None:
    assert load({"smtp": {**SMTP, "from_email": "BTC Scanner <a@example.org>"}})


def test_settings_built_in_code_are_checked_too() -> None:
    with pytest.raises(ValueError, match="rsi_min"):
        Settings(signal_rules=SignalRules(rsi_min=70.0, rsi_max=30.0))


@pytest.mark.parametrize("url", [
    "redis://localhost", "redis://:p%40ss@redis:6380/3", "rediss://user:pw@h.example.org:6380",
    "unix:///run/redis.sock", "unix:///run/redis.sock?db=2&password=x", "redis://[::1]:6379/0",
    "redis+sentinel://s1:26379,s2,s3/mymaster/2", "redis+sentinel://u:p%40@s1/m?sentinel_password=x",
    "redis+cluster://u:pw@n1:6379,n2", "rediss+cluster://[::1]:7000,[::2]:7000?ssl_ca_certs=/ca.pem",
])  # fmt: skip
def test_forms_of_redis_urls(load: Any, url: str) -> None:
    settings = load({"redis": {"url": url}})
    assert settings.redis.effective_url == url
    assert not settings.redis.embedded


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://h", "redis://:p%40s%2Fs@h"),
        ("redis://me@h:6380/3", "redis://me:p%40s%2Fs@h:6380/3"),
        ("unix://me@/run/r.sock?db=2", "unix://me:p%40s%2Fs@/run/r.sock?db=2"),
        ("redis+sentinel://me@s1,s2/m?sentinel_password=x",
         "redis+sentinel://me:p%40s%2Fs@s1,s2/m?sentinel_password=x"),
        ("redis+cluster://me@n1:1,n2", "redis+cluster://me:p%40s%2Fs@n1:1,n2"),
    ],
)  # fmt: skip
def test_the_password_for_redis_may_come_apart_from_its_url(
    load: Any, url: str, complete: str
) -> None:
    settings = load({"redis": {"url": url}}, {"REDIS_PASSWORD": "p@s/s"})
    assert settings.redis.effective_url == complete
    assert settings.masked()["redis"]["password"] == "********"
    assert {"p@s/s", "p%40s%2Fs"} <= set(settings.secrets())
    assert "p@s/s" not in repr(settings)


def test_the_password_for_redis_may_come_from_a_secret_file(load: Any, tmp_path: Path) -> None:
    (tmp_path / "redis_password").write_text("in-a-file\n")
    settings = load({"redis": {"url": "redis://h"}}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.redis.effective_url == "redis://:in-a-file@h"


OWN_SOCKET = "/run/btc-scanner/redis.sock"
OWN = {"BTC_SCANNER_OWN_REDIS": f"unix://ingest@{OWN_SOCKET}"}


@pytest.mark.parametrize(
    ("redis", "complete"),
    [
        ({}, f"unix://ingest:own@{OWN_SOCKET}"),
        ({"url": f"unix://{OWN_SOCKET}"}, f"unix://ingest:own@{OWN_SOCKET}"),
        ({"url": f"unix://ingest@{OWN_SOCKET}"}, f"unix://ingest:own@{OWN_SOCKET}"),
        ({"url": f"unix://{OWN_SOCKET}?db=0"}, f"unix://ingest:own@{OWN_SOCKET}?db=0"),
        ({"url": f"unix://me:x@{OWN_SOCKET}"}, f"unix://me:x@{OWN_SOCKET}"),
        ({"url": f"unix://{OWN_SOCKET}?password=x"}, f"unix://{OWN_SOCKET}?password=x"),
        ({"url": f"unix://{OWN_SOCKET}", "password": "x"}, f"unix://:x@{OWN_SOCKET}"),
        ({"url": "unix:///run/other.sock"}, "unix:///run/other.sock"),
        ({"url": "redis://elsewhere:6379/0"}, "redis://elsewhere:6379/0"),
        ({"url": "redis://me:x@elsewhere:6379/0"}, "redis://me:x@elsewhere:6379/0"),
        ({"url": "redis+cluster://a,b"}, "redis+cluster://a,b"),
    ],
)
def test_the_installations_own_login_counts_at_its_own_redis_alone(
    load: Any, tmp_path: Path, redis: Any, complete: str
) -> None:
    (tmp_path / "own_redis_password").write_text("own\n")
    settings = load({"redis": redis}, {**OWN, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.redis.effective_url == complete
    assert load({"redis": redis}, {**OWN, "OWN_REDIS_PASSWORD": "own"}) == settings
    assert ("own" in settings.secrets()) == ("own@" in complete)


def test_without_its_password_the_installations_own_login_does_not_count(load: Any) -> None:
    url = f"unix://{OWN_SOCKET}"
    settings = load({"redis": {"url": url}}, {**OWN, "CREDENTIALS_DIRECTORY": "/absent"})
    assert settings.redis.effective_url == url


def test_an_own_password_that_cannot_be_read_is_a_fault(faults: Any, tmp_path: Path) -> None:
    (tmp_path / "own_redis_password").write_bytes(b"\xff")
    found = faults({}, {**OWN, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert list(found) == ["redis.password"]
    found = faults({"redis": []}, {**OWN, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert list(found) == ["redis"]


def test_our_own_redis_wants_no_password(load: Any) -> None:
    settings = load({}, {"REDIS_PASSWORD": "of another program"})
    assert settings.redis.effective_url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("url", ["rediss://h:1", "rediss+sentinel://h/m", "rediss+cluster://h"])
def test_certificate_authorities_for_redis(load: Any, tmp_path: Path, url: str) -> None:
    ca_file = tmp_path / "my ca.pem"
    ca_file.touch()
    settings = load({"redis": {"url": url, "ca_file": str(ca_file)}})
    assert settings.redis.effective_url == f"{url}?ssl_ca_certs={tmp_path}/my%20ca.pem"


# --- what is refused --------------------------------------------------------------------------

TELEGRAM = {"enabled": True, "bot_token": "123:abc", "chat_id": "1"}

REFUSED: list[tuple[str, dict[str, Any], str, str, str]] = [
    # name, values, path, part of what is wrong, near miss
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
    (
        "redis scheme",
        {"redis": {"url": "reddis://h"}},
        "redis.url",
        "does not begin with redis://",
        "redis://",
    ),
    ("redis host", {"redis": {"url": "redis:///0"}}, "redis.url", "no host", ""),
    ("redis database", {"redis": {"url": "redis://h/zero"}}, "redis.url", "database", ""),
    ("redis password", {"redis": {"url": "redis://:p#w@h"}}, "redis.url", "", ""),
    (
        "redis password twice",
        {"redis": {"url": "redis://:x@h", "password": "x"}},
        "redis.password",
        "has a password of its own",
        "",
    ),
    (
        "redis password in the query",
        {"redis": {"url": "redis://h?password=x", "password": "x"}},
        "redis.password",
        "has a password of its own",
        "",
    ),
    (
        "redis ca without tls",
        {"redis": {"url": "redis://h", "ca_file": "/etc/hosts"}},
        "redis.ca_file",
        "is not encrypted",
        "",
    ),
    (
        "redis ca twice",
        {"redis": {"url": "rediss://h?ssl_ca_certs=x", "ca_file": "/etc/hosts"}},
        "redis.ca_file",
        "has ssl_ca_certs",
        "",
    ),
    (
        "redis ca",
        {"redis": {"url": "rediss://h", "ca_file": "no-such.pem"}},
        "redis.ca_file",
        "not a file",
        "",
    ),
    ("redis socket", {"redis": {"url": "unix://run"}}, "redis.url", "absolute path", ""),
    (
        "lead",
        {"streams": {"max_lead": 20_000, "indicators_maxlen": 90_000}},
        "streams.max_lead",
        "not less than klines_maxlen",
        "",
    ),
    (
        "lead of all",
        {"streams": {"indicators_maxlen": 12_000}},
        "streams.max_lead",
        "12167 entries",
        "",
    ),
    (
        "short stream",
        {"streams": {"klines_maxlen": 50, "max_lead": 10}},
        "streams.klines_maxlen",
        "longest period, 50",
        "",
    ),
    (
        "smtp without server",
        {"smtp": {k: v for k, v in SMTP.items() if k != "server"}},
        "smtp.server",
        "is missing",
        "",
    ),
    (
        "smtp without from",
        {"smtp": {k: v for k, v in SMTP.items() if k != "from_email"}},
        "smtp.from_email",
        "is missing",
        "",
    ),
    (
        "smtp without to",
        {"smtp": {k: v for k, v in SMTP.items() if k != "to_email"}},
        "smtp.to_email",
        "is missing",
        "",
    ),
    ("smtp to nobody", {"smtp": {**SMTP, "to_email": []}}, "smtp.to_email", "is empty", ""),
    ("smtp port", {"smtp": {**SMTP, "port": 65_536}}, "smtp.port", "out of range", ""),
    (
        "smtp server with an empty label",
        {"smtp": {**SMTP, "server": "mail..example.org"}},
        "smtp.server",
        "not a host name",
        "",
    ),
    (
        "smtp server url",
        {"smtp": {**SMTP, "server": "smtps://h"}},
        "smtp.server",
        "not a host name",
        "",
    ),
    (
        "smtp address",
        {"smtp": {**SMTP, "to_email": "me"}},
        "smtp.to_email",
        "not an email address",
        "",
    ),
    (
        "smtp addresses",
        {"smtp": {**SMTP, "to_email": ["a@b", "me@"]}},
        "smtp.to_email[1]",
        "not an email address",
        "",
    ),
    (
        "smtp header",
        {"smtp": {**SMTP, "from_email": "a@b.c\nBcc: x@y"}},
        "smtp.from_email",
        "not an email address",
        "",
    ),
    (
        "smtp user alone",
        {"smtp": {**SMTP, "user": "me"}},
        "smtp.password",
        "is missing while smtp.user",
        "",
    ),
    (
        "smtp password alone",
        {"smtp": {**SMTP, "password": "x"}},
        "smtp.user",
        "is missing while smtp.password",
        "",
    ),
    (
        "smtp password number",
        {"smtp": {**SMTP, "user": "me", "password": 12345}},
        "smtp.password",
        "is a whole number",
        "",
    ),
    ("smtp ca", {"smtp": {**SMTP, "ca_file": "no-such.pem"}}, "smtp.ca_file", "not a file", ""),
    ("ssl as text", {"smtp": {**SMTP, "use_ssl": "true"}}, "smtp.use_ssl", "is text", ""),
    (
        "telegram token",
        {"telegram": {**TELEGRAM, "bot_token": ""}},
        "telegram.bot_token",
        "is missing",
        "",
    ),
    (
        "telegram token form",
        {"telegram": {**TELEGRAM, "bot_token": "x"}},
        "telegram.bot_token",
        "form of a bot token",
        "",
    ),
    (
        "telegram chat",
        {"telegram": {**TELEGRAM, "chat_id": []}},
        "telegram.chat_id",
        "is missing",
        "",
    ),
    (
        "telegram chat form",
        {"telegram": {**TELEGRAM, "chat_id": ["me"]}},
        "telegram.chat_id",
        "is not a chat",
        "",
    ),
    (
        "telegram chat true",
        {"telegram": {"chat_id": True}},
        "telegram.chat_id",
        "is true or false",
        "",
    ),
    (
        "claim during mail",
        {"smtp": SMTP, "notifier": {"claim_idle_seconds": 20}},
        "notifier.claim_idle_seconds",
        "smtp.timeout_seconds",
        "",
    ),
    (
        "claim during chat",
        {"telegram": TELEGRAM, "notifier": {"claim_idle_seconds": 9}},
        "notifier.claim_idle_seconds",
        "telegram.timeout_seconds",
        "",
    ),
    (
        "retry",
        {"notifier": {"retry_base_seconds": 90}},
        "notifier.retry_base_seconds",
        "more than retry_max",
        "",
    ),
    (
        "quiet without end",
        {"notifier": {"quiet_hours": ["22:00"]}},
        "notifier.quiet_hours[0]",
        "is not a span of time",
        "",
    ),
    (
        "quiet all day",
        {"notifier": {"quiet_hours": ["00:00-12:00", "11:00-24:00"]}},
        "notifier.quiet_hours",
        "is the whole day",
        "",
    ),
    (
        "quiet nowhere",
        {"notifier": {"quiet_timezone": "Europe/Berln"}},
        "notifier.quiet_timezone",
        "is not a time zone",
        "Europe/Berlin",
    ),
    (
        "ping by mail",
        {"health": {"ping_url": "ftp://watch.example.com/x"}},
        "health.ping_url",
        "does not begin with http:// or https://",
        "http://",
    ),
    (
        "ping nobody",
        {"health": {"ping_url": "https:///x"}},
        "health.ping_url",
        "has no host",
        "",
    ),
    ("health", {"health": {"ttl_seconds": 2}}, "health.ttl_seconds", "not more than interval", ""),
    ("level", {"logging": {"level": "WARN"}}, "logging.level", "not one of", "WARNING"),
    ("rotation", {"logging": {"rotation": "dayly"}}, "logging.rotation", "not one of", "daily"),
    ("retention", {"logging": {"retention_days": 0}}, "logging.retention_days", "out of range", ""),
    ("file", {"logging": {"file": "a\nb"}}, "logging.file", "control character", ""),
    ("surrogate", {"logging": {"file": "\ud800"}}, "logging.file", "control character", ""),
]


@pytest.mark.parametrize(
    ("values", "path", "what", "near"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    found = faults(values)
    assert list(found) == [path]
    assert what in found[path].what
    assert found[path].near == near
    assert found[path].remedy or near


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


def test_a_placeholder_matters_only_once_telegram_is_enabled(load: Any, faults: Any) -> None:
    section = {"bot_token": "your-token", "chat_id": "your-chat"}
    load({"telegram": {**section, "enabled": False}})
    assert set(faults({"telegram": {**section, "enabled": True}})) == {
        "telegram.bot_token",
        "telegram.chat_id",
    }


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


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ('{"a": 1,}', "line 1", "comma before the closing"),
        ('{"a": [1,]}', "line 1", "comma before the closing"),
        ("{'a': 1}", "line 1, column 2", "double quotes"),
        ('{"a": \u201cb\u201d}', "line 1", "straight double quotes"),
        ('{"a": 1 // why\n}', "line 1", "no comments"),
        ('{\n "a": True}', "line 2", "small letters"),
        ('{\n "a": 1\n "b": 2}', "line 3", "comma missing"),
        ('{"a" 1}', "line 1", "colon"),
        ('{"a": x}', "line 1", "into double quotes"),
        ('{"a": "b}', "line 1", "closing double quote"),
        ('{"a": "b\n}', "line 1", "closing double quote"),
        ('{"a": "C:\\x"}', "line 1", "backslash"),
        ('{"a": 1', "line 1", "ends too early"),
        ("{} {}", "line 1", "goes on"),
    ],
)
def test_bad_json_is_told_by_place_and_hint(faults: Any, text: str, place: str, hint: str) -> None:
    fault = faults(text)[""]
    assert place in fault.what
    assert hint in fault.remedy


def test_bad_json_shows_nothing_of_the_line(load: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f'{{"smtp": {{"password": "{SECRET}",}}}}')
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe{", "not UTF-8"),
        (b"[]", "a list, not an object"),
        (b"null", "null, not an object"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{" + b" " * 1_000_001 + b"}", "larger than 1 MB"),
    ],
    ids=["nothing", "space", "utf-16", "list", "null", "deep", "large"],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    assert what in caught.value.faults[0].what


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert load_settings(path, {}) == Settings()


def test_a_key_that_stands_twice_is_refused(faults: Any) -> None:
    text = '{"logging": {"level": "INFO", "level": "DEBUG"}}'
    assert "twice" in faults(text)["level"].what


def test_a_number_of_ten_thousand_digits_is_refused(faults: Any) -> None:
    found = faults('{"logging": {"retention_days": ' + "9" * 10_000 + "}}")
    assert "not a finite number" in found["logging.retention_days"].what


def test_the_file_is_searched_in_the_documented_order(tmp_path: Path) -> None:
    places = [tmp_path / "given.json", tmp_path / "variable.json", Path("config.json")]
    environ = {"BTC_SCANNER_CONFIG": str(places[1])}
    assert find_config(None, {}) is None
    config_place.SYSTEM_CONFIG.write_text("{}")
    assert find_config(None, {}) == config_place.SYSTEM_CONFIG
    for place in places:
        place.write_text("{}")
    assert find_config(None, {}) == Path("config.json")
    assert find_config(None, environ) == places[1]
    assert find_config(places[0], environ) == places[0]
    assert find_config(None, {"BTC_SCANNER_CONFIG": ""}) == Path("config.json")


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config does not exist"):
        load_settings(tmp_path / "no.json", {})
    with pytest.raises(ConfigError, match="variable BTC_SCANNER_CONFIG does not exist"):
        load_settings(None, {"BTC_SCANNER_CONFIG": str(tmp_path / "no.json")})


# --- environment and secret files -------------------------------------------------------------


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


# --- secrets ----------------------------------------------------------------------------------


def test_masked_settings_say_what_is_set_and_not_to_what(load: Any) -> None:
    values = {
        "redis": {"url": f"redis://me:{SECRET}@h/0"},
        "smtp": {**SMTP, "user": "me", "password": SECRET},
        "telegram": {"bot_token": f"1:{SECRET}"},
    }
    settings = load(values)
    masked = settings.masked()
    assert masked["smtp"]["password"] == "********"
    assert masked["telegram"]["bot_token"] == "********"
    assert masked["redis"]["url"] == "redis://me:********@h/0"
    assert Settings().masked()["telegram"]["bot_token"] == ""
    assert SECRET in settings.secrets()
    for text in (json.dumps(masked), repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in text


def test_the_url_of_the_watchman_is_a_secret_and_may_have_a_query(load: Any) -> None:
    url = f"https://watch.example.com/ping/{SECRET}?x=1"
    settings = load({"health": {"ping_url": url}})
    assert settings.health.ping_url.get_secret_value() == url
    assert settings.masked()["health"]["ping_url"] == "********"
    assert url in settings.secrets()
    assert SECRET not in repr(settings)


def test_quiet_hours_may_be_one_span_or_several(load: Any) -> None:
    for given in ("22:00-07:00", ["22:00-07:00"]):
        assert load({"notifier": {"quiet_hours": given}}).notifier.quiet_hours == ("22:00-07:00",)


def test_a_password_in_the_query_of_a_redis_url_is_masked(load: Any) -> None:
    settings = load({"redis": {"url": f"unix:///run/r.sock?db=1&password={SECRET}"}})
    assert settings.masked()["redis"]["url"] == "unix:///run/r.sock?db=1&password=********"
    assert SECRET in settings.secrets()


@pytest.mark.parametrize("form", ["redis+sentinel://me:{}@s1:26379,s2/mymaster",
                                  "redis+sentinel://s1,s2/mymaster?sentinel_password={}",
                                  "rediss+cluster://me:{}@[::1]:7000,[::2]:7000"])  # fmt: skip
def test_the_password_of_several_hosts_is_a_secret(load: Any, form: str) -> None:
    settings = load({"redis": {"url": form.format(SECRET)}})
    assert settings.masked()["redis"]["url"] == form.format("********")
    assert SECRET in settings.secrets()


def test_a_bot_token_in_place_of_a_key_is_not_shown(load: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"telegram": {f"123:{SECRET}": 1}})
    assert SECRET not in str(caught.value)


# --- the reference ----------------------------------------------------------------------------


def _documented() -> dict[str, tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    section = ""
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| `") and section in Settings.model_fields:
            key, default, meaning = (cell.strip() for cell in line.strip("|").split(" | ", 2))
            rows[f"{section}.{key.strip('` ')}"] = (default, meaning.strip(" |"))
    return rows


def test_the_reference_names_every_key_its_default_and_its_meaning() -> None:
    expected = {}
    for name, section in module._SECTIONS.items():
        for key, info in section.model_fields.items():
            default = "*required*"
            if not info.is_required():
                value = info.get_default(call_default_factory=True)
                value = getattr(value, "get_secret_value", lambda v=value: v)()
                default = f"`{json.dumps(value)}`"
            expected[f"{name}.{key}"] = (default, info.description)
    assert _documented() == expected


# --- timeframes -------------------------------------------------------------------------------


def test_lengths_and_order_of_timeframes() -> None:
    assert timeframe.interval_ms("1m") == 60_000
    assert timeframe.interval_ms("1d") == 86_400_000
    assert timeframe.longest_first(["1m", "1h", "5m", "1m"]) == ("1h", "5m", "1m")
    assert timeframe.longest_first(reversed(timeframe.NAMES)) == timeframe.NAMES[::-1]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("60m", "1h"),
        ("24h", "1d"),
        ("5M", "5m"),
        ("5min", "5m"),
        ("h", "1h"),
        ("1w", "1m"),
        ("?", None),
    ],
)
def test_an_unknown_timeframe_names_its_near_miss(name: str, near: str | None) -> None:
    with pytest.raises(timeframe.UnknownTimeframe) as caught:
        timeframe.interval_ms(name)
    assert caught.value.near == near or (name == "1w" and caught.value.near in timeframe.NAMES)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("BTC_SCANNER")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__SYMBOL", "ETH/BTC")
    exchange = load_settings().exchange
    assert (exchange.market, exchange.base, exchange.quote) == ("ETHBTC", "ETH", "BTC")
