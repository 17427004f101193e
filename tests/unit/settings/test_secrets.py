"""No secret ever shows."""

import json
from typing import Any

import pytest

from shared.config_errors import ConfigError
from shared.settings import Settings
from tests.unit.settings.samples import SECRET, SMTP


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
