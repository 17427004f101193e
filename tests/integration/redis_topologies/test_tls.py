"""TLS to Redis: with the right authority it works, without it a person is told why."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from cli.processes import bound
from cli.redis_binary import find_server
from shared.configuration import load_settings
from shared.redis_access import RedisAccess
from shared.redis_remedies import remedy
from sim.certificates import make_certificates
from tests.conftest import REQUIRED
from tests.integration.redis_topologies.topologies import free_ports
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


@dataclass(frozen=True)
class Files:
    """What a server needs for TLS, and what its clients need."""

    ca: Path
    chain: Path
    key: Path

    @property
    def arguments(self) -> list[str]:
        return ["--tls-cert-file", str(self.chain), "--tls-key-file", str(self.key),
                "--tls-ca-cert-file", str(self.ca), "--tls-auth-clients", "no"]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A certificate for loopback."""
    if not REQUIRED and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server); the bundled one has no TLS")
    made = make_certificates(tmp_path_factory.mktemp("certificates"))
    return Files(made.ca_file, made.chain_file, made.key_file)


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The distribution's server, which knows TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        bound([str(find_server("redis").path), *arguments]),
        cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def port(files: Files, tmp_path: Path) -> Iterator[int]:
    """Of a server that speaks TLS only, and wants a password."""
    [port] = free_ports(1)
    with server(tmp_path / "redis", "--port", "0", "--tls-port", str(port), "--save", "",
                "--requirepass", "over-tls", *files.arguments):  # fmt: skip
        yield port


@asynccontextmanager
async def access_of(
    url: str, ca_file: Path | None = None, password: str = "over-tls"
) -> AsyncIterator[RedisAccess]:
    """As a service has it, from settings."""
    environ = {"BTC_SCANNER__REDIS__URL": url, "REDIS_PASSWORD": password}
    if ca_file is not None:
        environ["BTC_SCANNER__REDIS__CA_FILE"] = str(ca_file)
    access = RedisAccess(load_settings(None, environ).redis.effective_url, name="tls-test")
    yield access
    await access.close()


async def told(url: str, ca_file: Path | None = None) -> str:
    """What a person is told about a server that cannot be used."""
    words = ""

    async def try_it() -> bool:
        nonlocal words
        async with access_of(url, ca_file) as access:
            try:
                await access.client.ping()
            except (RedisError, OSError) as error:
                words = remedy(error, url) or f"no remedy: {error!r}"
        return "Connect call failed" not in words  # the server is still starting

    await wait_until(try_it, "the server")
    return words


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_with_its_authority_a_server_is_trusted(port: int, files: Files, host: str) -> None:
    async with access_of(f"rediss://{host}:{port}/0", files.ca) as access:
        await access.ready()
        assert await access.client.set("k", "v")
        assert await access.client.get("k") == b"v"


async def test_an_unknown_authority_is_told_with_the_setting(port: int) -> None:
    words = await told(f"rediss://127.0.0.1:{port}")
    assert words.startswith(f"Redis at rediss://127.0.0.1:{port} shows a certificate that is not")
    assert words.endswith("name the file of its authority in redis.ca_file")


async def test_another_authority_is_not_trusted(port: int, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "other").ca_file
    assert "is not trusted here" in await told(f"rediss://127.0.0.1:{port}", other)


async def test_a_certificate_for_another_address_is_told(port: int, files: Files) -> None:
    words = await told(f"rediss://127.0.0.2:{port}", files.ca)
    assert "shows a certificate for another address: write a name that it holds in" in words


async def test_a_certificate_for_another_name_is_told(
    port: int, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = asyncio.BaseEventLoop.getaddrinfo

    async def to_loopback(
        loop: asyncio.BaseEventLoop, host: str, *more: object, **how: object
    ) -> object:
        return await resolve(loop, "127.0.0.1", *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", to_loopback)
    words = await told(f"rediss://redis.example.com:{port}", files.ca)
    assert "shows a certificate for another name: write a name that it holds in redis.url" in words


async def test_an_expired_certificate_is_told(files: Files, tmp_path: Path) -> None:
    old = make_certificates(tmp_path / "old", "expired")
    expired = Files(old.ca_file, old.chain_file, old.key_file)
    [port] = free_ports(1)
    with server(tmp_path / "redis", "--port", "0", "--tls-port", str(port), "--save", "",
                *expired.arguments):  # fmt: skip
        words = await told(f"rediss://127.0.0.1:{port}", expired.ca)
    assert words.endswith("shows a certificate that has expired: renew it, on the server")


async def test_a_server_without_tls_is_told(files: Files, tmp_path: Path) -> None:
    [port] = free_ports(1)
    with server(tmp_path / "redis", "--port", str(port), "--save", ""):
        words = await told(f"rediss://127.0.0.1:{port}", files.ca)
    assert words.endswith("is it overloaded or paused, or without TLS (then redis://)?")


async def test_a_cluster_over_tls(files: Files, tmp_path: Path) -> None:
    plain, port, bus = free_ports(3)
    with server(tmp_path / "node", "--port", str(plain), "--tls-port", str(port),
                "--cluster-enabled", "yes", "--cluster-port", str(bus), "--tls-cluster", "yes",
                "--save", "", *files.arguments):  # fmt: skip
        async with access_of(f"redis://127.0.0.1:{plain}", password="") as node:
            await node.patiently(
                lambda: node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            )
        url = f"rediss+cluster://127.0.0.1:{port}"
        async with access_of(url, files.ca, password="") as access:
            await access.ready()
            assert await access.patiently(lambda: access.client.set("k", "v"))
            assert await access.client.get("k") == b"v"


async def test_sentinels_over_tls(files: Files, tmp_path: Path) -> None:
    port, watch = free_ports(2)
    (tmp_path / "s").mkdir()
    conf = tmp_path / "s" / "sentinel.conf"
    tls = "\n".join(" ".join(pair) for pair in _pairs(files.arguments)).replace("--", "")
    conf.write_text(
        f"port 0\ntls-port {watch}\ntls-replication yes\n{tls}\n"
        f"sentinel monitor mymaster 127.0.0.1 {port} 1\n"
    )
    with (
        server(tmp_path / "r", "--port", "0", "--tls-port", str(port), "--save", "",
               *files.arguments),
        server(tmp_path / "s", str(conf), "--sentinel"),
    ):  # fmt: skip
        url = f"rediss+sentinel://127.0.0.1:{watch}/mymaster"
        async with access_of(url, files.ca, password="") as access:
            await access.ready()
            assert await access.client.set("k", "v")


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    return iter(list(zip(words[::2], words[1::2], strict=True)))
