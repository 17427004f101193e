"""Which secrets a configuration holds, and where values come from, as the doctor learns it."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared import config_draft, config_place
from shared.configuration import examine

SMTP = {"server": "h", "from_email": "a@b", "to_email": "c@d", "user": "me", "password": "p"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_place, "SYSTEM_CONFIG", tmp_path / "etc.json")
    monkeypatch.setattr(config_draft, "DOCKER_SECRETS", tmp_path / "none")


@pytest.mark.parametrize(
    ("values", "held"),
    [
        ({}, ()),
        ({"smtp": SMTP}, ("smtp.password",)),
        ({"smtp": {**SMTP, "user": "", "password": ""}}, ()),
        ({"telegram": {"bot_token": "1:a", "chat_id": "5"}}, ("telegram.bot_token",)),
        ({"redis": {"url": "redis://h:6379/0"}}, ()),
        ({"redis": {"url": "unix:///run/redis.sock"}}, ()),
        ({"redis": {"url": "redis://user@h:6379/0"}}, ()),
        ({"redis": {"url": "redis://:p@h:6379/0"}}, ("redis.url",)),
        ({"redis": {"url": "unix:///run/redis.sock?password=p"}}, ("redis.url",)),
        ({"redis": {"url": "redis+sentinel://u:p@h/m"}}, ("redis.url",)),
        ({"redis": {"url": 5}, "smtp": "p", "telegram": {"bot_token": ["x"]}}, ()),
    ],
)
def test_secrets_in_the_file_are_found(values: Any, held: tuple[str, ...]) -> None:
    path = Path("config.json")
    path.write_text(json.dumps(values))
    assert examine(path, {}).in_file == held


def test_a_variable_wins_and_the_secret_in_the_file_is_still_known() -> None:
    path = Path("config.json")
    path.write_text(json.dumps({"smtp": SMTP}))
    found = examine(path, {"SMTP_PASSWORD": "other"})
    assert found.in_file == ("smtp.password",)
    assert found.origins == {"smtp.password": "variable SMTP_PASSWORD"}
    assert found.settings.smtp is not None
    assert found.settings.smtp.password.get_secret_value() == "other"


def test_what_is_right_applies_beside_what_is_wrong() -> None:
    path = Path("config.json")
    path.write_text(json.dumps({"exchange": {"symbol": "ETH/USDT", "silence_seconds": "x"}}))
    found = examine(path, {})
    assert [fault.path for fault in found.faults] == ["exchange.silence_seconds"]
    assert (found.settings.exchange.symbol, found.settings.exchange.silence_seconds) == (
        "ETH/USDT", 30.0,
    )  # fmt: skip


def test_neither_a_missing_nor_an_unreadable_file_raises() -> None:
    assert examine(None, {}).faults == ()
    assert examine(None, {}).readable
    missing = examine(Path("nowhere.json"), {})
    assert (missing.path, missing.readable, len(missing.faults)) == (None, False, 1)
    Path("config.json").write_text("{")
    assert not examine(Path("config.json"), {}).readable
