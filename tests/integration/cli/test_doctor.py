"""``doctor`` before installations that are broken for real, each in one place."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cli import supervisor
from cli.doctor import ask_disk, ask_mail, ask_rest, ask_units, checks, command
from cli.doctor.command import diagnose
from cli.doctor.report import text
from cli.embedded_redis import redis_server
from services.notifier.gate import Gate
from shared import VERSION, configuration, keys
from shared.event import Trouble
from shared.events import EventsWriter
from shared.redis_access import RedisAccess
from shared.settings import Streams
from sim import certificates
from sim.candles import Candles
from sim.script import Answer
from tests.integration.cli.doctor_patients import (
    CHAT,
    PASSWORD,
    REDIS_PASSWORD,
    SECRETS,
    Patient,
    Report,
    market,
    patient,
    silent_peer,
)

ROOT = Path(__file__).parents[3]
MB = 1024 * 1024


@pytest.fixture(scope="module")
def candles() -> Candles:
    return market()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server(tcp=True) as server:
        yield server.url


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configuration, "SYSTEM_CONFIG", tmp_path / "etc.json")
    monkeypatch.setattr(configuration, "DOCKER_SECRETS", tmp_path / "none")
    for name in list(os.environ):
        if name.startswith(("BTC_SCANNER_", "SMTP_", "TELEGRAM_")) and name != "BTC_SCANNER_VENV":
            monkeypatch.delenv(name)


@pytest.fixture
async def ill(tmp_path: Path, redis_url: str, candles: Candles) -> AsyncIterator[Patient]:
    """A healthy installation that the test makes ill."""
    async with patient(tmp_path, redis_url, candles) as made:
        yield made


@pytest.fixture
async def own_redis(ill: Patient) -> AsyncIterator[Redis]:
    """A Redis of the patient's own, whose settings may be spoilt."""
    with redis_server(tcp=True) as server:
        ill.set("redis", url=server.url)
        client: Redis = Redis.from_url(server.url, protocol=2)
        for service in supervisor.SERVICES:
            await ill.beat(service)
        yield client
        await client.aclose()


def only(report: Report, check: str, level: str, *words: str) -> None:
    """This is all that is wrong, and the line says this."""
    assert {each.check for each in report.not_ok} == {check}, report.not_ok
    says(report, check, level, *words)


def says(report: Report, check: str, level: str, *words: str) -> None:
    found = [each for each in report.of(check) if each.level == level]
    assert found, report.findings
    text = " ".join(f"{each.what} -> {each.remedy}" for each in found)
    assert not [word for word in words if word not in text], text


# --- all is well


@pytest.mark.parametrize("mode", ["tls", "starttls"])
async def test_a_healthy_installation_is_told_to_be_healthy(ill: Patient, mode: str) -> None:
    box = await ill.mailbox(mode)  # type: ignore[arg-type]
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)
    assert {each.check for each in report.findings} >= {
        "Python", "packages", "configuration", "permissions", "secrets", "REST", "WebSocket",
        "clock", "symbol", "Redis", "Redis AOF", "Redis eviction", "Redis memory", "Redis writes",
        "email", "Telegram", f"chat {CHAT}", "log folder", "log disk", "services",
    }  # fmt: skip
    assert report.one("services").what == ("running: detector, indicators, ingest, notifier")
    assert box.mails == []
    assert ill.bot_api.messages == []


async def test_looking_leaves_nothing_behind(ill: Patient) -> None:
    before = sorted(await ill.redis.keys("*"))
    await ill.doctor()
    assert sorted(await ill.redis.keys("*")) == before
    assert not (ill.folder / "logs").exists()


