"""The Redis of an installed scanner: what it listens on, what it tells, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from cli import redis_service
from cli.redis_acl_command import made
from cli.redis_binary import find_server
from shared.redis_acl import acl_file
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


class Service:
    """``python -m cli.redis_service`` under a supervisor's socket."""

    def __init__(self, folder: Path, server: Path | str, **environ: str) -> None:
        self.path, self.data = folder / "redis.sock", folder / "data"
        self.data.mkdir(exist_ok=True)
        notify = folder / "notify"
        notify.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(notify))
        self.socket.settimeout(20)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "cli.redis_service", "--server", str(server)),
                *("--socket", str(self.path), "--dir", str(self.data)),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(notify),
                "WATCHDOG_USEC": "60000000",
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def until(self, wanted: bytes) -> bytes:
        """The first datagram that holds this."""
        while wanted not in (said := self.socket.recv(4096)):
            pass
        return said

    def server_pid(self) -> int:
        return int(Redis(unix_socket_path=str(self.path)).info("server")["process_id"])

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, bytes]:
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    started = Service(tmp_path, find_server().path)
    yield started
    started.process.terminate()
    started.process.communicate(timeout=20)
    started.socket.close()


def test_it_is_ready_when_it_answers_and_says_what_it_is(service: Service) -> None:
    service.until(b"READY=1")
    assert Redis(unix_socket_path=str(service.path)).ping()
    said = service.until(b"WATCHDOG=1").decode()
    assert " of 256.00M; " in said
    assert " clients" in said


def test_it_keeps_what_it_was_told_and_listens_on_no_port(service: Service) -> None:
    service.until(b"READY=1")
    client = Redis(unix_socket_path=str(service.path))
    asked = client.config_get("port", "appendonly", "maxmemory-policy", "save")  # type: ignore[call-arg]
    assert json.loads(json.dumps(asked)) == {
        "port": "0", "appendonly": "yes", "maxmemory-policy": "noeviction", "save": "",
    }  # fmt: skip
    assert service.path.stat().st_mode & 0o777 == 0o770


def test_its_data_outlives_it(tmp_path: Path, service: Service) -> None:
    service.until(b"READY=1")
    Redis(unix_socket_path=str(service.path)).set("kept", "yes")
    assert service.end()[0] == 0
    again = Service(tmp_path, find_server().path)
    try:
        again.until(b"READY=1")
        assert Redis(unix_socket_path=str(again.path)).get("kept") == b"yes"
    finally:
        again.end()
        again.socket.close()


def test_with_users_it_lets_in_nobody_else_and_still_tells_how_it_is(tmp_path: Path) -> None:
    given, passwords = tmp_path / "credentials", made()
    given.mkdir()
    (given / "users.acl").write_text(acl_file(passwords, hashed=True))
    (given / "operator_password").write_text(f"{passwords['operator']}\n")
    service = Service(tmp_path, find_server().path, CREDENTIALS_DIRECTORY=str(given))
    try:
        service.until(b"READY=1")
        assert " of 256.00M; " in service.until(b"WATCHDOG=1").decode()
        with pytest.raises(AuthenticationError):
            Redis(unix_socket_path=str(service.path)).ping()
        url = f"unix://ingest:{passwords['ingest']}@{service.path}"
        with Redis.from_url(url) as ingest:
            assert ingest.ping()
            with pytest.raises(NoPermissionError):
                ingest.flushall()
    finally:
        assert service.end()[0] == 0
        service.socket.close()


def test_a_wrong_password_of_its_own_is_told(tmp_path: Path) -> None:
    given = tmp_path / "credentials"
    given.mkdir()
    (given / "users.acl").write_text(acl_file(made(), hashed=True))
    (given / "operator_password").write_text("another")
    service = Service(tmp_path, find_server().path, CREDENTIALS_DIRECTORY=str(given))
    try:
        assert b"the server says: WRONGPASS" in service.until(b"WRONGPASS")
    finally:
        service.end()
        service.socket.close()


async def test_it_ends_with_the_server_so_that_both_are_started_again(service: Service) -> None:
    service.until(b"READY=1")
    os.kill(service.server_pid(), signal.SIGKILL)
    await wait_until(lambda: service.process.poll() is not None, "its end")
    assert service.process.returncode == 1


def test_a_server_that_stands_still_is_not_called_alive(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.until(b"READY=1")
    pid = service.server_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert b"WATCHDOG" not in service.until(b"does not answer")
        monkeypatch.setattr(redis_service, "_ANSWER_S", 0.2)
        assert redis_service.ask(service.path) == ""
    finally:
        os.kill(pid, signal.SIGCONT)
    service.until(b"WATCHDOG=1")


def test_a_server_that_is_not_there_ends_it(tmp_path: Path) -> None:
    service = Service(tmp_path, tmp_path / "none")
    said, _ = service.process.communicate(timeout=20)
    service.socket.close()
    assert service.process.returncode == 1
    assert b"none: No such file or directory" in said


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("", "the server does not answer"),
        ("-LOADING loading the dataset in memory\r\n",
         "the server says: LOADING loading the dataset in memory"),
        ("$9\r\nredis_version:7.0.15\r\nloading:1\r\nused_memory_human:1M\r\n"
         "maxmemory_human:256.00M\r\nconnected_clients:9\r\naof_last_write_status:err\r\n",
         "Redis 7.0.15; loading its data; 1M of 256.00M; 9 clients;"
         " its last write to the disk FAILED: is the disk full?"),
    ],
    ids=["silent", "loading", "disk full"],
)  # fmt: skip
def test_what_the_server_says_becomes_a_line(answer: str, line: str) -> None:
    assert redis_service.said(answer) == line
