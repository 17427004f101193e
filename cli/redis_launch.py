"""One Redis server as our child: its folder, its start, its first answer, its end.

What waits yields how long to wait before looking again, so that callers may sleep as they like.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from cli.processes import bound
from cli.redis_binary import Binary, RedisUnavailable

# sockaddr_un holds 108 bytes with the final NUL on Linux, 104 on macOS.
LONGEST_SOCKET_PATH = 103
# From start to the first answer; loading a large file afterwards may take as long as it takes.
FIRST_ANSWER_S = 15.0
POLL_S = 0.02
STOP_S = 5.0
# A server whose parent was killed needs a moment to write its file and go.
PREDECESSOR_S = 5.0
_TRIES_FOR_A_PORT = 5


@dataclass(slots=True)
class Launch:
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


def opening(launch: Launch) -> Iterator[float]:
    """Start the server and yield how long to wait before looking again, until it answers."""
    try:
        launch.directory = launch.directory.absolute()
        launch.directory.mkdir(parents=True, exist_ok=True)
        launch.directory.chmod(0o700)
        yield from _locking(launch)
        if len(os.fsencode(launch.socket)) > LONGEST_SOCKET_PATH:
            launch.socket_folder = Path(tempfile.mkdtemp(prefix="btc-scanner-"))
        for tries_left in reversed(range(_TRIES_FOR_A_PORT)):
            spawn(launch)
            yield from until_answering(launch)
            if launch.process is not None and launch.process.poll() is None:
                break
            if not (launch.tcp and tries_left and "Address already in use" in _new_log(launch)):
                raise RedisUnavailable(why_it_ended(launch))
        _publish_url(launch)
    except OSError as error:
        place = error.filename or launch.directory
        raise RedisUnavailable(
            f"Redis cannot keep its data in {launch.directory}: {place}: {error.strerror}"
        ) from error


def _locking(launch: Launch) -> Iterator[float]:
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


def spawn(launch: Launch) -> None:
    """Start the process; whether it answers is another matter."""
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


def until_answering(launch: Launch) -> Iterator[float]:
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


def _ping(launch: Launch) -> bytes:
    with socket.socket(socket.AF_INET if launch.tcp else socket.AF_UNIX) as peer:
        peer.settimeout(0.2)
        try:
            peer.connect(("127.0.0.1", launch.port) if launch.tcp else str(launch.socket))
            peer.sendall(b"PING\r\n")
            return peer.recv(64)
        except OSError:
            return b""


def _new_log(launch: Launch) -> str:
    with suppress(OSError), launch.log.open("rb") as log:
        log.seek(launch.logged_before)
        return log.read().decode("utf-8", "replace")
    return ""


def why_it_ended(launch: Launch) -> str:
    """In words, from its log."""
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


def _publish_url(launch: Launch) -> None:
    """Tell ``running_url`` where the server listens, and beside its socket that it is ours."""
    for folder in {launch.directory, launch.socket.parent}:
        path = folder / "url"
        path.touch(mode=0o600)
        path.write_text(launch.url + "\n", encoding="utf-8")


def closing(launch: Launch) -> Iterator[float]:
    """Ask the server to end, and yield how long to wait before looking again."""
    process = launch.process
    if process is None or process.poll() is not None:
        return
    process.terminate()
    give_up = time.monotonic() + STOP_S
    while process.poll() is None and time.monotonic() < give_up:
        yield POLL_S


def clean_up(launch: Launch) -> None:
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
