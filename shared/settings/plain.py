"""The settings as JSON has them, with or without the secrets."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, SecretStr

from shared.settings.fields.redis_urls import MASK, masked_url
from shared.settings.storage import Redis


def plain_value(value: object, *, reveal: bool) -> object:
    """A section or value as JSON types; secrets in clear only with ``reveal``."""
    if isinstance(value, BaseModel):
        names = type(value).model_fields
        plain = {name: plain_value(getattr(value, name), reveal=reveal) for name in names}
        if isinstance(value, Redis) and not reveal:
            plain["url"] = masked_url(value.url.get_secret_value())
        return plain
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return text if reveal or not text else MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