async def test_without_a_configuration_the_defaults_are_examined(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__REST_HOSTS", ill.exchange.rest_url)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__WS_HOSTS", ill.exchange.ws_url)
    report = Report(*await diagnose(None))
    assert report.code == 0
    says(report, "configuration", "ok", "no configuration file")
    says(report, "alerts", "warn", "alerts go to the console", "section smtp")
    says(report, "Redis", "warn", "redis.url is empty", "is not up", "./btc-scanner up")
    says(report, "services", "warn", "none of the services runs", "./btc-scanner up")


async def test_the_redis_that_up_has_started_is_found(ill: Patient) -> None:
    del ill.sections["redis"]
    with redis_server(directory=ill.folder / "run" / "redis"):
        report = await ill.doctor()
    says(report, "Redis", "ok", "the one that up has started")
    says(report, "data disk", "ok", "free on the disk of")
    only(report, "services", "warn", "none of the services runs")


# --- the configuration


async def test_all_faults_are_shown_and_the_rest_is_examined(ill: Patient) -> None:
    ill.set("signal_rules", rsi_mim=20, volume_spike_threshold="much")
    ill.set("exchange", symbol="btcusdt")
    report = await ill.doctor()
    assert report.code == 2
    assert len(report.of("configuration")) == 3
    says(report, "configuration", "fail", "did you mean rsi_min?", "did you mean BTC/USDT?")
    says(report, "symbol", "warn", "exchange.symbol is wrong in the configuration")
    assert {each.check for each in report.not_ok} == {"configuration", "symbol"}
    says(report, "Redis", "ok", "answers at redis://127.0.0.1")
    says(report, "Telegram", "ok", "@simulated_scanner_bot")


async def test_a_file_that_is_no_json_leaves_the_machine_to_be_examined(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill.text = '{"redis": {"url": "redis://:' + REDIS_PASSWORD + '@h"}, nonsense'
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__REST_HOSTS", ill.exchange.rest_url)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__WS_HOSTS", ill.exchange.ws_url)
    report = await ill.doctor()
    assert report.code == 2
    says(report, "configuration", "fail", "config.json", "line 1")
    for check in ("Redis", "email", "Telegram", "log folder"):
        says(report, check, "warn", "the configuration cannot be read")
    says(report, "REST", "ok", "answers in")
    says(report, "Python", "ok")


async def test_a_configuration_that_is_not_there(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__REST_HOSTS", ill.exchange.rest_url)
    monkeypatch.setenv("BTC_SCANNER__EXCHANGE__WS_HOSTS", ill.exchange.ws_url)
    report = Report(*await diagnose(Path("nowhere.json")))
    assert report.code == 2
    says(report, "configuration", "fail", "named by --config does not exist", "config.example.json")


def let_others_pass(folder: Path) -> None:
    """pytest's folders are private."""
    for each in (folder, *folder.parents):
        if each.is_relative_to(tempfile.gettempdir()):
            each.chmod(each.stat().st_mode | 0o055)


async def test_a_secret_that_others_can_read(ill: Patient) -> None:
    ill.mode = 0o644
    ill.folder.chmod(0o700)
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)  # nobody can come so far
    let_others_pass(ill.folder)
    report = await ill.doctor()
    says(
        report, "permissions", "fail", "telegram.bot_token", "mode 644", "chmod 600", "config.json"
    )
    assert report.code in (1, 2)  # 2 where that keeps the services from starting


async def test_without_a_secret_others_may_read_the_file(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", ill.sections["telegram"].pop("bot_token"))
    ill.mode = 0o644
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)
    says(report, "secrets", "ok", "telegram.bot_token (variable TELEGRAM_BOT_TOKEN)")


async def test_a_missing_secret(ill: Patient) -> None:
    del ill.sections["telegram"]["bot_token"]
    report = await ill.doctor()
    assert report.code == 2
    says(report, "configuration", "fail", "telegram.bot_token: is missing", "TELEGRAM_BOT_TOKEN")
    says(report, "Telegram", "warn", "telegram.bot_token is wrong in the configuration")


