"""Who can read a configuration that holds a secret, and what is said of it."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.configuration import ConfigError, holds_secret, load_settings
from shared.file_access import is_open_to_others

TELEGRAM = {"telegram": {"enabled": True, "bot_token": "42:secret", "chat_id": "1"}}


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody can enter; pytest's own is private."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def write(folder: Path, values: object, mode: int) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)]
)
def test_only_what_others_may_read_is_open(public: Path, mode: int, is_open: bool) -> None:
    assert is_open_to_others(write(public, {}, mode)) is is_open


def test_a_private_folder_keeps_others_out(public: Path) -> None:
    private = public / "private"
    private.mkdir(mode=0o750)
    assert not is_open_to_others(write(private, {}, 0o644))


def test_a_link_is_judged_by_what_it_leads_to(public: Path) -> None:
    private = public / "private"
    private.mkdir(mode=0o700)
    link = public / "link.json"
    link.symlink_to(write(private, {}, 0o644))
    assert not is_open_to_others(link)


def test_what_is_not_there_is_not_open(public: Path) -> None:
    assert not is_open_to_others(public / "none.json")


def test_an_open_file_with_a_secret_is_refused_with_the_remedy(public: Path) -> None:
    path = write(public, TELEGRAM, 0o644)
    with pytest.raises(ConfigError) as refused:
        load_settings(path, {})
    assert f"chmod 600 {path}" in str(refused.value)
    assert "every user of this machine can read it" in str(refused.value)
    assert "42:secret" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_closed_file_with_a_secret_is_fine(public: Path, mode: int) -> None:
    assert load_settings(write(public, TELEGRAM, mode), {}).telegram.enabled


def test_an_open_file_without_a_secret_is_fine(public: Path) -> None:
    path = write(public, {"telegram": {"enabled": True, "chat_id": "1"}}, 0o644)
    assert load_settings(path, {"TELEGRAM_BOT_TOKEN": "42:secret"}).telegram.enabled


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ({"smtp": {"password": "hunter2"}}, True),
        ({"telegram": {"bot_token": "42:x"}}, True),
        ({"redis": {"url": "redis://:hunter2@host/0"}}, True),
        ({"redis": {"url": "redis://user:hunter2@host/0"}}, True),
        ({"redis": {"url": "redis://user@host/0"}}, False),
        ({"redis": {"password": "hunter2"}}, True),
        ({"redis": {"url": "redis+sentinel://a,b/main?sentinel_password=hunter2"}}, True),
        ({"redis": {"url": "redis://127.0.0.1:6379/0"}}, False),
        ({"health": {"ping_url": "https://example.com/ping/0123"}}, True),
        ({"redis": {"url": "unix:///run/btc-scanner/redis.sock"}}, False),
        ({"smtp": {"password": "your-password"}}, False),
        ({"smtp": {"password": ""}, "telegram": None, "redis": []}, False),
        ({}, False),
    ],
)
def test_what_counts_as_a_secret(values: dict[str, object], holds: bool) -> None:
    assert holds_secret(values) is holds
