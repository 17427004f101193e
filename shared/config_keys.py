"""The keys of a configuration: which there are, their environment variables, and the secrets."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

from pydantic import SecretStr

from shared import config_errors as errors
from shared.config_text import whole
from shared.settings import Section, Settings, Smtp

PREFIX = "BTC_SCANNER__"
# Each is the name of an environment variable, and in small letters that of a secret file.
SECRET_NAMES = MappingProxyType(
    {
        "REDIS_PASSWORD": ("redis", "password"),
        "SMTP_PASSWORD": ("smtp", "password"),
        "TELEGRAM_BOT_TOKEN": ("telegram", "bot_token"),
        "TELEGRAM_CHAT_ID": ("telegram", "chat_id"),
    }
)
# How the secrets of config.example.json begin.
_PLACEHOLDER = "your-"


def _section_of(annotation: object) -> type[Section]:
    return Smtp if annotation == (Smtp | None) else cast("type[Section]", annotation)


SECTIONS: dict[str, type[Section]] = {
    name: _section_of(info.annotation) for name, info in Settings.model_fields.items()
}
KEYS = {name: tuple(section.model_fields) for name, section in SECTIONS.items()}
VARIABLES = {
    f"{PREFIX}{name}__{key}".upper(): (name, key) for name, keys in KEYS.items() for key in keys
}
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True}
_TRUTHS |= {"false": False, "no": False, "off": False, "0": False}


def shape_of(section: str, key: str) -> str:
    """What an environment variable must hold: text, list, truth or json."""
    return errors.shape(SECTIONS[section].model_fields[key])


def decode(section: str, key: str, text: str) -> object:
    """The value that a variable's text stands for; text that fits nothing stays, and is refused."""
    shape = shape_of(section, key)
    if shape == "text":
        return text
    if shape == "truth":
        return _TRUTHS.get(text.strip().lower(), text)
    if shape == "list" and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return json.loads(text, parse_int=whole)
    except (ValueError, RecursionError):
        return text


def secrets_in(values: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a configuration that hold a secret, other than those of the example."""
    for name, section in SECTIONS.items():
        given = values.get(name)
        for key, info in section.model_fields.items():
            text = given.get(key) if isinstance(given, dict) else None
            if info.annotation is SecretStr and isinstance(text, str) and _is_secret(text):
                yield f"{name}.{key}"


def _is_secret(text: str) -> bool:
    """Whether the value of a secret key says anything: a URL of Redis may hold no password."""
    if not text.startswith(("redis", "unix:")) or "://" not in text:
        return bool(text.strip()) and not text.strip().startswith(_PLACEHOLDER)
    login, at, _ = text.partition("@")
    return bool(at and ":" in login.partition("//")[2]) or "password=" in text
