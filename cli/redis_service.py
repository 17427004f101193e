"""``python -m cli.redis_service``: the Redis of an installed scanner, as a service of its own.

Runs the server as a child with our arguments (append-only file, no eviction, a Unix socket and no
port), and tells the supervisor what the server itself cannot: that it still answers. Uses the
standard library alone, since it stays in memory for as long as the server.

Where the supervisor hands over the file of the users (``users.acl``), the server lets in only them,
and is asked how it is as one of them, with the password in ``operator_password``.
"""

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from cli.processes import bound
from shared.sd_notify import Supervisor

ASK_EVERY_S = 5.0
_FIRST_ASK_EVERY_S = 0.1
_ANSWER_S = 3.0
_STOP_S = 20.0
_LARGEST_ANSWER = 100_000
_LET_IN = b"+OK\r\n"


def main() -> int:
    """Serve until SIGTERM or the server's own end; its exit code."""
    arguments = _parser().parse_args()
    supervisor = Supervisor()
    started = command(arguments.server, arguments.socket, arguments.dir, arguments.maxmemory)
    login = b""
    if users := credential("users.acl"):
        started += ["--aclfile", str(users)]
        login = login_with(credential("operator_password"))
    server = subprocess.Popen(  # noqa: S603 - the operator names the program
        bound(started),
        stdin=subprocess.DEVNULL,
        # It refuses to start under a locale that is not installed.
        env={**_without(os.environ, "NOTIFY_SOCKET", "WATCHDOG_USEC"), "LC_ALL": "C"},
    )
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        supervisor.stopping()
        server.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    ready = False
    while not stopping and server.poll() is None:
        answer = ask(arguments.socket, login)
        if answer and not ready and not stopping:
            supervisor.ready()
            ready = True
        if not stopping:
            supervisor.tell(said(answer), alive=bool(answer))
        _wait(server, ASK_EVERY_S if ready else _FIRST_ASK_EVERY_S)
    return _end(server, stopping=stopping)


def _without(environ: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: text for name, text in environ.items() if name not in names}


def command(server: Path, path: Path, directory: Path, maxmemory: str) -> list[str]:
    """How the server is started."""
    return [
        str(server),
        *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "770"),
        *("--dir", str(directory), "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--save", "", "--maxmemory", maxmemory, "--maxmemory-policy", "noeviction"),
        *("--daemonize", "no", "--logfile", ""),
    ]


def credential(name: str) -> Path | None:
    """A file that the supervisor hands over, if it does."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "", name)
    return path if folder and path.exists() else None


def login_with(password: Path | None) -> bytes:
    """The command by which the server is told who asks; empty without a password."""
    if password is None:
        return b""
    parts = (b"AUTH", b"operator", password.read_bytes().strip())
    return b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def ask(path: Path, login: bytes = b"") -> str:
    """What the server says of itself; "" if it says nothing in time."""
    deadline = time.monotonic() + _ANSWER_S
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(_ANSWER_S)
            peer.connect(str(path))
            peer.sendall(login + b"INFO\r\n")
            while not _is_whole(answer) and len(answer) < _LARGEST_ANSWER:
                peer.settimeout(max(0.001, deadline - time.monotonic()))
                piece = peer.recv(65536)
                if not piece:
                    return ""
                answer = (answer + piece).removeprefix(_LET_IN)
    except OSError:
        return ""
    return answer.decode("utf-8", "replace")


def _is_whole(answer: bytes) -> bool:
    head, found, rest = answer.partition(b"\r\n")
    if not found:
        return False
    size = head[1:]
    return not head.startswith(b"$") or not size.isdigit() or len(rest) >= int(size)


def said(answer: str) -> str:
    """An answer to INFO as one line for people."""
    if not answer:
        return "the server does not answer"
    if answer.startswith("-"):
        return f"the server says: {answer[1:].strip()}"
    facts = _facts(answer)
    name = facts.get("server_name", "redis").capitalize()
    version = facts.get("valkey_version") or facts.get("redis_version", "")
    parts = [f"{name} {version}"]
    if facts.get("loading", "0") != "0":
        parts.append("loading its data")
    parts.append(f"{facts.get('used_memory_human', '?')} of {facts.get('maxmemory_human', '?')}")
    parts.append(f"{facts.get('connected_clients', '?')} clients")
    if facts.get("aof_last_write_status", "ok") != "ok":
        parts.append("its last write to the disk FAILED: is the disk full?")
    return "; ".join(parts)


def _facts(answer: str) -> Mapping[str, str]:
    lines = (line.partition(":") for line in answer.splitlines())
    return {name: value for name, found, value in lines if found}


def _wait(server: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait, but not beyond the server's end. (``wait`` with a timeout wakes 20 times a second.)"""
    handle = os.pidfd_open(server.pid)
    try:
        select.select([handle], [], [], seconds)
    finally:
        os.close(handle)


def _end(server: "subprocess.Popen[bytes]", *, stopping: bool) -> int:
    if server.poll() is None:
        _wait(server, _STOP_S)
    if server.poll() is None:
        server.kill()
        server.wait()
    if stopping:
        return 0
    print(f"<3>the server ended with code {server.returncode}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cli.redis_service")
    parser.add_argument("--server", type=Path, required=True, help="the server program")
    parser.add_argument("--socket", type=Path, required=True, help="where it listens")
    parser.add_argument("--dir", type=Path, required=True, help="where its data stays")
    parser.add_argument("--maxmemory", default="256mb", help="above it, writes are refused")
    return parser


if __name__ == "__main__":
    sys.exit(main())
