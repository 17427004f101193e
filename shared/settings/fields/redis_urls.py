"""The URL of Redis: which forms it may have, and the passwords in it."""

import re
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, SecretStr

from shared.config_errors import Wrong
from shared.redis_address import SCHEMES, BadAddress, names_several, read_address
from shared.settings.fields.urls import split_url

MASK = "********"


def _redis_url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text:
        return secret
    if names_several(text):
        _several_hosts(text)
        return secret
    parts = split_url(text, ("redis", "rediss", *SCHEMES, "unix"), "redis://localhost:6379")
    if parts.fragment:
        raise Wrong("contains a #", "write a # in the password as %23")
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or len(parts.path) < 2:
            raise Wrong("has no absolute path of a socket", "like unix:///run/redis/redis.sock")
        return secret
    if not parts.hostname:
        raise Wrong("has no host", "write it like redis://host:6379/0")
    if not re.fullmatch(r"(/[0-9]{0,4})?", parts.path):
        raise Wrong("names a database that is not a number", "end it with /0")
    return secret


def _several_hosts(text: str) -> None:
    try:
        read_address(text)
    except BadAddress as bad:
        raise Wrong(bad.what, bad.advice) from None


def password_in(url: str) -> str:
    """The password before the host; empty if there is none."""
    return (read_address(url).password if names_several(url) else urlsplit(url).password) or ""


def passwords_in(url: str) -> list[str]:
    """Each text in a URL that may be a password."""
    _, _, query = url.partition("?")
    found = [value for key, value in parse_qsl(query) if "pass" in key.lower()]
    return [password_in(url), *found]


def masked_url(text: str) -> str:
    """The Redis URL with its password replaced, in the authority and in the query."""
    text = re.sub(r"^([a-z+]+://[^:/?#@]*:)[^/?#]*@", rf"\1{MASK}@", text)
    return re.sub(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*", rf"\1{MASK}", text)


RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
