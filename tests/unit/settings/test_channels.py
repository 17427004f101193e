"""The sections ``smtp`` and ``telegram``."""

from typing import Any

from tests.unit.settings.refused import Row, each, refuses
from tests.unit.settings.samples import SMTP, TELEGRAM


def test_one_recipient_is_a_list_of_one(load: Any) -> None:
    telegram = {"enabled": True, "bot_token": "1:x", "chat_id": -1001234567890}
    settings = load({"smtp": SMTP, "telegram": telegram})
    assert settings.smtp.to_email == ("b@example.org",)
    assert settings.telegram.chat_id == ("-1001234567890",)
    assert settings.channels == ("email", "telegram")


def test_a_sender_may_have_a_name(load: Any) -> None:
    assert load({"smtp": {**SMTP, "from_email": "BTC Scanner <a@example.org>"}})


def test_a_placeholder_matters_only_once_telegram_is_enabled(load: Any, faults: Any) -> None:
    section = {"bot_token": "your-token", "chat_id": "your-chat"}
    load({"telegram": {**section, "enabled": False}})
    assert set(faults({"telegram": {**section, "enabled": True}})) == {
        "telegram.bot_token",
        "telegram.chat_id",
    }


REFUSED: list[Row] = [
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
]


@each(REFUSED)
def test_is_refused(faults: Any, values: object, path: str, what: str, near: str) -> None:
    refuses(faults, values, path, what, near)
