"""The file: what is none, where it is searched, and what a mistake in it is called."""

from pathlib import Path
from typing import Any

import pytest

from shared import config_place
from shared.config_errors import ConfigError
from shared.configuration import find_config, load_settings
from shared.settings import Settings
from tests.unit.settings.samples import SECRET


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
