"""``btc-scanner redis-acl``: users for Redis, each of which may only do what its service does."""

import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from redis.exceptions import RedisError

from cli import EXIT_FAILURE
from shared.configuration import load_settings
from shared.redis_access import RedisAccess
from shared.redis_acl import USERS, acl_file, line_of
from shared.redis_remedies import remedy, shown_url

# Its name says to the settings what it is: see ``shared.configuration.SECRET_NAMES``.
PASSWORD_FILE = "redis_password"  # noqa: S105
_BYTES = 32
_RELOAD_S = 5.0


def run(passwords: Path | None, out: Path | None, *, as_json: bool) -> int:
    """Print the users, or write them to ``out``.

    Args:
        passwords: A folder that keeps each user's password, ``<user>/redis_password``; the users
            are then told to Redis by hashes only. None: new passwords, told with the users.
        out: The ACL file to write.
        as_json: Print user → password and rules.
    """
    kept = made() if passwords is None else kept_in(passwords)
    if as_json:
        rules = {user: line_of(user, f">{kept[user]}") for user in USERS}
        found = {user: {"password": kept[user], "rules": rules[user]} for user in USERS}
        print(json.dumps(found, indent=2))
        return 0
    text = acl_file(kept, hashed=passwords is not None)
    if out is None:
        print(text, end="")
        return 0
    _replace(out, text)
    print(f"{out}: {', '.join(USERS)}")
    return 0


def made() -> dict[str, str]:
    """A new password for each user."""
    return {user: secrets.token_urlsafe(_BYTES) for user in USERS}


def kept_in(folder: Path) -> Mapping[str, str]:
    """The passwords in the folder, made where there is none."""
    found = {}
    for user, fresh in made().items():
        place = folder / user
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = place / PASSWORD_FILE
        if not path.exists():
            _create(path, fresh)
        found[user] = path.read_text(encoding="utf-8").strip()
    return found


def reload(config: Path | None) -> int:
    """Make a Redis that runs already read its users again; one that does not run will anyway."""
    return asyncio.run(_reload(load_settings(config).redis.effective_url))


async def _reload(url: str) -> int:
    access = RedisAccess(url, name="setup")
    try:
        async with asyncio.timeout(_RELOAD_S):
            await access.client.execute_command("ACL", "LOAD")  # type: ignore[no-untyped-call]
    except TimeoutError:
        print(f"Redis at {shown_url(url)} does not answer; it reads the users when it starts.")
        return 0
    except (RedisError, OSError) as error:
        said = remedy(error, url) or f"Redis at {shown_url(url)} says: {error}"
        if "cannot be reached" in said:
            print("No Redis runs yet; it reads the users when it starts.")
            return 0
        print(f"{said}\nThe Redis that runs has other users: restart it.")
        return EXIT_FAILURE
    finally:
        with suppress(RedisError, OSError):
            await access.close()
    print(f"Redis at {shown_url(url)} has read its users again.")
    return 0


def _create(path: Path, text: str) -> None:
    """Write a new file whole, or leave that of somebody who was faster."""
    temporary = _written(path, text)
    try:
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _replace(path: Path, text: str) -> None:
    _written(path, text).replace(path)


def _written(path: Path, text: str) -> Path:
    """A file beside ``path`` with ``text``, for its owner and his group."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}-")
    with open(handle, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o640)
        file.write(text if text.endswith("\n") else f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
