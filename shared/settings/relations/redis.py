"""Relations between the URL of Redis, its password and its certificate authorities."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from shared.settings.fields.redis_urls import password_in
from shared.settings.relations.clash import Clash
from shared.settings.storage import Redis


def redis_clashes(redis: Redis) -> Iterator[Clash]:
    """Of the section ``redis``."""
    url = redis.url.get_secret_value()
    own = url and (password_in(url) or "password" in dict(parse_qsl(url.partition("?")[2])))
    if redis.password.get_secret_value() and own:
        yield Clash(
            ("redis.password", "redis.url"),
            "is set, and redis.url has a password of its own",
            "remove one of them",
        )
    if redis.ca_file is None:
        return
    if not url.startswith("rediss"):
        yield Clash(
            ("redis.ca_file", "redis.url"),
            "is of no use: redis.url is not encrypted",
            "write rediss:// in redis.url, or remove ca_file",
        )
    elif "ssl_ca_certs=" in url:
        yield Clash(
            ("redis.ca_file", "redis.url"),
            "is set, and redis.url has ssl_ca_certs",
            "remove one of them",
        )
