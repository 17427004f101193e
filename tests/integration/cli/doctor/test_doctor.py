"""``doctor`` before a healthy installation, and when it has troubles of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from cli.doctor import checks, command
from cli.doctor.command import diagnose
from cli.doctor.report import text
from cli.embedded_redis import redis_server
from sim.script import Answer
from tests.integration.cli.doctor.patients import (
    CHAT,
    PASSWORD,
    SECRETS,
    Patient,
    Report,
    let_others_pass,
    only,
    run_doctor,
    says,
    silent_peer,
)


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
    # How long the path is, is not the doctor's choice.
    shown = [line.replace(str(ill.folder), "/home/trader/scanner") for line in lines]
    assert all(len(line) <= 100 for line in shown)
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
