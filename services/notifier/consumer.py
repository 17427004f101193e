"""The name under which this process reads: the same after a restart, never that of a live process.

A restarted notifier finds its own pending entries under its old name; two that live at once must
not share one, or each would take the other's entry for a leftover of its own. The kernel guards the
name and frees it at death, however sudden: on Linux an abstract Unix socket, elsewhere a file lock.
"""

import contextlib
import hashlib
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

_MOST_ON_ONE_HOST = 1000


class Guard(Protocol):
    """Holds a name until closed."""

    def close(self) -> None:
        """Free the name."""


class _Taken(Exception):
    """A live process has this name."""


@contextlib.contextmanager
def consumer_name(redis_url: str, hostname: str, instance: str) -> Iterator[str]:
    """``<hostname>-<instance>``, or with ``-2``, ``-3``, ... where that is taken; held within."""
    for number in range(1, _MOST_ON_ONE_HOST):
        name = f"{hostname}-{instance}" if number == 1 else f"{hostname}-{instance}-{number}"
        try:
            guard = _hold(_lock_name(redis_url, name))
        except _Taken:
            continue
        try:
            yield name
        finally:
            guard.close()
        return
    raise RuntimeError(f"{_MOST_ON_ONE_HOST} notifiers on {hostname}: is this intended?")


def _lock_name(redis_url: str, consumer: str) -> str:
    # Hashed, because a Unix address holds 107 bytes and the URL may hold a password.
    digest = hashlib.sha256(f"{redis_url}\n{consumer}".encode()).hexdigest()[:32]
    return f"btc-scanner-notifier-{digest}"


def _hold(name: str) -> Guard:
    return _hold_socket(name) if sys.platform.startswith("linux") else _hold_file(name)


def _hold_socket(name: str) -> Guard:
    guard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        guard.bind(f"\0{name}")
    except OSError as error:
        guard.close()
        raise _Taken from error
    return guard


def _hold_file(name: str) -> Guard:
    import fcntl  # noqa: PLC0415 - does not exist everywhere

    guard = (Path(tempfile.gettempdir()) / f"{name}.lock").open("w")
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        guard.close()
        raise _Taken from error
    return guard
