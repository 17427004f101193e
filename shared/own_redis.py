"""The login at the Redis that belongs to an installation.

Each service there has a Redis user of its own, while all share one configuration file. So the login
comes from outside of it, and counts only where ``redis.url`` names that very server, or none: a
Redis elsewhere is logged in to as the configuration says.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWN_REDIS_VARIABLE = "BTC_SCANNER_OWN_REDIS"
"""Its URL with the user, like ``unix://ingest@/run/btc-scanner/redis.sock``."""
PASSWORD_VARIABLE = "OWN_REDIS_PASSWORD"  # noqa: S105 - its name
VARIABLES = (OWN_REDIS_VARIABLE, PASSWORD_VARIABLE)


def own_login(redis: object, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """URL and password of this process at the installation's Redis; None where they do not count.

    Args:
        redis: What is configured so far under ``redis``.

    Raises: OSError, UnicodeDecodeError, if there is a password that cannot be read.
    """
    own = environ.get(OWN_REDIS_VARIABLE, "")
    if not own or not _is_meant(own, {} if redis is None else redis):
        return None
    password = environ.get(PASSWORD_VARIABLE, "").strip() or _in_file(environ)
    return (own, password) if password else None


def _is_meant(own: str, redis: object) -> bool:
    if not isinstance(redis, Mapping):
        return False
    values: Mapping[str, Any] = redis
    scheme, _, rest = own.partition("://")
    without_login = f"{scheme}://{rest.rpartition('@')[2]}"
    return values.get("url", "") in ("", without_login) and not values.get("password")


def _in_file(environ: Mapping[str, str]) -> str:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "", PASSWORD_VARIABLE.lower())
    if not folder or not os.path.lexists(path):
        return ""
    return path.read_text(encoding="utf-8").strip()