async def test_a_secret_that_is_still_that_of_the_example(ill: Patient) -> None:
    await ill.mailbox(password="your-password")
    report = await ill.doctor()
    says(report, "secrets", "fail", "smtp.password is still that of", "SMTP_PASSWORD")
    says(report, "email", "fail", "does not accept the login")


# --- the exchange


async def test_a_region_that_the_exchange_does_not_serve(ill: Patient) -> None:
    ill.exchange.rest.answers.add(Answer(451, "{}"), 100)
    ill.exchange.refuse_handshakes(status=451)
    report = await ill.doctor()
    assert report.code == 1
    for check in ("REST", "WebSocket"):
        says(report, check, "fail", "does not serve this region (HTTP 451)")
        says(report, check, "fail", '["https://data-api.binance.vision"]')
        says(report, check, "fail", '["wss://data-stream.binance.vision"]')
    says(report, "clock", "warn", "not compared")


async def test_one_host_of_two_is_forbidden(ill: Patient) -> None:
    ill.exchange.rest.answers.add(Answer(403, "<html>"), 1)
    ill.set("exchange", rest_hosts=[ill.exchange.rest_url, f"{ill.exchange.rest_url}/."])
    report = await ill.doctor()
    only(report, "REST", "warn", "refuses this address (HTTP 403)", "is used", "data-api.binance")
    assert report.code == 0


async def test_a_host_that_refuses_connections(ill: Patient) -> None:
    ill.exchange.rest.door.shut()
    report = await ill.doctor()
    says(report, "REST", "fail", "cannot be reached (Connect", "check exchange.rest_hosts")
    says(report, "WebSocket", "ok", "answers in")


async def test_a_host_that_does_not_speak_tls(ill: Patient) -> None:
    ill.set("exchange", rest_hosts=[ill.exchange.rest_url.replace("http:", "https:")])
    ill.set("exchange", ws_hosts=[ill.exchange.ws_url.replace("ws:", "wss:")])
    report = await ill.doctor()
    says(report, "REST", "fail", "does not agree on TLS (", "need a host that speaks TLS")
    says(report, "WebSocket", "fail", "cannot be reached (", "check exchange.ws_hosts")


async def test_a_certificate_that_nobody_here_trusts(ill: Patient) -> None:
    box = await ill.mailbox("tls")
    ill.set("exchange", rest_hosts=[f"https://127.0.0.1:{box.port}"])
    report = await ill.doctor()
    only_rest = [each for each in report.not_ok if each.check not in ("REST", "clock")]
    assert only_rest == []
    says(report, "REST", "fail", "a certificate that is not trusted", "clock of this machine")


async def test_hosts_that_never_answer(ill: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_rest, "_STEP_S", 0.3)
    monkeypatch.setattr("cli.doctor.ask_websocket._OPEN_S", 0.3)
    async with silent_peer() as peer:
        at = f"127.0.0.1:{peer.port}"
        ill.set("exchange", rest_hosts=[f"http://{at}"], ws_hosts=[f"ws://{at}"])
        report = await ill.doctor()
    for check in ("REST", "WebSocket"):
        says(report, check, "fail", "does not answer in time", "firewall")


async def test_something_else_answers_in_the_exchanges_place(ill: Patient) -> None:
    ill.exchange.rest.answers.add(Answer(200, "<html>Log in to our WiFi", {}, "text/html"), 100)
    report = await ill.doctor()
    says(report, "REST", "fail", "not the exchange's", "captive portal")


async def test_a_market_that_does_not_exist(ill: Patient) -> None:
    ill.set("exchange", symbol="BTC/USDX")
    report = await ill.doctor()
    only(report, "symbol", "fail", "no market BTC/USDX", "did you mean BTC/USD")
    assert report.code == 1


@pytest.mark.parametrize(("by_ms", "where"), [(7000, "behind"), (-7000, "ahead of")])
async def test_a_clock_that_is_wrong(ill: Patient, by_ms: int, where: str) -> None:
    ill.exchange.clock._base_ms += by_ms
    ill.exchange.clock._least_ms = 0
    report = await ill.doctor()
    only(report, "clock", "fail", f"7.0 s {where} the exchange's", "timedatectl set-ntp true")


