"""What holds for every configuration: it survives JSON, is refused politely, and keeps secrets."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from shared import config_draft, timeframe
from shared.config_errors import ConfigError
from shared.config_keys import SECTIONS
from shared.configuration import Examined, examine, load_settings
from shared.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def _no_docker_secrets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_draft, "DOCKER_SECRETS", Path("/nonexistent"))
        yield


calmly = effort(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def load(values: object, environ: dict[str, str] | None = None) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(values))
        return load_settings(path, environ or {})


def attempt(
    values: object, environ: dict[str, str] | None = None
) -> tuple[ConfigError | None, Settings | None]:
    try:
        return None, load(values, environ)
    except ConfigError as error:
        return error, None


def seconds(low: float = 0.001, high: float = 86_400) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


# With a letter that nothing else here has, so that none shows by chance.
SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, categories=["L", "N", "P"]),
    min_size=12,
    max_size=40,
).map("§{}".format)
HOSTS = st.from_regex(r"[a-zA-Z0-9_]+(-[a-z0-9]+)?([.][a-z0-9]+){0,2}", fullmatch=True)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
ADDRESSES = st.builds("{}@{}.example.org".format, NAMES, NAMES)


@st.composite
def timeframes(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    shorter = [name for name in timeframe.NAMES if name != "1d"]
    names = draw(st.lists(st.sampled_from(shorter), min_size=1, unique=True))
    trends = {}
    for name in names:
        own = timeframe.interval_ms(name)
        longer = [k for k, ms in timeframe.INTERVALS_MS.items() if ms > own and ms % own == 0]
        trends[name] = draw(st.sampled_from(longer))
    return names, trends


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    names, trends = draw(timeframes())
    fast = draw(st.integers(1, 4999))
    low = draw(st.floats(0, 99.5))
    smtp = {
        "server": draw(HOSTS),
        "port": draw(st.integers(1, 65_535)),
        "user": "me",
        "password": draw(SECRETS),
        "from_email": draw(ADDRESSES),
        "to_email": draw(st.one_of(ADDRESSES, st.lists(ADDRESSES, min_size=1, unique=True))),
        "use_ssl": draw(st.booleans()),
        "timeout_seconds": draw(seconds(high=50)),
    }
    return {
        "exchange": {
            "symbol": draw(st.sampled_from(["BTC/USDT", "ETH/BTC", "1000SATS/FDUSD"])),
            "timeframes": names,
            "history_candles": draw(st.integers(1, 10**8)),
            "silence_seconds": draw(seconds()),
        },
        "indicators": {"ema_fast": fast, "ema_slow": draw(st.integers(fast + 1, 5000))},
        "signal_rules": {
            "rsi_min": low,
            "rsi_max": draw(st.floats(low, 100, exclude_min=True)),
            "max_signal_age_seconds": draw(st.one_of(st.none(), seconds())),
            "trend_timeframes": trends,
        },
        "redis": {"url": draw(st.sampled_from(["", "redis://h:1/2", "unix:///r.sock"]))},
        "streams": {"max_lead": draw(st.integers(1, 4000))},
        "smtp": draw(st.sampled_from([None, smtp])),
        "telegram": {
            "enabled": draw(st.booleans()),
            "bot_token": "1:Qx7-" + draw(st.text("abcXYZ059_-", min_size=8, max_size=40)),
            "chat_id": draw(
                st.one_of(
                    st.integers(1, 10**15),
                    st.lists(st.integers(-(10**15), -1).map(str), min_size=1, unique=True),
                )
            ),
        },
        "logging": {"level": draw(st.sampled_from(["INFO", "debug", "ERROR"]))},
    }


@calmly
@given(configurations())
def test_settings_survive_json(values: dict[str, Any]) -> None:
    settings = load(values)
    assert load(settings.revealed()) == settings
    assert load(load(settings.revealed()).revealed()).revealed() == settings.revealed()


@calmly
@given(configurations())
def test_settings_survive_the_environment(values: dict[str, Any]) -> None:
    settings = load(values)
    environ = {}
    for section, keys in settings.revealed().items():
        for key, value in (keys or {}).items():
            text = value if isinstance(value, str) else json.dumps(value)
            empty = (key, value) == ("ca_file", None)
            environ[f"BTC_SCANNER__{section}__{key}".upper()] = "" if empty else text
    assert load({}, environ) == settings


@calmly
@given(configurations())
def test_no_secret_is_in_what_can_be_printed(values: dict[str, Any]) -> None:
    settings = load(values)
    shown = json.dumps(settings.masked(), ensure_ascii=False) + repr(settings) + str(settings)
    shown += settings.model_dump_json() + repr(settings.smtp) + repr(settings.telegram)
    assert settings.telegram.bot_token.get_secret_value() not in shown
    if settings.smtp:
        assert settings.smtp.password.get_secret_value() not in shown


PLACES = [(name, key) for name, section in SECTIONS.items() for key in section.model_fields]


@calmly
@given(
    configurations(),
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=5, unique=True),
    SECRETS,
    st.sampled_from(["text", "list", "map", "url", "variable", "key"]),
)
def test_a_text_in_any_wrong_place_is_never_repeated(
    values: dict[str, Any], places: list[tuple[str, str]], secret: str, form: str
) -> None:
    forms = {"list": [secret], "map": {"x": secret}, "url": f"redis://u:{secret}@h:x/y"}
    environ = {}
    for section, key in places:
        if form == "variable":
            environ[f"BTC_SCANNER__{section}__{key}".upper()] = secret
        elif form == "key":
            values[section] = (values.get(section) or {}) | {secret: 1}
        else:
            values[section] = (values.get(section) or {}) | {key: forms.get(form, secret)}
    error, settings = attempt(values, environ)
    assert secret not in str(error)
    assert secret not in repr(error)
    if settings:
        assert secret not in repr((settings.redis, settings.telegram.bot_token))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@calmly
@given(st.dictionaries(st.sampled_from(PLACES), JSON, max_size=12))
def test_any_value_anywhere_is_accepted_or_refused_in_our_words(
    values: dict[tuple[str, str], Any],
) -> None:
    tree: dict[str, dict[str, Any]] = {}
    for (section, key), value in values.items():
        tree.setdefault(section, {})[key] = value
    error, settings = attempt(tree)
    if error:
        assert all(fault.path and fault.what for fault in error.faults)
        assert len(str(error).splitlines()) == len(error.faults) + 1
    if settings:
        assert load(settings.revealed()) == settings


@calmly
@given(st.binary(max_size=200))
def test_any_bytes_as_a_file_are_accepted_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(content)
        with contextlib.suppress(ConfigError):
            load_settings(path, {})


def usable(found: Examined) -> None:
    """The doctor may ask for all of it."""
    assert isinstance(found.settings.secrets(), tuple)
    assert found.settings.redis.effective_url
    assert found.settings.channels
    assert found.settings.exchange.ws_hosts


@calmly
@given(st.dictionaries(st.sampled_from(PLACES), JSON, max_size=12))
def test_an_examined_configuration_has_the_faults_of_a_loaded_one_and_is_usable(
    values: dict[tuple[str, str], Any],
) -> None:
    tree: dict[str, dict[str, Any]] = {}
    for (section, key), value in values.items():
        tree.setdefault(section, {})[key] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(tree))
        found = examine(path, {})
    error, settings = attempt(tree)
    assert found.faults == (error.faults if error else ())
    assert found.readable
    assert settings in (None, found.settings)
    usable(found)


@calmly
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_as_a_file_can_be_examined(content: bytes, there: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        if there:
            path.write_bytes(content)
        found = examine(path, {})
    assert found.readable == all(fault.path for fault in found.faults)
    usable(found)
