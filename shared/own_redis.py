"""The login at the Redis that belongs to an installation.

Each service there has a Redis user of its own, while all share one configuration file. So the login
comes from outside of it, and counts only where ``redis.url`` names that very server, or none: a
Redis elsewhere is logged in to as the configuration says.
"""

import os
from collections.abc import Mapping
from pathlib import Path

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
    url = _with_login(own, {} if redis is None else redis) if own else None
    if url is None:
        return None
    password = environ.get(PASSWORD_VARIABLE, "").strip() or _in_file(environ)
    return (url, password) if password else None


def _with_login(own: str, redis: object) -> str | None:
    """The configured URL as this process's own; None if it is that of another server or user."""
    if not isinstance(redis, Mapping) or redis.get("password"):
        return None
    url = redis.get("url") or own
    address, mark, options = url.partition("?") if isinstance(url, str) else ("", "", "")
    scheme, _, rest = own.partition("://")
    if address not in (own, f"{scheme}://{rest.rpartition('@')[2]}") or "password=" in options:
        return None
    return f"{own}{mark}{options}"


def _in_file(environ: Mapping[str, str]) -> str:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "", PASSWORD_VARIABLE.lower())
    if not folder or not os.path.lexists(path):
        return ""
    return path.read_text(encoding="utf-8").strip()