# --- Redis


async def test_a_redis_that_evicts(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory", 100 * MB)
    await own_redis.config_set("maxmemory-policy", "allkeys-lru")
    report = await ill.doctor()
    only(report, "Redis eviction", "fail", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction")


async def test_a_redis_that_would_evict_if_it_had_a_limit(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory-policy", "volatile-ttl")
    report = await ill.doctor()
    only(report, "Redis eviction", "warn", "volatile-ttl; harmless only as long as", "noeviction")


async def test_a_redis_without_append_only_file(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("appendonly", "no")
    report = await ill.doctor()
    only(report, "Redis AOF", "warn", "no append-only file", "CONFIG SET appendonly yes")


async def test_a_redis_that_leaves_writing_to_the_system(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("appendfsync", "no")
    report = await ill.doctor()
    only(report, "Redis AOF", "warn", "appendfsync no", "CONFIG SET appendfsync everysec")


async def test_a_redis_whose_memory_is_full(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory", 1)
    report = await ill.doctor()
    says(report, "Redis memory", "fail", "it is full", "raise maxmemory")
    says(report, "Redis writes", "fail", "is out of memory", "raise maxmemory")
    assert report.code == 1


async def test_a_redis_that_is_a_replica(ill: Patient, own_redis: Redis) -> None:
    await own_redis.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    report = await ill.doctor()
    says(report, "Redis role", "fail", "it is a replica", "point redis.url to its primary")
    says(report, "Redis writes", "fail", "is a read-only replica", "point redis.url to the primary")


async def test_a_redis_that_wants_a_password(ill: Patient, own_redis: Redis) -> None:
    await own_redis.config_set("requirepass", REDIS_PASSWORD)
    report = await ill.doctor()
    says(report, "Redis", "fail", "wants a password", "redis.url (redis://USER:PASSWORD@HOST:PORT")
    says(report, "services", "warn", "Redis could not be asked")
    url = ill.sections["redis"]["url"]
    ill.set("redis", url=url.replace("redis://", f"redis://:{REDIS_PASSWORD}@"))
    report = await ill.doctor()
    assert (report.not_ok, report.code) == ([], 0)


async def test_a_redis_user_who_may_not_ask_for_settings(ill: Patient, own_redis: Redis) -> None:
    rule = ("ACL", "SETUSER", "scanner", "on", f">{REDIS_PASSWORD}", "~*", "&*", "+@all", "-info")
    await own_redis.execute_command(*rule)  # type: ignore[no-untyped-call]
    url = ill.sections["redis"]["url"]
    ill.set("redis", url=url.replace("redis://", f"redis://scanner:{REDIS_PASSWORD}@"))
    report = await ill.doctor()
    only(report, "Redis settings", "warn", "INFO is refused", "appendonly yes")
    await own_redis.execute_command(*rule, "-eval")  # type: ignore[no-untyped-call]
    report = await ill.doctor()
    only(report, "Redis", "fail", "refuses a command", "extend the user's ACL")


async def test_a_redis_that_is_not_there(ill: Patient) -> None:
    ill.set("redis", url="redis://127.0.0.1:1/0")
    report = await ill.doctor()
    says(report, "Redis", "fail", "redis://127.0.0.1:1/0 cannot be reached", "start it")
    assert {each.check for each in report.not_ok} == {"Redis", "services"}


@contextlib.asynccontextmanager
async def pretending_to_be_old(url: str) -> AsyncIterator[str]:
    """A door to a Redis 7.0 behind which scripts know no version, as in 6.2."""
    host, port = url.removeprefix("redis://").removesuffix("/0").split(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection(host, int(port))

        async def back() -> None:
            while data := await answers.read(65536):
                writer.write(data)
            writer.close()

        pump = asyncio.create_task(back())
        while data := await reader.read(65536):
            server.write(data.replace(b"redis.REDIS_VERSION_NUM", b"redis.REDIS_VERSION_NIL"))
        server.close()
        await pump

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
    listening.close()


async def test_a_redis_that_is_too_old(ill: Patient, redis_url: str) -> None:
    async with pretending_to_be_old(redis_url) as url:
        ill.set("redis", url=url)
        report = await ill.doctor()
    only(report, "Redis", "fail", "is too old", "install Redis 7.0 or Valkey 8 or newer")


# --- email


async def test_a_mailbox_that_does_not_know_the_password(ill: Patient) -> None:
    await ill.mailbox(password=f"not-{PASSWORD}")
    report = await ill.doctor()
    only(report, "email", "fail", "does not accept the login (535)", "smtp.password")


async def test_a_mailbox_whose_certificate_has_expired(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "VALID_FOR", timedelta(minutes=-30))
    await ill.mailbox()
    report = await ill.doctor()
    only(report, "email", "fail", "certificate has expired", "check smtp.server")


async def test_a_mailbox_that_does_not_offer_starttls(ill: Patient) -> None:
    await ill.mailbox("plain", use_ssl=False)
    report = await ill.doctor()
    only(report, "email", "fail", "does not offer STARTTLS", "set smtp.use_ssl true")


async def test_a_mailbox_that_does_not_speak_tls_from_the_first_byte(ill: Patient) -> None:
    box = await ill.mailbox("starttls", use_ssl=True)
    report = await ill.doctor()
    only(report, "email", "fail", f"127.0.0.1:{box.port} does not speak TLS from the first byte",
         "set smtp.use_ssl false")  # fmt: skip


async def test_a_mailbox_that_refuses_one_recipient(ill: Patient) -> None:
    box = await ill.mailbox()
    box.refuse(["friend@example.org"])
    report = await ill.doctor()
    only(report, "email friend@example.org", "fail", "550 5.1.1 no such user", "smtp.to_email")
    says(report, "email", "ok", "takes mail for trader@example.org")
    box.refuse(["friend@example.org"], "450 4.2.0 greylisted")
    report = await ill.doctor()
    only(report, "email friend@example.org", "warn", "450 4.2.0 greylisted", "tries again")
    assert box.mails == []


async def test_a_mailbox_that_never_answers(ill: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_mail, "_ALL_S", 0.3)
    async with silent_peer() as peer:
        await ill.mailbox(port=peer.port)
        report = await ill.doctor()
    only(report, "email", "fail", "did not answer in time", "the firewall")


# --- Telegram


async def test_a_token_that_was_revoked(ill: Patient) -> None:
    ill.bot_api.token = "42:another"
    report = await ill.doctor()
    only(report, "Telegram", "fail", "Unauthorized", "check telegram.bot_token", "@BotFather")


async def test_a_chat_that_does_not_know_the_bot(ill: Patient) -> None:
    ill.set("telegram", chat_id=[CHAT, 77])
    report = await ill.doctor()
    only(report, "chat 77", "fail", "chat not found", "check telegram.chat_id", "write to the bot")
    says(report, f"chat {CHAT}", "ok", "the bot knows it")


async def test_a_bot_api_that_cannot_be_reached(ill: Patient) -> None:
    ill.set("telegram", api_url="http://127.0.0.1:1")
    report = await ill.doctor()
    only(report, "Telegram", "fail", "the Bot API cannot be reached", "telegram.api_url")


# --- the machine


async def test_a_log_folder_that_cannot_be_written(ill: Patient) -> None:
    ill.set("logging", file="/proc/btc-scanner/scanner.log")
    report = await ill.doctor()
    says(
        report,
        "log folder",
        "fail",
        "/proc/btc-scanner cannot be made by",
        "sudo install -d",
        "logging.file",
    )


async def test_a_file_where_the_log_folder_should_be(ill: Patient) -> None:
    (ill.folder / "logs").write_text("")
    report = await ill.doctor()
    only(report, "log folder", "fail", "it is not a folder", "logging.file")


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """A file system of 2 MB there; skips where nobody may mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_that_is_full(ill: Patient) -> None:
    with full_disk(ill.folder / "logs"):
        report = await ill.doctor()
        only(report, "log disk", "fail", "2 MB free", "free some space")


@pytest.mark.parametrize(("blocks", "files", "level"), [(50, 9, "fail"), (500, 9, "warn"),
                                                        (5000, 0, "fail")])  # fmt: skip
async def test_a_disk_that_tells_of_little_room(
    ill: Patient, monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, level: str
) -> None:
    seen = os.statvfs_result((MB, MB, 10_000, blocks, blocks, 100, files, files, 0, 255))
    monkeypatch.setattr(ask_disk.os, "statvfs", lambda _folder: seen)
    report = await ill.doctor()
    only(report, "log disk", level, "free some space")


async def test_units_of_systemd_that_failed(ill: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    program = ill.folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        "list-unit-files) echo 'btc-scanner-ingest.service enabled enabled';;\n"
        "show) printf 'Id=btc-scanner-ingest.service\\nLoadState=loaded\\nActiveState=failed\\n"
        "SubState=failed\\nResult=exit-code\\nUnitFileState=enabled\\nNRestarts=5\\n\\n"
        "Id=btc-scanner-redis.service\\nLoadState=loaded\\nActiveState=active\\n"
        "SubState=running\\nResult=success\\nUnitFileState=enabled\\nNRestarts=0\\n';;\n"
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(ask_units, "_BOOTED", ill.folder)
    report = await ill.doctor()
    only(report, "systemd", "fail", "btc-scanner-ingest.service failed (exit-code)",
         "journalctl -u btc-scanner-ingest.service")  # fmt: skip
    says(report, "systemd", "ok", "active: btc-scanner-redis.service")


# --- the services


async def test_services_that_do_not_run_or_are_of_another_version(ill: Patient) -> None:
    await ill.redis.delete(keys.health("detector", "1"))
    await ill.beat("ingest", version="0.0.9")
    report = await ill.doctor()
    says(report, "services", "warn", "not running: detector", "./btc-scanner up")
    says(report, "ingest", "warn", f"version 0.0.9, installed is {VERSION}", "restart")
    assert report.code == 0


async def test_a_channel_that_is_broken(ill: Patient) -> None:
    access = RedisAccess(ill.sections["redis"]["url"], name="notifier")
    events = EventsWriter(access, "notifier", "1", Streams())
    await Gate(access, events, "telegram", probe_s=60).break_(
        "Telegram says Unauthorized: check telegram.bot_token"
    )
    await access.close()
    report = await ill.doctor()
    only(report, "telegram sent", "fail", "sends nothing by telegram: Telegram says Unauthorized",
         "check telegram.bot_token")  # fmt: skip
    await ill.redis.delete(keys.gate("telegram"))  # it is probed just now; the trouble stands
    report = await ill.doctor()
    only(report, "telegram sent", "fail", "sends nothing by telegram", "notifier's log")


async def test_dead_letters(ill: Patient) -> None:
    await ill.redis.xadd(keys.dead("telegram"), {"sentence": "gone"})
    report = await ill.doctor()
    only(report, "telegram dead", "warn", "1 alert(s) could not be delivered", "dead:{signals}")


async def test_a_trouble_that_stands(ill: Patient) -> None:
    blind = Trouble("blind", 1_762_094_100_000)
    await ill.redis.hset(keys.TROUBLES, "feed:BTCUSDT:1m", blind.text)
    report = await ill.doctor()
    only(report, "trouble", "fail", "feed BTCUSDT:1m BLIND since 2025-11-02", "events")


# --- the doctor itself


async def test_a_check_that_crashes_is_a_line_without_what_it_held(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError(PASSWORD)

    monkeypatch.setattr("cli.doctor.ask_redis.judge", explode)
    report = Report(*await diagnose(ill.config))
    only(report, "Redis", "fail", "ended with RuntimeError (ask_redis.py:", "report it")
    assert PASSWORD not in repr(report.findings)
    assert report.code == 1


async def test_a_missing_library_is_told_where_it_is_missed(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cli.doctor.ask_websocket", None)
    monkeypatch.setattr("cli.doctor.ask_packages._version", {"redis": "1"}.get)
    report = Report(*await diagnose(ill.config))
    says(report, "WebSocket", "fail", "the Python package cli.doctor.ask_websocket is missing")
    says(report, "packages", "fail", "missing: aiofiles", "./btc-scanner")
    says(report, "packages", "warn", "redis 1 instead of")


async def test_whoever_is_late_is_left_behind_with_what_was_found(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.run_all, "__kwdefaults__", {"each_s": 0.2, "all_s": 60.0})
    monkeypatch.setattr(command, "_AREAS", {"REST": "ask_rest"})
    ill.exchange.rest.answers.add(Answer(200, '{"serverTime": 1}'))
    ill.exchange.rest.answers.add(Answer(200, "{}", delay_s=30), 9)
    report = Report(*await diagnose(ill.config))
    rest = report.of("REST")
    assert [each.level for each in rest] == ["ok", "fail"]
    says(report, "REST", "fail", "within 0.2 s", "overloaded")


def run_doctor(config: Path, *options: str, **how: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-P", "-m", "cli", "doctor", "--config", str(config), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how,
    )  # fmt: skip


async def test_the_command_as_scripts_use_it(ill: Patient) -> None:
    ill.set("telegram", chat_id=77)
    process = run_doctor(ill.config, "--json")
    out, err = await asyncio.to_thread(process.communicate)
    found = json.loads(out)
    assert (process.returncode, err, found["exit_code"], found["fail"]) == (1, "", 1, 1)
    assert [each["check"] for each in found["checks"] if each["level"] == "fail"] == ["chat 77"]
    assert not [secret for secret in SECRETS if secret in out]


async def test_a_person_sees_one_screen(ill: Patient) -> None:
    await ill.mailbox()
    report = await ill.doctor()
    lines = list(text(report.findings))
    assert len(lines) < 40
    assert all(len(line) <= 100 for line in lines)
    assert lines[-1] == f"{len(report.findings)} ok: nothing is wrong here"


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Not root, for a moment."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_another_user_is_told_what_he_may_not_read_and_write(ill: Patient) -> None:
    let_others_pass(ill.folder)
    config = ill.config
    await ill.doctor()  # so that all is imported: he may not read that either
    with as_nobody():
        report = Report(*await diagnose(config))
    assert report.code == 2
    says(report, "configuration", "fail", "the file cannot be read: Permission denied")
    config.chmod(0o644)
    with as_nobody():
        report = Report(*await diagnose(config))
    says(report, "log folder", "fail", "cannot be made by nobody: Permission denied")
    log = ill.folder / "logs" / "scanner-ingest.log"
    log.parent.mkdir()
    log.write_text("")
    log.parent.chmod(0o777)
    with as_nobody():
        report = Report(*await diagnose(config))
    says(report, "log folder", "fail", str(log), "Permission denied", "chown")


async def test_ctrl_c_ends_it_without_a_word_too_many(ill: Patient) -> None:
    async with silent_peer() as peer:
        ill.set("exchange", rest_hosts=[f"http://127.0.0.1:{peer.port}"])
        process = run_doctor(ill.config)
        async with asyncio.timeout(20):
            await peer.connected.wait()
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate)
    assert (process.returncode, out, err) == (130, "", "btc-scanner: interrupted\n")
